# shellcheck shell=bash
# Builds the binaries from pinned Go modules into a cache outside the checkout, one folder per component and version.

readonly cache=${XDG_CACHE_HOME:-$HOME/.cache}/portal-operator
readonly cluster_binaries=(etcd kube-apiserver kube-controller-manager kube-scheduler kubectl kwok)

# binary_source NAME prints: the component, its module, the package and the folder of the go.mod that pins it. A module
# "own" is a program of the test bed itself.
binary_source() {
  case $1 in
    kube-apiserver | kube-controller-manager | kube-scheduler | kubectl | kubelet | kube-proxy)
      echo "kubernetes k8s.io/kubernetes k8s.io/kubernetes/cmd/$1 binaries" ;;
    etcd) echo "etcd go.etcd.io/etcd/server/v3 go.etcd.io/etcd/server/v3 binaries" ;;
    kwok) echo "kwok sigs.k8s.io/kwok sigs.k8s.io/kwok/cmd/kwok binaries" ;;
    metrics-server) echo "metrics-server sigs.k8s.io/metrics-server sigs.k8s.io/metrics-server/cmd/metrics-server metrics-server" ;;
    helm) echo "helm helm.sh/helm/v4 helm.sh/helm/v4/cmd/helm helm" ;;
    containerd | containerd-shim-runc-v2 | ctr)
      echo "containerd github.com/containerd/containerd/v2 github.com/containerd/containerd/v2/cmd/$1 ../nodes/containerd" ;;
    local-path-provisioner)
      echo "local-path github.com/rancher/local-path-provisioner github.com/rancher/local-path-provisioner ../nodes/local-path" ;;
    manager)
      echo "cloudnative-pg github.com/cloudnative-pg/cloudnative-pg github.com/cloudnative-pg/cloudnative-pg/cmd/manager ../nodes/cloudnative-pg" ;;
    barman-cloud)
      echo "barman-cloud github.com/cloudnative-pg/plugin-barman-cloud github.com/cloudnative-pg/plugin-barman-cloud/cmd/manager ../nodes/barman-cloud" ;;
    versitygw) echo "versitygw github.com/versity/versitygw github.com/versity/versitygw/cmd/versitygw ../nodes/versitygw" ;;
    coredns | pause) echo "$1 own portalplatform.dev/testbed/$1 ../nodes/$1" ;;
    *) die "unknown binary: $1" ;;
  esac
}

