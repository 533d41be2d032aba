# shellcheck shell=bash
# The control plane: that of the test bed with simulated nodes, told that it has real ones, and what runs beside it.

services() { echo "$(subnet).240.0/20"; }
dns_address() { echo "$(subnet).240.10"; }

# more_arguments NAME adds to the arguments of a component; a later flag wins.
more_arguments() {
  case $1 in
    kube-apiserver)
      # Pods are reached at their own addresses, as the machine does not know those of Services.
      arguments+=(--bind-address="$server_address" --advertise-address="$server_address" --endpoint-reconciler-type=lease
        --service-cluster-ip-range="$(services)" --enable-aggregator-routing=true
        --kubelet-client-certificate="$dir_pki/admin.crt" --kubelet-client-key="$dir_pki/admin.key"
        --kubelet-certificate-authority="$dir_pki/ca.crt" --kubelet-preferred-address-types=InternalIP)
      ;;
    # A lost node shall be noticed soon.
    kube-controller-manager) arguments+=(--node-monitor-grace-period=20s --node-monitor-period=2s) ;;
    coredns) arguments=(-conf "$dir_run/Corefile") ;;
    versitygw)
      arguments=(--access "$s3_access_key_id" --secret "$s3_secret_access_key" --port "$server_address:$(port versitygw)"
        --health /health posix "$dir_s3")
      ;;
    local-path-provisioner)
      arguments=(start --kubeconfig "$dir_pki/local-path-provisioner.kubeconfig" --config "$dir_run/local-path.json"
        --helper-image "$image_busybox" --service-account-name default)
      ;;
  esac
}

make_bed_certificates() {
  server_address=$(subnet).0.1
  more_names=",IP:$server_address,IP:$(subnet).240.1"
  make_certificates
  local identity
  for identity in coredns local-path-provisioner; do
    make_certificate ca "$identity" "/O=system:masters/CN=$identity" clientAuth
    client_kubeconfig "$identity" >"$dir_pki/$identity.kubeconfig"
  done
  make_plugin_certificates
}

fill_addon() {
  sed -e "s#@ADDRESS@#$server_address#g; s#@PKI@#$dir_pki#g; s#@PORT@#$(port coredns)#g; s#@READY@#$(port coredns-ready)#g" \
    -e "s#@DNS@#$(dns_address)#g; s#@BUSYBOX@#$image_busybox#g; s#@POSTGRES@#$image_postgres#g; s#@PGBOUNCER@#$image_pgbouncer#g" \
    "$nodes_here/config/$1"
}

# Volumes of a node lie in its own folder. Each node is named, as all see the same disk.
local_path_config() {
  local node joined=""
  for ((node = 1; node <= node_count; node++)); do
    joined+=",{\"node\":\"node$node\",\"paths\":[\"$(node_folder "$node")/volumes\"]}"
  done
  echo "{\"nodePathMap\":[${joined#,}]}"
}

apply_addons() {
  fill_addon Corefile >"$dir_run/Corefile"
  local_path_config >"$dir_run/local-path.json"
  fill_addon addons.yaml | kube apply --server-side -f - >/dev/null
  start_component coredns
  start_component local-path-provisioner
}

coredns_ready() { [[ $(plain_get coredns-ready /ready) == *" 200 OK"* ]]; }

apply_operator() {
  on_two_nodes cnpg-manager "app.kubernetes.io/name: cloudnative-pg" "$(manifest_path)" | kube apply --server-side -f - >/dev/null
}

# on_two_nodes SERVICEACCOUNT LABEL MANIFEST prints it with two replicas apart, where there are nodes: with the only operator on the
# lost node nothing fails over until its pod is moved, minutes later.
on_two_nodes() {
  local edits=() apart="{requiredDuringSchedulingIgnoredDuringExecution: [{topologyKey: kubernetes.io/hostname,
        labelSelector: {matchLabels: {$2}}}]}"
  ((node_count == 1)) || edits=(-e 's/^  replicas: 1$/  replicas: 2/'
    -e "s#^      serviceAccountName: $1\$#&\n      affinity: {podAntiAffinity: ${apart//$'\n'/}}#")
  sed "${edits[@]}" -e '' "$3"
}

# The operator answers for its kinds only once its webhook has certificates and a way to its pod.
operator_answers() {
  kube apply --server-side --dry-run=server -f - >/dev/null <<'YAML'
apiVersion: postgresql.cnpg.io/v1
kind: Cluster
metadata:
  name: probe
  namespace: default
spec:
  instances: 1
  storage:
    size: 1Gi
YAML
}
