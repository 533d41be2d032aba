# shellcheck shell=bash
# The container images of the test bed, made from the machine's own sources as there may be no registry.

# What comes from Debian has no version of its own here; the number grows when the making changes.
readonly images_revision=1
readonly debian_suite=trixie
readonly postgres_major=17 pgbouncer_version=1.24

readonly image_pause=registry.local/pause:1
readonly image_busybox=registry.local/busybox:1
readonly image_postgres=registry.local/postgresql:$postgres_major
readonly image_pgbouncer=registry.local/pgbouncer:$pgbouncer_version
readonly all_images=(pause busybox cloudnative-pg postgresql)

cloudnative_pg_version() { module_version github.com/cloudnative-pg/cloudnative-pg ../nodes/cloudnative-pg; }
image_cloudnative_pg() { echo "registry.local/cloudnative-pg:$(cloudnative_pg_version)"; }

# image_path NAME prints where the tar of one of all_images is, or will be.
image_path() {
  case $1 in
    pause) echo "$cache/images/$(basename "$(dirname "$(binary_path pause)")").tar" ;;
    cloudnative-pg) echo "$cache/images/cloudnative-pg-$(cloudnative_pg_version)-$images_revision.tar" ;;
    busybox) echo "$cache/images/busybox-$(basename "$(packages_folder)")-$images_revision.tar" ;;
    postgresql) echo "$cache/images/postgresql-$postgres_major-$debian_suite-$images_revision.tar" ;;
  esac
}

# The release manifest with the image that was made here. The Go module holds it.
manifest_path() { echo "$cache/cloudnative-pg/$(cloudnative_pg_version)-$images_revision.yaml"; }

make_images() {
  local name
  for name in "${all_images[@]}"; do
    [[ -e $(image_path "$name") ]] || make_image "$name"
  done
  [[ -e $(manifest_path) ]] || make_manifest
}

make_image() {
  local t0 work
  t0=$(now_ms)
  mkdir -p "$cache/images"
  work=$(mktemp -d "$cache/images/make.XXXXXX")
  # shellcheck disable=SC2064 # the value of now is meant
  trap "rm -rf '$work'" EXIT
  "make_${1//-/_}" "$work" "$(image_path "$1")"
  rm -rf "$work"
  trap - EXIT
  say "made the image $1 in $(elapsed "$t0")"
}

make_pause() { pack_image "$2" "$(binary_path pause)" "$image_pause" 65535:65535 "" /pause; }

# All applets as links, so that a shell finds them, and the libraries that it is linked to. (In Debian 12 wget -T crashes; use timeout.)
make_busybox() {
  local applet busybox library
  busybox=$(packages_folder)/usr/bin/busybox
  mkdir -p "$1"/{bin,etc,tmp,root}
  chmod 1777 "$1/tmp"
  cp "$busybox" "$1/bin/busybox"
  for library in $(ldd "$busybox" | grep -o '/[^ ]*'); do
    mkdir -p "$1${library%/*}"
    cp -L "$library" "$1$library"
  done
  for applet in $("$busybox" --list); do
    [[ $applet == busybox ]] || ln -s busybox "$1/bin/$applet"
  done
  echo root:x:0:0:root:/root:/bin/sh >"$1/etc/passwd"
  echo root:x:0: >"$1/etc/group"
  chmod 0755 "$1"
  pack_image "$2" "$1" "$image_busybox" "" PATH=/bin
}

# As its Dockerfile lays it out: the operator finds the manager for each architecture below /operator.
make_cloudnative_pg() {
  mkdir -p "$1/operator"
  cp "$(binary_path manager)" "$1/operator/manager_$(image_architecture)"
  ln -s "operator/manager_$(image_architecture)" "$1/manager"
  chmod 0755 "$1"
  pack_image "$2" "$1" "$(image_cloudnative_pg)" 65532:65532 "" /manager
}

# PostgreSQL and PgBouncer in one root file system, which gets two names. Debian 12's PgBouncer is too old for CloudNativePG.
make_postgresql() {
  local root=$1/root log=$cache/images/postgresql.log tools maker t0
  t0=$(now_ms)
  tools=$(packages_folder)
  say "making the image postgresql with debootstrap (takes some minutes)"
  # A mount namespace of its own: what debootstrap mounts goes with it.
  DEBOOTSTRAP_DIR=$tools/usr/share/debootstrap unshare --mount \
    bash "$nodes_here/lib/postgresql-root.sh" "$tools" "$root" "$(debian_mirror)" "$debian_suite" "$postgres_major" >"$log" 2>&1 &
  maker=$!
  show_progress "$maker" "$t0" "the image postgresql"
  if ! wait "$maker"; then
    tail -n 30 "$log" >&2
    die "making the image postgresql failed, see $log"
  fi
  local found
  found=$(chroot "$root" dpkg-query -W -f '${Version}' pgbouncer)
  [[ $found == "$pgbouncer_version".* ]] || die "Debian $debian_suite has PgBouncer $found, not $pgbouncer_version"
  pack_image "$2" "$root" "$image_postgres $image_pgbouncer" 26:26 \
    "PATH=/usr/lib/postgresql/$postgres_major/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin LANG=C.UTF-8"
}

make_manifest() {
  local module version target
  version=$(cloudnative_pg_version)
  module=$(cd "$here/../nodes/cloudnative-pg" && GOFLAGS='' GOWORK=off go list -m -f '{{.Dir}}' github.com/cloudnative-pg/cloudnative-pg)
  target=$(manifest_path)
  mkdir -p "$(dirname "$target")"
  sed -e "s#ghcr.io/cloudnative-pg/cloudnative-pg:$version#$(image_cloudnative_pg)#" \
    -e 's/^\( *imagePullPolicy:\) Always$/\1 IfNotPresent/' "$module/releases/cnpg-$version.yaml" >"$target.new"
  grep -q "image: $(image_cloudnative_pg)" "$target.new" || die "the release manifest names another image"
  mv "$target.new" "$target"
}
