# shellcheck shell=bash
# The primary is lost in every way, of the portal's database and of one with the defaults of CloudNativePG at the same time. Both
# have a client with open sessions behind a pooler, on node3; what is measured is its longest time without an acknowledged row.

readonly clusters=(shop-db plain)
# A switchover with open sessions can wait for them for three minutes where the defaults apply. That is not waited for where it is compared.
readonly patience=200 patience_with_defaults=90

story_failovers() {
  within 240 "the cluster with the defaults is healthy" healthy plain 3
  kubectl rollout status deployment/plain-writer --namespace "$namespace" --timeout 60s >/dev/null
  within 240 "its rows are written" writes_since "$(pod_of plain writer)" 0

  both "primary pod killed" kill_primary
  both "switchover" switch_over
  local node=1
  both_on "node$node"
  both "node of the primary drained" drain "node$node"
  kubectl uncordon "node$node" >/dev/null
  within 240 "complete again" all_healthy
  node=$((3 - node))
  both_on "node$node"
  both "node of the primary cut off" cut_off "$node"
  "$testbed" node "$bed" "$node" heal
  within 240 "node healed: complete again" healthy shop-db 3
  record "node healed: three instances healthy again" "$took"
  within 240 "portal Ready" is_whole shop
  kubectl delete --filename "$here/manifests/plain.yaml" --wait=false >/dev/null
}

# both WHAT FAULT ARGUMENT... does it to both; the table gets both gaps.
both() {
  local what=$1 fault=$2 cluster watchers=()
  shift 2
  say "$what"
  for cluster in "${clusters[@]}"; do
    ask "$(pod_of "${cluster%-db}" writer)" /reset
    primary "$cluster" >"$log_folder/primary-$cluster"
  done
  "$fault" "$@"
  for cluster in "${clusters[@]}"; do
    (measure_gap "$cluster") &
    watchers+=($!)
  done
  for watcher in "${watchers[@]}"; do
    wait "$watcher" || fail "$what: a database did not come back"
  done
  record "$what: time without a write" "$(<"$log_folder/gap-shop-db")" "$(<"$log_folder/gap-plain")" "new primary of the portal after $(seconds "$(<"$log_folder/elected-shop-db")") s"
  [[ $fault == drain || $fault == cut_off ]] || within 240 "complete again" all_healthy
}

# Until there is another primary and rows are written to it; leaves the gap in a file. Runs in a shell of its own.
measure_gap() {
  local cluster=$1 writer before
  writer=$(pod_of "${cluster%-db}" writer)
  patiently "$cluster" "has another primary" other_primary "$cluster"
  echo "$took" >"$log_folder/elected-$cluster"
  before=$(ask "$writer" /state | field acked)
  patiently "$cluster" "takes rows" writes_more "$writer" "$before"
  gap "$writer" >"$log_folder/gap-$cluster"
  within 240 "$cluster counts its rows" ask "$writer" /check
  nothing_lost "$writer"
  say "$cluster: $(seconds "$(<"$log_folder/gap-$cluster")") s without a write, $counted_rows rows acknowledged, none lost"
}

# patiently CLUSTER WHAT COMMAND... The defaults may not get over it in time: their PgBouncer holds on to a server that is cut off for as
# long as TCP does.
patiently() {
  local limit=$patience
  [[ $1 != plain ]] || limit=$patience_with_defaults
  if repeated "$limit" "${@:3}"; then
    say "$1 $2: $(seconds "$took") s"
    return
  fi
  [[ $1 == plain ]] || fail "not within $limit s: $1 $2"
  say "not within $limit s: $1 $2"
  echo "more than $limit s" >"$log_folder/gap-plain"
  exit
}

# Ten rows more are no rest of what was on its way.
writes_more() { [[ $(ask "$1" /state | field acked) -gt $(($2 + 10)) ]]; }
other_primary() {
  local now
  now=$(primary "$1")
  [[ $now != "$(<"$log_folder/primary-$1")" && $now == "$(cluster_field "$1" status.targetPrimary)" ]]
}
all_healthy() { healthy shop-db 3 && healthy plain 3; }

kill_primary() {
  kubectl delete pod --namespace "$namespace" "$(primary shop-db)" "$(primary plain)" --force --grace-period 0 >/dev/null 2>&1
}

instance_on() {
  kubectl get pods --namespace "$namespace" --selector "cnpg.io/cluster=$1,cnpg.io/podRole=instance" \
    --field-selector "spec.nodeName=$2" --output 'jsonpath={.items[0].metadata.name}'
}

# As `kubectl cnpg promote` asks for it.
promote() {
  kubectl patch clusters.postgresql.cnpg.io "$1" --namespace "$namespace" --subresource status --type merge --patch "{\"status\": {
    \"targetPrimary\": \"$2\", \"targetPrimaryTimestamp\": \"$(date -u +%FT%TZ)\", \"phase\": \"Switchover in progress\",
    \"phaseReason\": \"Switching over to $2\"}}" >/dev/null
}

# To node1, or to node2 if the primary is on node1.
switch_over() {
  local cluster node
  for cluster in "${clusters[@]}"; do
    node=node1
    [[ $(node_of "$(primary "$cluster")") != node1 ]] || node=node2
    promote "$cluster" "$(instance_on "$cluster" "$node")"
  done
}

# both_on NODE brings both primaries there.
both_on() {
  local cluster target
  for cluster in "${clusters[@]}"; do
    target=$(instance_on "$cluster" "$1")
    [[ $(primary "$cluster") == "$target" ]] || promote "$cluster" "$target"
  done
  within "$patience" "both primaries on $1" both_are_on "$1"
  within 240 "complete again" all_healthy
}
both_are_on() { [[ $(node_of "$(primary shop-db)") == "$1" && $(node_of "$(primary plain)") == "$1" ]]; }

# The drain of the other database must not wait for that of the defaults.
drain() {
  kubectl drain "$1" --ignore-daemonsets --delete-emptydir-data --timeout "${patience}s" --pod-selector 'cnpg.io/cluster!=plain' \
    >"$log_folder/drain.log" 2>&1 &
  kubectl drain "$1" --ignore-daemonsets --delete-emptydir-data --timeout "${patience_with_defaults}s" --pod-selector 'cnpg.io/cluster=plain' \
    >"$log_folder/drain-plain.log" 2>&1 &
}

cut_off() { "$testbed" node "$bed" "$1" cut; }
