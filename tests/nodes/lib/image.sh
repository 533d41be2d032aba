# shellcheck shell=bash
# Packs a root file system or one static binary as a container image: an OCI layout in a tar, which containerd imports.

# pack_image OUTPUT SOURCE NAMES USER ENVIRONMENT [ENTRYPOINT...]
# SOURCE is a folder or a binary; NAMES and ENVIRONMENT are separated by blanks, as in "registry.local/a:1 registry.local/b:1".
# The one layer stays uncompressed: nothing is transferred, and unpacking is what takes time on every node. Where base_layers is set,
# as layers_of prints it, the new one lies on these, and the tar goes without them: the image that has them is imported first.
pack_image() {
  local output=$1 source=$2 names=$3 user=$4 environment=$5
  shift 5
  local work layer layers config manifest name entries=()
  mkdir -p "$(dirname "$output")"
  work=$(mktemp -d "$output.XXXXXX")
  mkdir -p "$work/blobs/sha256"
  local from=(-C "$source" .)
  [[ -d $source ]] || from=(--mode=0755 -C "$(dirname "$source")" "$(basename "$source")")
  local owner=()
  # A folder of root keeps the owners of its files; what a user packed belongs to root.
  [[ -d $source ]] && ((EUID == 0)) || owner=(--owner=0 --group=0)
  tar --numeric-owner "${owner[@]}" --sort=name --mtime=@0 -cf "$work/blob" "${from[@]}"
  layer=$(add_blob)
  layers=${base_layers:+$base_layers,}$(descriptor image.layer.v1.tar "$layer")
  # Without an entrypoint a pod's arguments are its command, as in the usual images of distributions.
  local start='"Cmd":["sh"]'
  (($# == 0)) || start="\"Entrypoint\":$(json_list "$@")"
  # shellcheck disable=SC2046,SC2086 # these are lists
  printf '{"architecture":"%s","os":"linux","config":{"User":"%s","Env":%s,%s},"rootfs":{"type":"layers","diff_ids":%s}}' \
    "$(image_architecture)" "$user" "$(json_list $environment)" "$start" "$(json_list $(digests <<<"$layers"))" >"$work/blob"
  config=$(add_blob)
  printf '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":%s,"layers":[%s]}' \
    "$(descriptor image.config.v1+json "$config")" "$layers" >"$work/blob"
  manifest=$(add_blob)
  for name in $names; do
    entries+=("$(descriptor image.manifest.v1+json "$manifest" ",\"annotations\":{\"io.containerd.image.name\":\"$name\",\"org.opencontainers.image.ref.name\":\"${name##*:}\"}")")
  done
  local IFS=,
  printf '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[%s]}' "${entries[*]}" >"$work/index.json"
  echo '{"imageLayoutVersion":"1.0.0"}' >"$work/oci-layout"
  tar -C "$work" -cf "$work.tar" oci-layout index.json blobs
  mv "$work.tar" "$output"
  rm -rf "$work"
}

# digests prints those in a text of JSON, one a line.
digests() { grep -o 'sha256:[0-9a-f]*'; }

# manifest_of TAR prints the digest of the image in it, layers_of TAR the descriptors of its layers.
manifest_of() { tar -xOf "$1" index.json | digests | head -n 1; }
layers_of() { blob_of "$1" "$(manifest_of "$1")" | sed 's/.*"layers":\[\(.*\)\]}/\1/'; }
blob_of() { tar -xOf "$1" "blobs/sha256/${2#sha256:}"; }

# add_blob files $work/blob under its digest, which it prints.
add_blob() {
  local digest
  digest=$(sha256sum "$work/blob" | cut -d ' ' -f 1)
  mv "$work/blob" "$work/blobs/sha256/$digest"
  echo "$digest"
}

# descriptor TYPE DIGEST [MORE]
descriptor() {
  printf '{"mediaType":"application/vnd.oci.%s","digest":"sha256:%s","size":%s%s}' "$1" "$2" \
    "$(stat -c %s "$work/blobs/sha256/$2")" "${3:-}"
}

json_list() {
  local item joined=""
  for item in "$@"; do
    item=${item//\\/\\\\}
    joined+=",\"${item//\"/\\\"}\""
  done
  echo "[${joined#,}]"
}

image_architecture() {
  case $(uname -m) in
    x86_64) echo amd64 ;;
    aarch64) echo arm64 ;;
    *) uname -m ;;
  esac
}
