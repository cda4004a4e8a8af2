# Debian packages that the host must have.
prerequisites=(qemu-system-x86 cpio kmod "${root_packages[@]}")

# missing_packages PACKAGE...
missing_packages() {
  local package
  for package in "$@"; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q ' installed$' || echo "$package"
  done | sort -u
}

install_prerequisites() {
  [ "$(dpkg --print-architecture)" = amd64 ] || fail "Cannot boot other kernels: they are for amd64, this machine is $(dpkg --print-architecture)"
  install_packages "Cannot boot other kernels" "${prerequisites[@]}"
}

# install_packages WHAT_FAILS PACKAGE...: installs the missing ones
install_packages() {
  local packages what=$1
  shift
  mapfile -t packages < <(missing_packages "$@")
  [ ${#packages[@]} -gt 0 ] || return 0
  echo "Installing ${packages[*]}"
  if ! apt_install "${packages[@]}"; then
    apt-get update -q >/dev/null && apt_install "${packages[@]}" || true
  fi
  mapfile -t packages < <(missing_packages "$@")
  [ ${#packages[@]} -eq 0 ] || fail "$what: missing packages ${packages[*]}, install them as root with apt-get"
}

apt_install() {
  DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends -o DPkg::Lock::Timeout=300 "$@" >/dev/null
}
