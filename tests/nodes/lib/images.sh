# shellcheck shell=bash
# The container images of the test bed, made from the machine's own sources as there may be no registry.

# What comes from Debian has no version of its own here; the number grows when the making changes.
readonly images_revision=1 sidecar_revision=2
readonly debian_suite=trixie
readonly postgres_major=17 pgbouncer_version=1.24

readonly image_pause=registry.local/pause:1
readonly image_busybox=registry.local/busybox:1
readonly image_postgres=registry.local/postgresql:$postgres_major
readonly image_pgbouncer=registry.local/pgbouncer:$pgbouncer_version
# The sidecar lies on the image of PostgreSQL, so it comes after it.
readonly all_images=(pause busybox cloudnative-pg barman-cloud postgresql barman-cloud-sidecar)

cloudnative_pg_version() { module_version github.com/cloudnative-pg/cloudnative-pg ../nodes/cloudnative-pg; }
image_cloudnative_pg() { echo "registry.local/cloudnative-pg:$(cloudnative_pg_version)"; }

barman_cloud_version() { module_version github.com/cloudnative-pg/plugin-barman-cloud ../nodes/barman-cloud; }
image_barman_cloud() { echo "registry.local/plugin-barman-cloud:$(barman_cloud_version)"; }
image_barman_cloud_sidecar() { echo "registry.local/plugin-barman-cloud-sidecar:$(barman_cloud_version)"; }

# image_path NAME prints where the tar of one of all_images is, or will be.
image_path() {
  case $1 in
    pause) echo "$cache/images/$(basename "$(dirname "$(binary_path pause)")").tar" ;;
    cloudnative-pg) echo "$cache/images/cloudnative-pg-$(cloudnative_pg_version)-$images_revision.tar" ;;
    busybox) echo "$cache/images/busybox-$(basename "$(packages_folder)")-$images_revision.tar" ;;
    postgresql) echo "$cache/images/postgresql-$postgres_major-$debian_suite-$images_revision.tar" ;;
    barman-cloud) echo "$cache/images/barman-cloud-$(barman_cloud_version)-$images_revision.tar" ;;
    barman-cloud-sidecar)
      local base
      base=$(manifest_of "$(image_path postgresql)")
      echo "$cache/images/barman-cloud-sidecar-$(barman_cloud_version)-$sidecar_revision-${base:7:12}.tar"
      ;;
  esac
}

# The release manifest with the image that was made here. The Go module holds it.
manifest_path() { echo "$cache/cloudnative-pg/$(cloudnative_pg_version)-$images_revision.yaml"; }
plugin_manifest_path() { echo "$cache/barman-cloud/$(barman_cloud_version)-$images_revision.yaml"; }

make_images() {
  local name
  for name in "${all_images[@]}"; do
    [[ -e $(image_path "$name") ]] || make_image "$name"
  done
  [[ -e $(manifest_path) ]] || make_manifest
  [[ -e $(plugin_manifest_path) ]] || make_plugin_manifest
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

make_barman_cloud() { pack_image "$2" "$(binary_path barman-cloud)" "$(image_barman_cloud)" 65532:65532 "" /barman-cloud; }

# The same program, and barman-cloud-backup and the like from Debian, for the database's own user.
make_barman_cloud_sidecar() {
  local base base_layers log=$cache/images/barman-cloud-sidecar.log
  base=$(image_path postgresql)
  base_layers=$(layers_of "$base")
  mkdir -p "$1/base"
  blob_of "$base" "$(digests <<<"$base_layers")" | tar -x --numeric-owner -C "$1/base"
  unshare --mount bash "$nodes_here/lib/barman-root.sh" "$1/base" "$1" "$(debian_mirror)" "$debian_suite" >"$log" 2>&1 || {
    tail -n 30 "$log" >&2
    die "making the image barman-cloud-sidecar failed, see $log"
  }
  cp "$(binary_path barman-cloud)" "$1/added/manager"
  pack_image "$2" "$1/added" "$(image_barman_cloud_sidecar)" 26:26 "PATH=/usr/local/bin:/usr/bin LANG=C.UTF-8" /manager
}

make_manifest() {
  local module version target
  version=$(cloudnative_pg_version)
  module=$(module_folder github.com/cloudnative-pg/cloudnative-pg cloudnative-pg)
  target=$(manifest_path)
  mkdir -p "$(dirname "$target")"
  sed -e "s#ghcr.io/cloudnative-pg/cloudnative-pg:$version#$(image_cloudnative_pg)#" \
    -e 's/^\( *imagePullPolicy:\) Always$/\1 IfNotPresent/' "$module/releases/cnpg-$version.yaml" >"$target.new"
  grep -q "image: $(image_cloudnative_pg)" "$target.new" || die "the release manifest names another image"
  mv "$target.new" "$target"
}

# Without cert-manager's kinds: the test bed makes the certificates. The probe is eager, so that the start need not wait for it.
make_plugin_manifest() {
  local module target sidecar
  module=$(module_folder github.com/cloudnative-pg/plugin-barman-cloud barman-cloud)
  target=$(plugin_manifest_path)
  sidecar=$(printf %s "$(image_barman_cloud_sidecar)" | openssl base64 -A)
  mkdir -p "$(dirname "$target")"
  awk 'BEGIN { RS = "---\n"; ORS = "" } !/\nkind: (Certificate|Issuer)\n/ { print RS $0 }' "$module/manifest.yaml" |
    sed -e "s#^\( *\)image: ghcr.io/cloudnative-pg/plugin-barman-cloud-testing:.*#\1image: $(image_barman_cloud)\n\1imagePullPolicy: IfNotPresent#" \
      -e "/^  SIDECAR_IMAGE: |\$/,/^kind: Secret\$/c\\  SIDECAR_IMAGE: $sidecar\nkind: Secret" \
      -e 's/^\( *\(initialDelay\|period\)Seconds:\) 10$/\1 1/' >"$target.new"
  grep -q "image: $(image_barman_cloud)" "$target.new" && grep -q "SIDECAR_IMAGE: $sidecar" "$target.new" ||
    die "the manifest of the plugin names other images"
  mv "$target.new" "$target"
}

# module_folder MODULE FOLDER prints where the sources of the module are that FOLDER/go.mod pins.
module_folder() { (cd "$nodes_here/$2" && GOFLAGS='' GOWORK=off go list -m -f '{{.Dir}}' "$1"); }
