# shellcheck shell=bash
# The nodes: each one is a set of namespaces (processes, mounts, network, host name) with containerd, kubelet and kube-proxy.

readonly zones=(a b c)

node_folder() { echo "$dir_nodes/node$1"; }
node_pid() { running_pid "node$1-init"; }
known_node() { [[ -d $(node_folder "$1") ]] || die "no such node: $1"; }

# in_node N COMMAND... runs it inside a node.
in_node() {
  local pid
  pid=$(node_pid "$1")
  shift
  nsenter --target "$pid" --mount --net --uts --pid --wd=/ -- "$@"
}

# start_namespaces N starts the first process of a node. All others end with it.
start_namespaces() {
  local name=node$1 home init child
  home=$(node_folder "$1")
  # Not in the command below: what expands it would be a child of the process for a moment.
  init=$(binary_path pause)
  mkdir -p "$home"/{var/upper,var/work,kubelet,volumes,cni,pod-logs}
  : >"$home/resolv.conf"
  setsid unshare --mount --net --uts --pid --fork --kill-child --mount-proc -- "$init" "$dir" \
    </dev/null >>"$dir_logs/$name.log" 2>&1 &
  remember "$name" $!
  disown
  poll has_one_child "$name"
  remember "$name-init" "$child"
  poll in_other_namespace "$(node_pid "$1")"
  # Its own process file system shows that it is past all of unshare's work.
  poll in_node "$1" test -e /proc/1/exe
  in_node "$1" bash -euc "$(declare -f prepare_mounts); prepare_mounts '$(packages_folder)' '$home' '$name'"
}

# has_one_child NAME: the component has started its program; `child` is its process.
has_one_child() {
  child=$(pgrep --parent "$(running_pid "$1")") && [[ $child =~ ^[0-9]+$ ]]
}

# prepare_mounts PACKAGES HOME NAME runs inside a node: Debian's programs over those of the machine, and folders of its own where
# the paths of container software are fixed. What it writes stays in the folder of the node.
prepare_mounts() {
  hostname "$3"
  mount --make-rshared /
  mount -t overlay overlay -o "lowerdir=$1/usr:/usr" /usr
  mount -t overlay overlay -o "lowerdir=/var,upperdir=$2/var/upper,workdir=$2/var/work" /var
  mount -t tmpfs -o mode=0755 tmpfs /run
  mkdir -p /run/netns /run/lock
}

# fill FILE N prints a file of config/ for node N.
fill() {
  sed -e "s#@ADDRESS@#$(node_address "$2")#g; s#@PKI@#$dir_pki#g; s#@NODE@#node$2#g; s#@NUMBER@#$2#g; s#@HOME@#$(node_folder "$2")#g" \
    -e "s#@GROUP@#$(group)#g; s#@SUBNET@#$(subnet)#g; s#@DNS@#$(dns_address)#g; s#@PAUSE@#$image_pause#g" \
    "$nodes_here/config/$1"
}

configure_node() {
  local home name=node$1
  home=$(node_folder "$1")
  make_certificate ca "$name" "/O=system:nodes/CN=system:node:$name" clientAuth
  make_certificate ca "$name-server" "/O=system:nodes/CN=system:node:$name" serverAuth "IP:$(node_address "$1"),DNS:$name"
  make_certificate ca "$name-kube-proxy" /CN=system:kube-proxy clientAuth
  client_kubeconfig "$name" >"$dir_pki/$name.kubeconfig"
  client_kubeconfig "$name-kube-proxy" >"$dir_pki/$name-kube-proxy.kubeconfig"
  fill containerd.toml "$1" >"$home/containerd.toml"
  fill kubelet.yaml "$1" >"$home/kubelet.yaml"
  fill kube-proxy.yaml "$1" >"$home/kube-proxy.yaml"
  fill cni.json "$1" >"$home/cni/pods.conflist"
}

# start_in_node N PROGRAM
start_in_node() {
  local name=node$1 home binary arguments
  home=$(node_folder "$1")
  binary=$(binary_path "$2")
  case $2 in
    containerd) arguments=(--config "$home/containerd.toml") ;;
    kubelet)
      arguments=(--config="$home/kubelet.yaml" --kubeconfig="$dir_pki/$name.kubeconfig" --root-dir="$home/kubelet"
        --hostname-override="$name" --node-ip="$(node_address "$1")"
        --node-labels="topology.kubernetes.io/zone=${zones[($1 - 1) % 3]},topology.kubernetes.io/region=local") ;;
    kube-proxy) arguments=(--config="$home/kube-proxy.yaml") ;;
  esac
  printf -- '--- %s: %s %s\n' "$(date -u +%FT%TZ)" "$binary" "${arguments[*]}" >>"$dir_logs/$name-$2.log"
  PATH=$(dirname "$(binary_path containerd)"):/usr/sbin:/usr/bin:/sbin:/bin setsid \
    nsenter --target "$(node_pid "$1")" --mount --net --uts --pid --wd=/ -- "$binary" "${arguments[@]}" \
    </dev/null >>"$dir_logs/$name-$2.log" 2>&1 &
  remember "$name-$2" $!
  disown
}

# stop_in_node N PROGRAM ends it at once. What it started, such as containers, lives on.
stop_in_node() {
  local outer
  outer=$(running_pid "node$1-$2") || return 0
  # The process that was remembered waits outside for the program.
  pkill -KILL --parent "$outer" || true
  while is_running "node$1-$2"; do sleep 0.01; done
  rm -f "$dir_run/node$1-$2.pid"
}

ctr_in_node() {
  local node=$1
  shift
  in_node "$node" "$(binary_path ctr)" --address /run/containerd/containerd.sock --namespace k8s.io "$@"
}

wait_containerd() {
  failing=node$1-containerd
  until ctr_in_node "$1" version >/dev/null 2>&1; do
    is_running "node$1-containerd" || { say "containerd of node$1 ended"; return 1; }
    ((SECONDS < deadline)) || { say "containerd of node$1 was not ready in time"; return 1; }
    sleep 0.1
  done
}

# import_images N TAR...
import_images() {
  local node=$1 image
  shift
  for image in "$@"; do
    if ! ctr_in_node "$node" images import --local --snapshotter overlayfs "$image" >>"$dir_logs/node$node-import.log" 2>&1; then
      # When the test bed stops meanwhile, that is no news.
      ! node_pid "$node" >/dev/null || say "node$node could not import $image, see $dir_logs/node$node-import.log"
      return 1
    fi
  done
}

# on_all_nodes COMMAND... runs COMMAND with the number of each node in front of its arguments, all at the same time.
on_all_nodes() {
  local function=$1 node jobs=() job failed=0
  shift
  for ((node = 1; node <= node_count; node++)); do
    "$function" "$node" "$@" &
    jobs+=($!)
  done
  for job in "${jobs[@]}"; do wait "$job" || failed=1; done
  return "$failed"
}

stop_nodes() {
  local node name
  for node in "$dir_nodes"/node*; do
    name=${node##*/}
    # Both, as an interrupted start may have noted only the outer one; the first process takes all others with it.
    stop_component "$name-init"
    stop_component "$name"
  done
  # One that an interrupt left before it was noted; the folder in its arguments tells whose it is.
  pkill -KILL --full --exact "$(binary_path pause) $dir" || true
}
