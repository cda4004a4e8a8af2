# What the host must have: command and the Debian package that brings it.
prerequisites=(
  qemu-system-x86_64:qemu-system-x86 cpio:cpio kmod:kmod depmod:kmod modprobe:kmod busybox:busybox-static
  bash:bash ip:iproute2 tc:iproute2 ss:iproute2 bridge:iproute2 nft:nftables conntrack:conntrack bpftool:bpftool
  nsenter:util-linux unshare:util-linux mount:mount umount:mount sysctl:procps
)

missing_packages() {
  local entry
  for entry in "${prerequisites[@]}"; do
    command -v "${entry%%:*}" >/dev/null || echo "${entry##*:}"
  done | sort -u
}

install_prerequisites() {
  local packages
  [ "$(dpkg --print-architecture)" = amd64 ] || fail "Cannot boot other kernels: they are for amd64, this machine is $(dpkg --print-architecture)"
  mapfile -t packages < <(missing_packages)
  [ ${#packages[@]} -gt 0 ] || return 0
  echo "Installing ${packages[*]}"
  if ! apt_install "${packages[@]}"; then
    apt-get update -q >/dev/null && apt_install "${packages[@]}" || true
  fi
  mapfile -t packages < <(missing_packages)
  [ ${#packages[@]} -eq 0 ] || fail "Cannot boot other kernels: missing packages ${packages[*]}, install them as root with apt-get"
}

apt_install() {
  DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends -o DPkg::Lock::Timeout=300 "$@" >/dev/null
}
