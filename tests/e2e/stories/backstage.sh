# shellcheck shell=bash
# A real Backstage on this database: its first start alone, then three, a rollout, a failover and a wrong password.

story_backstage() {
  local namespace=backstage t0 most
  kubectl apply --filename "$here/manifests/backstage.yaml" >/dev/null
  t0=$(now_ms)
  watch_pods
  within 300 "Backstage: first pod Ready" pods_ready 1
  record "Backstage, profile Production: first pod Ready" $(($(now_ms) - t0)) "" "waited for: $(waited_for developer "$t0")"
  most=$(most_pods_before_ready)
  ((most == 1)) || fail "$most pods in the first start"
  within 240 "Backstage: three pods Ready" pods_ready 3
  within 240 "Backstage: portal Ready" is_whole developer
  record "Backstage: three pods and portal Ready" $(($(now_ms) - t0)) "" "never two pods before the first was Ready"
  serves
  no_locked_table

  kubectl patch portal developer --namespace "$namespace" --type merge --patch '{"spec": {"image": "registry.local/backstage:2"}}' >/dev/null
  within 300 "Backstage: rollout" all_of developer app registry.local/backstage:2
  record "Backstage: rollout of three pods to a new image" "$took"
  no_locked_table

  local before
  before=$(primary developer-db)
  kubectl delete pod --namespace "$namespace" "$before" --force --grace-period 0 >/dev/null 2>&1
  within 240 "Backstage: another primary" primary_is_not "$before"
  within 240 "Backstage: answers from the database again" serves
  record "Backstage: primary pod killed, answers from the database again" "$took"
  [[ -z $(restarts_of_backstage) ]] || fail "the failover restarted Backstage: $(restarts_of_backstage)"
  within 240 "Backstage: database complete again" healthy developer-db 3

  psql developer-db "ALTER ROLE app PASSWORD 'wrong'" >/dev/null
  kubectl delete pod --namespace "$namespace" "$(pod_of developer app)" >/dev/null
  within 240 "Backstage: a new pod with a wrong password is told" backstage_says "exit"
  say "Ready: $(condition developer Ready)"
  record "Backstage: password wrong in the database, told in status" "$took"
  psql developer-db "ALTER ROLE app PASSWORD '$(kubectl get secret developer-db-app --namespace "$namespace" --output \
    'go-template={{.data.password | base64decode}}')'" >/dev/null
  within 240 "Backstage: password right again: Ready" is_whole developer
  record "Backstage: password right again: Ready" "$took"
  no_locked_table
}

pods_ready() {
  [[ $(kubectl get deployment developer-app --namespace "$namespace" --output 'jsonpath={.status.readyReplicas}') -ge $1 ]]
}

# watch_pods notes every change of a pod of Backstage: name and Ready.
watch_pods() {
  kubectl get pods --namespace "$namespace" --selector portalplatform.dev/name=developer,portalplatform.dev/component=app --watch --output \
    'jsonpath={.metadata.name} {.status.conditions[?(@.type=="Ready")].status}{"\n"}' >"$log_folder/pods-backstage" 2>/dev/null &
}
most_pods_before_ready() { awk '{ if (!($1 in seen)) { seen[$1]; n++ } if ($2 == "True") exit } END { print n }' "$log_folder/pods-backstage"; }

# An answer that needs the database.
serves() {
  kubectl exec --namespace "$namespace" "$(pod_of developer app)" -- node --eval \
    'fetch("http://127.0.0.1:7007/api/auth/.well-known/jwks.json").then((answer) => process.exit(answer.ok ? 0 : 1), () => process.exit(1))'
}

primary_is_not() { [[ $(primary developer-db) != "$1" ]]; }
restarts_of_backstage() {
  kubectl get pods --namespace "$namespace" --selector portalplatform.dev/name=developer,portalplatform.dev/component=app \
    --output 'jsonpath={range .items[*]}{.metadata.name}={.status.containerStatuses[0].restartCount}{"\n"}{end}' | grep -v '=0$' || true
}
backstage_says() { not_ready developer && says developer Ready "$1"; }

# A lock that is held, or a table with two rows, would stop every later start.
no_locked_table() {
  local broken
  broken=$(psql developer-db "SELECT count(*) FROM pg_tables t, LATERAL (SELECT
    (xpath('/row/n/text()', query_to_xml(format('SELECT count(*) + sum(is_locked) AS n FROM %I.%I', schemaname, tablename), false, true, '')))[1]::text::int AS n) l
    WHERE tablename LIKE '%knex_migrations_lock' AND n <> 1")
  [[ $broken == 0 ]] || fail "$broken migration tables are locked"
}
