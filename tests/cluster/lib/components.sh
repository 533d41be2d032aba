# shellcheck shell=bash
# The processes of a test bed: their ports and flags, and how they start, are found ready and stop. The command that reads this
# file names them in all_components, and may define more_arguments NAME, which adds to the array arguments.

components=("${all_components[@]}")
more_ports=()

has_component() { [[ " ${components[*]} " == *" $1 "* ]]; }
known_component() { [[ " ${all_components[*]} " == *" $1 "* ]] || die "unknown component: $1"; }

# port NAME prints a port that pick_ports chose; names are the components and etcd-peer.
port() { cat "$dir_run/$1.port"; }

# Takes a free block of ten ports below the range of outgoing connections. The lock on the block is inherited by the
# components and so held while any of them lives: a parallel start cannot choose the same ports, not even while they restart.
pick_ports() {
  local block base offset names=("${all_components[@]}" etcd-peer "${more_ports[@]}")
  mkdir -p "$cache/ports"
  for block in $(shuf -i 0-999); do
    base=$((20000 + block * 10))
    exec {ports_lock}>"$cache/ports/$base"
    if flock -n "$ports_lock" && ports_free "$base" "${#names[@]}"; then
      for offset in "${!names[@]}"; do
        echo $((base + offset)) >"$dir_run/${names[offset]}.port"
      done
      return
    fi
    exec {ports_lock}>&-
  done
  die "no free ports"
}

# ports_free BASE COUNT succeeds if nothing answers on these ports.
ports_free() {
  local candidate
  for ((candidate = $1; candidate < $1 + $2; candidate++)); do
    ! (exec {probe}<>"/dev/tcp/127.0.0.1/$candidate") 2>/dev/null || return 1
  done
}

# simulated_kinds prints what the simulated controllers answer for, as group, version and resource. A kind without a
# definition would end kwok, so a definition that comes later needs another start.
simulated_kinds() {
  echo networking.k8s.io v1 ingresses
  kube get customresourcedefinitions --ignore-not-found -o name \
    httproutes.gateway.networking.k8s.io certificates.cert-manager.io |
    sed -E 's|^[^/]*/([^.]*)\.(.*)|\2 v1 \1|'
}

# published GROUP VERSION RESOURCE succeeds once the API server describes the kind, some time after it was Established.
published() { kube get --raw "/openapi/v3/apis/$1/$2" | grep -qF "/$3/{name}"; }

# component_arguments NAME fills the array arguments.
component_arguments() {
  local client=$dir_pki/$1.kubeconfig
  local serve=(--tls-cert-file="$dir_pki/server.crt" --tls-private-key-file="$dir_pki/server.key")
  local as_client=(--kubeconfig="$client" --authentication-kubeconfig="$client" --authorization-kubeconfig="$client")
  case $1 in
    etcd)
      local url peer
      url=http://127.0.0.1:$(port etcd) peer=http://127.0.0.1:$(port etcd-peer)
      # Tests do not survive the machine, so they need not wait for its disk.
      arguments=(--name=testbed --data-dir="$dir_etcd" --unsafe-no-fsync --log-level=warn
        --listen-client-urls="$url" --advertise-client-urls="$url"
        --listen-peer-urls="$peer" --initial-advertise-peer-urls="$peer" --initial-cluster="testbed=$peer")
      ;;
    kube-apiserver)
      arguments=(--etcd-servers="http://127.0.0.1:$(port etcd)" "${serve[@]}"
        --bind-address=127.0.0.1 --advertise-address=127.0.0.1 --secure-port="$(port kube-apiserver)"
        --client-ca-file="$dir_pki/ca.crt" --service-account-issuer=https://kubernetes.default.svc
        --service-account-key-file="$dir_pki/service-account.pub"
        --service-account-signing-key-file="$dir_pki/service-account.key"
        --service-cluster-ip-range=10.96.0.0/16 --authorization-mode=Node,RBAC
        --enable-admission-plugins=NodeRestriction --allow-privileged --endpoint-reconciler-type=none
        --audit-policy-file="$here/config/audit-policy.yaml" --audit-log-path="$dir/audit.log"
        --requestheader-client-ca-file="$dir_pki/front-proxy-ca.crt" --requestheader-allowed-names=front-proxy-client
        --requestheader-extra-headers-prefix=X-Remote-Extra- --requestheader-group-headers=X-Remote-Group
        --requestheader-username-headers=X-Remote-User
        --proxy-client-cert-file="$dir_pki/front-proxy-client.crt" --proxy-client-key-file="$dir_pki/front-proxy-client.key")
      ;;
    kube-controller-manager)
      # The rates are high so that the controllers do not slow down tests that run in parallel. The grace period is long so
      # that nodes stay Ready while a test keeps the API server down.
      arguments=("${as_client[@]}" "${serve[@]}" --bind-address=127.0.0.1 --secure-port="$(port kube-controller-manager)"
        --service-account-private-key-file="$dir_pki/service-account.key" --root-ca-file="$dir_pki/ca.crt"
        --cluster-signing-cert-file="$dir_pki/ca.crt" --cluster-signing-key-file="$dir_pki/ca.key"
        --use-service-account-credentials --leader-elect=false --kube-api-qps=500 --kube-api-burst=1000
        --node-monitor-grace-period=150s --horizontal-pod-autoscaler-sync-period=3s)
      ;;
    kube-scheduler)
      arguments=("${as_client[@]}" "${serve[@]}" --bind-address=127.0.0.1 --secure-port="$(port kube-scheduler)"
        --leader-elect=false --kube-api-qps=500 --kube-api-burst=1000)
      ;;
    kwok)
      arguments=(--kubeconfig="$client" "${serve[@]}" --config="$here/config/kwok.yaml" --manage-all-nodes=false
        --manage-nodes-with-annotation-selector=kwok.x-k8s.io/node=fake --node-lease-duration-seconds=40
        --node-ip=127.0.0.1 --node-port="$(port kwok)" --server-address="127.0.0.1:$(port kwok)")
      ;;
    metrics-server)
      arguments=("${as_client[@]}" "${serve[@]}" --bind-address=127.0.0.1 --secure-port="$(port metrics-server)"
        --cert-dir="$dir/metrics-server-cert" --kubelet-insecure-tls --kubelet-use-node-status-port
        --kubelet-preferred-address-types=InternalIP --kubelet-request-timeout=5s --metric-resolution=10s)
      ;;
    controllers)
      # A node that does not exist, so that it leaves nodes and pods to the other kwok.
      arguments=(--kubeconfig="$dir_pki/kwok.kubeconfig" "${serve[@]}" --manage-single-node=none
        --server-address="127.0.0.1:$(port controllers)")
      local kinds group version resource
      kinds=$(simulated_kinds)
      while read -r group version resource; do
        poll published "$group" "$version" "$resource"
        case $resource in
          ingresses) arguments+=(--config="$here/config/controllers/ingress.yaml") ;;
          *) arguments+=(--config="$here/config/controllers/${resource%s}.yaml") ;;
        esac
      done <<<"$kinds"
      ;;
    databases) arguments=("$(binary_path kubectl)" "$dir/admin.kubeconfig") ;;
  esac
}

