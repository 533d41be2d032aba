# shellcheck shell=bash
# What the stories are told with: wait, measure, ask a portal, read what a user would read.

namespace=shop
# Not `e2e`, which is cargo's own folder for the profile of that name.
readonly log_folder=${E2E_LOGS:-$root/target/stories}

now_ms() { echo $((${EPOCHREALTIME/[.,]/} / 1000)); }
# seconds MILLISECONDS prints them as 3.2
seconds() { printf '%d.%d' $(($1 / 1000)) $(($1 % 1000 / 100)); }

say() { printf 'e2e %6s s: %s\n' "$(seconds $(($(now_ms) - began)))" "$*"; }

# begin STORY announces a part; a failure names it.
begin() {
  story=$1
  printf '\n'
  say "--- $1"
}

fail() {
  say "failed in $story: $*"
  exit 1
}

# What helps to see why it failed.
on_exit() {
  local status=$1
  trap - EXIT
  jobs -p | xargs --no-run-if-empty kill 2>/dev/null || true
  ((status == 0)) && return
  {
    kubectl get portal,pods,clusters.postgresql.cnpg.io,poolers --all-namespaces --output wide
    kubectl get portal --all-namespaces --output yaml
    kubectl get events --all-namespaces --sort-by .lastTimestamp | tail -n 60
    kubectl logs --namespace portal-operator-system --selector app.kubernetes.io/name=portal-operator --tail 100 --prefix
    kubectl describe nodes
  } >"$log_folder/failure.txt" 2>&1 || true
  kubectl get portal --all-namespaces || true
  kubectl get pods --all-namespaces --field-selector status.phase!=Succeeded || true
  # shellcheck disable=SC2016 # a template
  kubectl get portal --all-namespaces -o go-template='{{range .items}}{{.metadata.namespace}}/{{.metadata.name}}:{{"\n"}}{{range .status.conditions}}  {{.type}} {{.status}} {{.reason}}: {{.message}}{{"\n"}}{{end}}{{range .status.policies}}{{if ne .status "True"}}  {{.name}} {{.status}} {{.reason}}: {{.message}}{{"\n"}}{{end}}{{end}}{{end}}' || true
  kubectl get scheduledbackups.postgresql.cnpg.io,backups.postgresql.cnpg.io,jobs --all-namespaces || true
  kubectl get events --all-namespaces --field-selector type=Warning --sort-by .lastTimestamp | tail -n 15 | cut -c 1-300 || true
  # shellcheck disable=SC2016 # a template
  kubectl get nodes -o go-template='{{range .items}}{{$node := .metadata.name}}{{range .status.conditions}}{{$node}} {{.type}} {{.status}}: {{.message}}{{"\n"}}{{end}}{{end}}' || true
  df --human-readable "$bed"
  free --mebi
  say "more in $log_folder"
  printf 'story %s ... FAILED\n%d passed, 1 failed, 0 skipped\n' "$story" "$passed"
  exit "$status"
}

# repeated SECONDS COMMAND... repeats COMMAND until it succeeds, for so long; `took` is how long that was, in milliseconds.
repeated() {
  local limit=$1 t0
  shift
  t0=$(now_ms)
  until "$@" >/dev/null 2>&1; do
    (($(now_ms) - t0 < limit * 1000)) || return 1
    read -rt 0.8 <> <(:) || true
  done
  took=$(($(now_ms) - t0))
}

# within SECONDS WHAT COMMAND... does the same and fails where it does not succeed.
within() {
  repeated "$1" "${@:3}" || fail "not within $1 s: $2"
  say "$2: $(seconds "$took") s"
}

# record WHAT OURS [DEFAULTS [REMARK]] adds a line to the table; times in milliseconds.
record() {
  local ours=$2 defaults=${3:-}
  [[ ! $ours =~ ^[0-9]+$ ]] || ours="$(seconds "$ours") s"
  [[ ! $defaults =~ ^[0-9]+$ ]] || defaults="$(seconds "$defaults") s"
  printf '%s\t%s\t%s\t%s\n' "$1" "$ours" "$defaults" "${4:-}" >>"$table"
}