# module_version MODULE FOLDER prints the version that FOLDER/go.mod requires, without the v. An own program has a version for
# each change of its source.
module_version() {
  if [[ $1 == own ]]; then
    cat "$here/$2"/go.mod "$here/$2"/*.go | sha256sum | cut -c 1-12
    return
  fi
  awk -v module="$1" '$1 == module || ($1 == "require" && $2 == module) {
    sub(/^v/, "", $(NF)); for (i = 1; i < NF; i++) if ($i == module) { v = $(i + 1); sub(/^v/, "", v); print v; exit }
  }' "$here/$2/go.mod"
}

# binary_path NAME prints where the binary is, or will be once it is built.
binary_path() {
  case $1 in
    etcd | kube-apiserver | kubectl)
      if [[ -n ${KUBEBUILDER_ASSETS:-} && -x $KUBEBUILDER_ASSETS/$1 ]]; then
        echo "$KUBEBUILDER_ASSETS/$1"
        return
      fi
      ;;
  esac
  local component module package folder source
  source=$(binary_source "$1")
  read -r component module package folder <<<"$source"
  echo "$cache/bin/$component-$(module_version "$module" "$folder")/$1"
}

# Without its version the API server calls itself v0.0.0-master and refuses features that depend on the version.
link_flags() {
  local kubernetes kwok helm metrics_server containerd kube_version=k8s.io/component-base/version
  kubernetes=$(module_version k8s.io/kubernetes binaries)
  kwok=$(module_version sigs.k8s.io/kwok binaries)
  local flags=(-s -w)
  case $1 in
    binaries)
      local major minor
      IFS=. read -r major minor _ <<<"$kubernetes"
      flags+=(-X "$kube_version.gitVersion=v$kubernetes" -X "$kube_version.gitMajor=$major" -X "$kube_version.gitMinor=$minor")
      flags+=(-X "sigs.k8s.io/kwok/pkg/consts.Version=v$kwok")
      ;;
    metrics-server)
      metrics_server=$(module_version sigs.k8s.io/metrics-server metrics-server)
      flags+=(-X "sigs.k8s.io/metrics-server/pkg/version.gitVersion=v$metrics_server")
      ;;
    helm)
      helm=$(module_version helm.sh/helm/v4 helm)
      flags+=(-X "helm.sh/helm/v4/internal/version.version=v$helm" -X helm.sh/helm/v4/internal/version.metadata=)
      ;;
    ../nodes/containerd)
      containerd=$(module_version github.com/containerd/containerd/v2 "$1")
      flags+=(-X "github.com/containerd/containerd/v2/version.Version=v$containerd")
      ;;
  esac
  echo "${flags[*]}"
}

# Without these snapshotters containerd needs no C compiler.
build_tags() { [[ $1 != ../nodes/containerd ]] || echo no_btrfs,no_devmapper,no_zfs; }

# build_missing NAME... builds those binaries that are not there yet.
build_missing() {
  local name missing=()
  for name in "$@"; do
    [[ -x $(binary_path "$name") ]] || missing+=("$name")
  done
  ((${#missing[@]})) || return 0
  command -v go >/dev/null || die "Go is needed to build: ${missing[*]}"

  mkdir -p "$cache"
  local lock
  exec {lock}>"$cache/build.lock"
  if ! flock -n "$lock"; then
    say "another build is running, waiting for it"
    flock "$lock"
  fi
  local folder folders=()
  for name in "${missing[@]}"; do
    folder=$(binary_source "$name")
    folder=${folder##* }
    [[ " ${folders[*]} " == *" $folder "* ]] || folders+=("$folder")
  done
  for folder in "${folders[@]}"; do
    build_folder "$folder" "${missing[@]}"
  done
  exec {lock}>&-
}

# build_folder FOLDER NAME... builds those of the binaries that FOLDER/go.mod pins, in one call: they share most packages.
build_folder() {
  local folder=$1 name component module package its_folder source names=() packages=()
  shift
  for name in "$@"; do
    source=$(binary_source "$name")
    read -r component module package its_folder <<<"$source"
    # Asks again whether it is there: the caller may have waited for another build.
    [[ $its_folder == "$folder" && ! -x $(binary_path "$name") ]] || continue
    names+=("$name")
    packages+=("$package")
  done
  ((${#names[@]})) || return 0

  local work t0 builder
  work=$(mktemp -d "$cache/build.XXXXXX")
  t0=$(now_ms)
  say "building ${names[*]} (the first build takes some minutes)"
  # CGO_ENABLED and -trimpath never change, so that the Go build cache is of use to the next build.
  (cd "$here/$folder" && CGO_ENABLED=0 GOFLAGS='' GOWORK=off GOBIN=$work \
    go install -trimpath -buildvcs=false -tags "$(build_tags "$folder")" -ldflags "$(link_flags "$folder")" "${packages[@]}") >"$work/log" 2>&1 &
  builder=$!
  # shellcheck disable=SC2064 # the values of now are meant
  trap "kill $builder 2>/dev/null || true; rm -rf '$work'" EXIT
  show_progress "$builder" "$t0" "${names[*]}"
  if ! wait "$builder"; then
    cat "$work/log" >&2
    die "building ${names[*]} failed"
  fi
  # The packages of etcd and of the plugin are called otherwise.
  [[ ! -e $work/server ]] || mv "$work/server" "$work/etcd"
  [[ $folder != ../nodes/barman-cloud ]] || mv "$work/manager" "$work/barman-cloud"
  local target
  for name in "${names[@]}"; do
    target=$(binary_path "$name")
    mkdir -p "$(dirname "$target")"
    mv "$work/$name" "$target"
  done
  rm -rf "$work"
  trap - EXIT
  say "built ${names[*]} in $(elapsed "$t0")"
}

# show_progress PID T0 NAMES prints a line every 30 seconds while PID runs.
show_progress() {
  local next=$((SECONDS + 30))
  while kill -0 "$1" 2>/dev/null; do
    sleep 0.5
    if ((SECONDS >= next)); then
      say "still building $3, $(elapsed "$2")"
      next=$((SECONDS + 30))
    fi
  done
}
