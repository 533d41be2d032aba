# shellcheck shell=bash
# Edits of a database in use: the portal stays available, or the status says otherwise.

story_changes() {
  change parameters '{"spec": {"database": {"managed": {"parameters": {"max_wal_senders": "12"}}}}}' \
    "parameter that needs a restart changed" parameter_is max_wal_senders 12
  change password "" "password of the database changed" password_is_used
  change pooler '{"spec": {"database": {"managed": {"pooler": {"mode": "None"}}}}}' "pooler removed" host_is shop-db-rw
  change pooler-again '{"spec": {"database": {"managed": {"pooler": null}}}}' "pooler added" host_is shop-db-pooler
  grow
}

# A StorageClass that does not let volumes grow, then one that does. Its driver has nobody who resizes, so that is played here.
grow() {
  local t0
  t0=$(now_ms)
  patch shop '{"spec": {"database": {"managed": {"storage": {"size": "21Gi"}}}}}'
  within 240 "volumes that cannot grow are told" says shop DatabaseReady "allowVolumeExpansion: true"
  say "DatabaseReady: $(condition shop DatabaseReady)"
  record "storage raised where the StorageClass forbids it: told in status" $(($(now_ms) - t0))
  kubectl patch storageclass local-path --type merge --patch '{"allowVolumeExpansion": true}' >/dev/null
  # The operator of CloudNativePG tries again less and less often; any change of the Cluster makes it try at once.
  kubectl annotate clusters.postgresql.cnpg.io shop-db --namespace "$namespace" e2e/try=again --overwrite >/dev/null
  within 240 "larger volumes are asked for" volumes_are 21Gi
  within 240 "a driver that does not grow them is told" says shop DatabaseReady "the driver of StorageClass local-path"
  local volume
  for volume in $(kubectl get pvc --namespace "$namespace" --selector cnpg.io/cluster=shop-db --output name); do
    kubectl patch "$volume" --namespace "$namespace" --subresource status --type merge \
      --patch '{"status": {"capacity": {"storage": "21Gi"}}}' >/dev/null
  done
  within 240 "volumes grown: Ready" is_whole shop
  record "storage raised, StorageClass allows it: Ready" "$took"
}

# change NAME PATCH WHAT CHECK...
change() {
  local name=$1 edit=$2 what=$3 t0 least remark
  shift 3
  say "$what"
  watch_available "$name"
  watch_reasons "$name"
  t0=$(now_ms)
  if [[ $name == password ]]; then change_password; else patch shop "$edit"; fi
  # Each instance restarts once, and backups come behind that.
  within 480 "$what: in use" "$@"
  within 240 "$what: Ready" is_whole shop
  least=$(least_available "$name")
  remark="never fewer than $least pods available"
  if ((least == 0)); then
    grep -q "^False" "$log_folder/ready-$name" || fail "$what: no pod was available and Ready did not say so"
    remark="for a time no pod available, and status said so"
  fi
  kill "$reasons_watch" 2>/dev/null || true
  record "$what: Ready" $(($(now_ms) - t0)) "" "$remark"
  within 240 "rows are written" writes_since "$(pod_of shop writer)" 0
}

watch_reasons() {
  kubectl get portal shop --namespace "$namespace" --watch \
    --output 'jsonpath={.status.conditions[?(@.type=="Ready")].status} {.status.conditions[?(@.type=="Ready")].message}{"\n"}' \
    >"$log_folder/ready-$1" 2>/dev/null &
  reasons_watch=$!
}

parameter_is() { [[ $(psql shop-db "SHOW $1") == "$2" ]] && healthy shop-db 3; }

change_password() {
  new_password=changed$RANDOM$RANDOM
  old_writer=$(pod_of shop writer)
  kubectl patch secret shop-db-app --namespace "$namespace" --type merge \
    --patch "{\"stringData\": {\"password\": \"$new_password\"}}" >/dev/null
}
# The pods are others and work with it.
password_is_used() {
  local writer
  writer=$(pod_of shop writer)
  [[ -n $writer && $writer != "$old_writer" ]] && writes_since "$writer" 0 &&
    [[ $(kubectl exec --namespace "$namespace" --container postgres "$(primary shop-db)" -- env "PGPASSWORD=$new_password" \
      psql --no-psqlrc --tuples-only --no-align --host 127.0.0.1 --username app --dbname app --command 'SELECT 1') == 1 ]]
}

host_is() {
  local writer
  writer=$(pod_of shop writer)
  [[ -n $writer ]] && [[ $(kubectl get pod "$writer" --namespace "$namespace" --output \
    'jsonpath={.metadata.deletionTimestamp}') == "" ]] && kubectl get configmap --namespace "$namespace" --output yaml | grep -q "PGHOST: $1" &&
    is_rolled_out registry.local/portal:2 && writes_since "$writer" 0
}

volumes_are() {
  [[ $(kubectl get pvc --namespace "$namespace" --selector cnpg.io/cluster=shop-db --output \
    'jsonpath={range .items[*]}{.spec.resources.requests.storage}{"\n"}{end}' | sort -u) == "$1" ]]
}