# --- portals

portal_field() { kubectl get portal "$1" --namespace "$namespace" --output "jsonpath=$2"; }
condition() { portal_field "$1" "{.status.conditions[?(@.type==\"$2\")]['status','reason','message']}"; }
policy() { portal_field "$1" "{.status.policies[?(@.name==\"$2\")].status}"; }

# Ready, and about the newest edit.
is_ready() {
  local generation status observed
  read -r generation status observed < <(kubectl get portal "$1" --namespace "$namespace" --output \
    'jsonpath={.metadata.generation} {.status.conditions[?(@.type=="Ready")].status} {.status.conditions[?(@.type=="Ready")].observedGeneration}')
  [[ $status == True && $observed == "$generation" ]]
}
not_ready() { ! is_ready "$1"; }
says() { [[ $(condition "$1" "$2") == *"$3"* ]]; }
# Ready, and the database complete besides.
is_whole() { is_ready "$1" && says "$1" DatabaseReady "True"; }

patch() { kubectl patch portal "$1" --namespace "$namespace" --type merge --patch "$2" >/dev/null; }

# waited_for PORTAL SINCE prints what Ready named on the way, from the log of the watch.
waited_for() {
  awk -F '|' -v portal="$namespace/$1" -v since="$2" '$1 >= since && $2 == portal && $3 != "True" && $4 != "" && !($4 in seen) { printf "%s%s", sep, $4; sep = ", "; seen[$4] }' \
    "$log_folder/reasons.log"
}

# --- databases; the default namespace of kubectl is that of the stories

cluster_field() { kubectl get clusters.postgresql.cnpg.io "$1" --namespace "$namespace" --output "jsonpath={.$2}"; }
primary() { cluster_field "$1" status.currentPrimary; }
healthy() { [[ $(cluster_field "$1" status.readyInstances)/$(cluster_field "$1" status.phase) == "$2/Cluster in healthy state" ]]; }
node_of() { kubectl get pod "$1" --namespace "$namespace" --output 'jsonpath={.spec.nodeName}'; }
# psql CLUSTER SQL as its superuser, on the primary.
psql() {
  kubectl exec --namespace "$namespace" --container postgres "$(primary "$1")" -- \
    psql --no-psqlrc --tuples-only --no-align --dbname app --command "$2"
}

# --- what is written

# pod_of PORTAL COMPONENT prints a pod of it that is not on its way out.
pod_of() {
  # shellcheck disable=SC2016 # a template
  kubectl get pods --namespace "$namespace" --selector "portalplatform.dev/name=$1,portalplatform.dev/component=$2" --output \
    go-template='{{range .items}}{{if and (not .metadata.deletionTimestamp) (eq .status.phase "Running")}}{{.metadata.name}}{{"\n"}}{{end}}{{end}}' | head -n 1
}
# ask POD PATH, through the API server: to enter a container costs several times as much, many times a minute.
ask() { kubectl get --raw "/api/v1/namespaces/$namespace/pods/$1/proxy$2"; }
# field NAME reads it from the answer of /check.
field() { sed -n "s/.*\"$1\":\([0-9.]*\).*/\1/p"; }
# A row was acknowledged since.
writes_since() { [[ $(ask "$1" /state | field acked) -gt $2 ]]; }
# gap POD prints the longest time without an acknowledgement since the last reset, in milliseconds.
gap() { ask "$1" /state | field gapSeconds | awk '{ printf "%d", $1 * 1000 }'; }

# nothing_lost POD: each acknowledged row is there. A statement may meet a session that a failover has just ended.
nothing_lost() {
  local answer lost deadline=$((SECONDS + 30))
  until answer=$(ask "$1" /check); do
    ((SECONDS < deadline)) || fail "$1 cannot count its rows"
  done
  lost=$(field lost <<<"$answer")
  [[ $lost == 0 ]] || fail "$lost acknowledged rows are lost: $answer"
  counted_rows=$(field acked <<<"$answer")
}