# start_component NAME starts it in a session of its own, so that it outlives the shell that started it.
start_component() {
  local binary arguments
  case $1 in
    databases) binary=$here/config/controllers/databases ;;
    *) binary=$(binary_path "${1/controllers/kwok}") ;;
  esac
  component_arguments "$1"
  ! declare -F more_arguments >/dev/null || more_arguments "$1"
  printf -- '--- %s: %s %s\n' "$(date -u +%FT%TZ)" "$binary" "${arguments[*]}" >>"$dir_logs/$1.log"
  setsid "$binary" "${arguments[@]}" </dev/null >>"$dir_logs/$1.log" 2>&1 &
  remember "$1" $!
  disown
}

# remember NAME PID notes which process is this component.
remember() { echo "$2 $(start_time "$2")" >"$dir_run/$1.pid"; }

# start_time PID prints when the kernel started this process; with the pid it names one process for ever.
# The name in the second field may hold blanks, so what follows the last bracket is read. A zombie counts as gone.
start_time() {
  local stat fields
  stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
  read -ra fields <<<"${stat##*) }"
  [[ ${fields[0]} != Z && ${fields[0]} != X ]] || return 1
  echo "${fields[19]}"
}

# running_pid NAME prints the pid if the process is still the one that was started.
running_pid() {
  local pid started
  read -r pid started 2>/dev/null <"$dir_run/$1.pid" || return 1
  [[ -n $started && $(start_time "$pid") == "$started" ]] || return 1
  echo "$pid"
}

is_running() { running_pid "$1" >/dev/null 2>&1; }

# SIGKILL, because on SIGTERM the API server keeps its port for tens of seconds.
stop_component() {
  local pid
  if pid=$(running_pid "$1" 2>/dev/null); then
    kill -KILL "$pid" 2>/dev/null || true
    while is_running "$1"; do sleep 0.01; done
  fi
  rm -f "$dir_run/$1.pid"
}

# Clients first, so that none of them complains about the servers.
stop_all() {
  local component index
  for ((index = ${#all_components[@]} - 1; index >= 0; index--)); do
    stop_component "${all_components[index]}"
  done
}

# wait_ready NAME waits until the component answers, and gives up at once if its process ended.
wait_ready() {
  failing=$1
  until answers "$1" >/dev/null 2>&1; do
    if ! is_running "$1"; then
      say "$1 ended"
      return 1
    fi
    if ((SECONDS >= deadline)); then
      say "$1 was not ready in time"
      return 1
    fi
    sleep 0.05
  done
}

answers() {
  case $1 in
    etcd) etcd_healthy ;;
    kube-apiserver) kube --request-timeout=2s get --raw /readyz ;;
    # Its readiness needs two scrapes; liveness tells that it serves.
    metrics-server) health metrics-server /livez ;;
    # It serves nothing.
    databases) true ;;
    *) health "$1" /healthz ;;
  esac
}

# health NAME PATH asks a component itself, with the administrator's certificate.
health() {
  kube --server="https://127.0.0.1:$(port "$1")" --request-timeout=2s get --raw "$2"
}

etcd_healthy() { [[ $(plain_get etcd /health) == *'"health":"true"'* ]]; }

# plain_get NAME PATH [ADDRESS] prints what a port answers without TLS, with its head.
plain_get() {
  local connection
  exec {connection}<>"/dev/tcp/${3:-127.0.0.1}/$(port "$1")" || return 1
  printf 'GET %s HTTP/1.0\r\n\r\n' "$2" >&"$connection"
  timeout 2 cat <&"$connection"
}
