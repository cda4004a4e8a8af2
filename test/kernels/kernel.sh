# Debian's kernels, unpacked once: $cache/SERIES/{version,vmlinuz,modules.cpio}

# Modules that a node's network can need; the rest of the kernel's drivers stays out.
module_folders=(net crypto lib arch drivers/net/{veth,dummy,tun,macvlan,vrf,ifb,nlmon,geneve,vxlan,wireguard,ipvlan,bonding})

# fetch_kernel SERIES
fetch_kernel() {
  mkdir -p "$cache"
  (
    flock 9
    [ -e "$cache/$1/modules.cpio" ] || download_kernel "$1"
  ) 9>"$cache/lock"
}

# download_kernel SERIES: leaves nothing half done in the cache
download_kernel() {
  local unpacked=$cache/$1.new package version
  rm -rf "$unpacked" "${cache:?}/$1" && mkdir -p "$unpacked/package"
  package=$(newest_package "${series[$1]}")
  [ "$package" ] || { apt-get update -q >/dev/null && package=$(newest_package "${series[$1]}"); }
  [ "$package" ] || fail "Cannot find package ${series[$1]}: bookworm and bookworm-security must be among apt's sources"
  echo "Downloading $package"
  (cd "$unpacked" && download_package "$package") || fail "Cannot download package $package"
  dpkg-deb -x "$unpacked"/*.deb "$unpacked/package"
  version=${package#linux-image-}
  mv "$unpacked/package/boot/vmlinuz-$version" "$unpacked/vmlinuz"
  echo "$version" >"$unpacked/version"
  pack_modules "$unpacked/package/lib/modules/$version" "$version" "$unpacked"
  rm -r "$unpacked/package" "$unpacked/modules" "$unpacked"/*.deb
  mv "$unpacked" "$cache/$1"
}

newest_package() {
  apt-cache depends "$1" 2>/dev/null | sed -n 's/^ *Depends: *\(linux-image-[0-9].*\)/\1/p'
}

# The second try is for package lists older than the archive
download_package() {
  apt-get download -q "$1" >/dev/null 2>&1 || { apt-get update -q >/dev/null && apt-get download -q "$1" >/dev/null; }
}

# pack_modules FROM VERSION INTO
pack_modules() {
  local tree=$3/modules/usr/lib/modules/$2
  mkdir -p "$tree"
  (cd "$1" && cp -r --parents modules.order modules.builtin modules.builtin.modinfo $(existing_modules) "$tree")
  ln -s usr/lib "$3/modules/lib"
  depmod -b "$3/modules" "$2"
  pack "$3/modules" "$3/modules.cpio"
}

# Lists what module_folders names: a folder, or a single module
existing_modules() {
  local folder
  for folder in "${module_folders[@]}"; do
    ls -d "kernel/$folder" "kernel/$folder.ko" "kernel/$folder.ko.xz" 2>/dev/null || true
  done
}

# pack FOLDER ARCHIVE
pack() {
  (cd "$1" && find . | cpio -o -H newc --quiet -R 0:0) >"$2"
}
