# shellcheck shell=bash
# Programs from Debian packages. They are unpacked into the cache: nothing is installed on the machine.

# What a node runs, with the libraries that a small machine may lack, and what makes the images.
readonly debian_packages=(runc libseccomp2 containernetworking-plugins
  nftables libnftables1 libnftnl11 libmnl0 libjansson4 libedit2 libbsd0 libmd0 libgmp10 libxtables12
  debootstrap debian-archive-keyring busybox)

# One folder for each release of the machine's distribution, as its packages depend on its C library. The number grows with the list.
packages_folder() {
  (
    # shellcheck disable=SC1091 # a file of the machine
    source /etc/os-release
    echo "$cache/packages/${ID:-linux}-${VERSION_CODENAME:-${VERSION_ID:-unknown}}-1"
  )
}

# Uses package lists of its own, so that those of the machine may be missing or old and stay as they are.
fetch_packages() {
  local folder work t0
  folder=$(packages_folder)
  [[ ! -d $folder ]] || return 0
  t0=$(now_ms)
  say "fetching ${#debian_packages[@]} Debian packages"
  mkdir -p "$cache/packages"
  work=$(mktemp -d "$cache/packages/fetch.XXXXXX")
  # shellcheck disable=SC2064 # the value of now is meant
  trap "rm -rf '$work'" EXIT
  mkdir -p "$work"/{state/lists/partial,cache/archives/partial,debs,root/usr}
  local apt=(apt-get -qq -o "Dir::State=$work/state" -o "Dir::Cache=$work/cache" -o Dir::State::status=/var/lib/dpkg/status
    -o APT::Sandbox::User=root)
  # A source that does not answer is of no matter as long as the packages are found.
  "${apt[@]}" update >"$work/log" 2>&1 || true
  if ! (cd "$work/debs" && "${apt[@]}" download "${debian_packages[@]}") >>"$work/log" 2>&1; then
    cat "$work/log" >&2
    die "fetching Debian packages failed"
  fi
  local package top
  for package in "$work"/debs/*.deb; do
    dpkg-deb --extract "$package" "$work/unpacked"
    # Some packages still use /lib and /sbin, which are links into /usr.
    for top in bin sbin lib lib64 usr; do
      [[ -d $work/unpacked/$top ]] || continue
      if [[ $top == usr ]]; then cp -a "$work/unpacked/usr/." "$work/root/usr"; else cp -aT "$work/unpacked/$top" "$work/root/usr/$top"; fi
    done
    rm -rf "$work/unpacked"
  done
  rm -rf "$work/root/usr/share/"{doc,man,lintian,bash-completion}
  mv "$work/root" "$folder"
  rm -rf "$work"
  trap - EXIT
  say "fetched Debian packages in $(elapsed "$t0")"
}

# debian_mirror prints where debootstrap finds Debian: where apt does, if the machine runs Debian; elsewhere it has to be told.
debian_mirror() {
  local mirror
  # shellcheck disable=SC2016 # a format of apt
  mirror=$(apt-get indextargets --format '$(REPO_URI)' 2>/dev/null | grep -E '^https?://.*/debian/?$' | head -n 1 || true)
  mirror=${PORTAL_DEBIAN_MIRROR:-$mirror}
  [[ -n $mirror ]] || die "apt knows no mirror of Debian: set PORTAL_DEBIAN_MIRROR to the address of one"
  echo "$mirror"
}
