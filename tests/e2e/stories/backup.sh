# shellcheck shell=bash
# Backups against a real object store, with the real plugin: what a store does to a portal, and what a portal's backups are worth.

readonly store=vault-db

# It waits more than it works, so it is told beside others that leave nodes alone.
story_backup_begins() {
  story_backup >"$log_folder/backup.log" 2>&1 &
  backup_story=$!
}

story_backup_ends() {
  local status=0
  wait "$backup_story" || status=$?
  cat "$log_folder/backup.log"
  ((status == 0)) || fail "the story of backups, above"
}

story_backup() {
  local namespace=vault
  backed_up
  store_stops
  store_hangs
  : >"$log_folder/store-is-left-alone"
  primary_dies
  dumps_are_kept
  backups_get_old
  time_is_turned_back
  old_backups_go
  store_is_emptied
  lives_of_a_database
}

# The portal with its backups, from nothing.
backed_up() {
  local t0 listing
  kubectl create namespace vault --dry-run=client --output yaml | kubectl apply --filename - >/dev/null
  store_credentials vault
  t0=$(now_ms)
  vault_manifest | kubectl apply --filename - >/dev/null
  within 480 "portal with backups: Ready" is_whole vault
  within 480 "its recovery point holds" recovery_point_is True WithinObjective
  record "portal with backups applied: RecoveryPoint holds" $(($(now_ms) - t0)) "" "with the first base backup"
  writer=$(pod_of vault writer)
  within 240 "rows are written" writes_since "$writer" 0
  within 240 "status shows the base backup" policy_is BackupFresh True
  listing=$(in_store base)
  [[ -n $listing && -n $(in_store wals) ]] || fail "the bucket holds no base backup and log: $(ls -R "$PORTAL_S3_DATA/backups")"
  for name in BackupRetained ArchiveRetained; do
    policy_is "$name" True || fail "policy $name does not hold: $(policy_text "$name")"
  done
}

# It refuses connections, and is back.
store_stops() {
  local t0
  "$testbed" s3 stop "$bed" >/dev/null
  t0=$(now_ms)
  within 240 "object store stopped: told" recovery_point_is False ArchivingFailing
  record "object store stopped: RecoveryPoint False with the cause" $(($(now_ms) - t0))
  vault_serves
  "$testbed" s3 start "$bed" >/dev/null
  t0=$(now_ms)
  within 240 "object store started: told" recovery_point_is True WithinObjective
  record "object store started: RecoveryPoint holds, the backlog archived" $(($(now_ms) - t0))
  within 120 "the backlog is archived" nothing_waits
}

# It takes connections and answers nothing.
store_hangs() {
  local t0 pid
  read -r pid _ <"$PORTAL_S3_PID"
  kill -STOP "$pid"
  t0=$(now_ms)
  within 300 "object store hangs: told" recovery_point_is False
  record "object store hangs: RecoveryPoint False with the cause" $(($(now_ms) - t0)) "" \
    "ContinuousArchiving of CloudNativePG: $(cluster_field "$store" 'status.conditions[?(@.type=="ContinuousArchiving")].status')"
  vault_serves
  kill -CONT "$pid"
  t0=$(now_ms)
  within 240 "object store goes on: told" recovery_point_is True WithinObjective
  record "object store goes on: RecoveryPoint holds" $(($(now_ms) - t0))
  within 120 "the backlog is archived" nothing_waits
}

# Archiving goes on from the new primary.
primary_dies() {
  local t0 before segments
  before=$(primary "$store")
  segments=$(in_store wals | wc -l)
  t0=$(now_ms)
  kubectl delete pod "$before" --namespace vault --force --grace-period 0 >/dev/null 2>&1
  within 240 "another primary" another_primary "$store" "$before"
  within 480 "two instances healthy" healthy "$store" 2
  within 480 "its log is archived" archived_since "$segments"
  within 480 "recovery point holds again" recovery_point_is True WithinObjective
  record "primary killed: archiving goes on, RecoveryPoint holds" $(($(now_ms) - t0))
  writer=$(pod_of vault writer)
  nothing_lost "$writer"
}

# Three jobs, of which two dumps are kept; the newest is read by pg_restore.
dumps_are_kept() {
  local t0 number dump count
  for number in 1 2 3; do
    t0=$(now_ms)
    kubectl create job "dump-$number" --namespace vault --from "cronjob/$store-archive" >/dev/null
    within 240 "dump $number" job_is_done "dump-$number"
    # Names are times in seconds.
    ((number > 1)) || record "dump made, stored, read back" $(($(now_ms) - t0))
  done
  within 240 "status tells of them" dumps_are 2
  count=$(find "$PORTAL_S3_DATA/backups/vault/archive" -name '*.dump' | wc -l)
  ((count == 2)) || fail "$count dumps are in the bucket"
  dump=$(find "$PORTAL_S3_DATA/backups/vault/archive" -name '*.dump' | sort | tail -n 1)
  psql "$store" 'CREATE DATABASE dumped' >/dev/null
  kubectl exec --namespace vault --container postgres --stdin "$(primary "$store")" -- \
    pg_restore --no-owner --exit-on-error --dbname dumped <"$dump"
  count=$(psql_in dumped 'SELECT count(*) FROM rows')
  ((count > 0)) || fail "the dump holds no rows"
  psql "$store" 'DROP DATABASE dumped' >/dev/null
}

# Three base backups, two of which are made old: the oldest is no longer needed. It goes while another story is told.
backups_get_old() {
  back_up again
  back_up once-more
  oldest_window=$(portal_field vault '{.status.database.recoverableFrom}')
  make_older 20 10
}

# The restore of docs/restore.md, to a moment between two rows.
time_is_turned_back() {
  local moment t0
  psql "$store" 'CREATE TABLE marks (name text)' >/dev/null
  psql "$store" "INSERT INTO marks VALUES ('before')" >/dev/null
  moment=$(psql "$store" 'SELECT clock_timestamp()')
  psql "$store" "INSERT INTO marks VALUES ('after')" >/dev/null
  archive_now
  t0=$(now_ms)
  documented_restore "$moment" | kubectl apply --filename - >/dev/null
  within 480 "restored" healthy restored 1
  record "restored to a moment between two rows, by hand" $(($(now_ms) - t0))
  [[ $(psql restored 'SELECT name FROM marks') == before ]] || fail "restored: $(psql restored 'SELECT name FROM marks')"
  kubectl delete clusters.postgresql.cnpg.io restored --namespace vault --wait=true >/dev/null
}

# The plugin looks each minute, but five minutes later where another has written the ObjectStore at the same time.
old_backups_go() {
  within 480 "the oldest base backup is pruned" backups_in_store_are 2
  within 240 "status shows the window" window_moved "$oldest_window"
  policy_is BackupRetained True || fail "$(policy_text BackupRetained)"
}

store_is_emptied() {
  local t0
  rm -rf "$PORTAL_S3_DATA/backups/vault"
  t0=$(now_ms)
  within 480 "object store emptied: told" recovery_point_is False
  record "object store emptied: RecoveryPoint False with the cause" $(($(now_ms) - t0)) "" \
    "ContinuousArchiving of CloudNativePG: $(cluster_field "$store" 'status.conditions[?(@.type=="ContinuousArchiving")].status')"
  vault_serves
  back_up after-loss
  within 240 "a base backup by hand heals it" recovery_point_is True WithinObjective
}

# Kept with its data it goes on in the same archive; without them another begins.
lives_of_a_database() {
  local spec before
  spec=$(portal_field vault '{.spec}')
  before=$(server_name)
  kubectl delete portal vault --namespace vault --wait=true >/dev/null
  within 240 "the components go with the portal" no_deployment
  kubectl get objectstores.barmancloud.cnpg.io "$store" --namespace vault >/dev/null || fail "the ObjectStore is gone"
  create_vault "$spec"
  within 480 "taken back: recovery point holds" recovery_point_is True WithinObjective
  [[ $(server_name) == "$before" ]] || fail "the archive of the same life is $(server_name) and was $before"
  patch vault '{"spec": {"database": {"reclaimPolicy": "Delete", "confirmDelete": "vault"}}}'
  spec=$(portal_field vault '{.spec}')
  within 240 "the Cluster belongs to the portal" vault_is_owned
  kubectl delete portal vault --namespace vault --wait=true >/dev/null
  within 240 "its data go with it" vault_is_gone
  create_vault "$spec"
  within 480 "another life: recovery point holds" recovery_point_is True WithinObjective
  [[ $(server_name) != "$before" ]] || fail "another life archives into $before"
  kubectl delete portal vault --namespace vault --wait=true >/dev/null
}

# --- what is asked

# documented_restore MOMENT prints the Cluster of docs/restore.md, as a reader would fill it in.
documented_restore() {
  awk '/^ *```yaml$/ { inside = 1; next } inside && /^ *```$/ { exit } inside' "$root/docs/restore.md" |
    sed "s|NAMESPACE|vault|; s|PORTAL|vault|; s|SERVER_NAME|$(server_name)|; s|targetTime: \".*\"|targetTime: \"$1\"|"
}
store_credentials() {
  kubectl create secret generic s3 --namespace "$1" --from-literal "ACCESS_KEY_ID=$PORTAL_S3_ACCESS_KEY_ID" \
    --from-literal "ACCESS_SECRET_KEY=$PORTAL_S3_SECRET_ACCESS_KEY" --dry-run=client --output yaml | kubectl apply --filename - >/dev/null
}
vault_manifest() { sed "s|S3_ENDPOINT|$PORTAL_S3_ENDPOINT|" "$here/manifests/vault.yaml"; }
create_vault() {
  printf '{"apiVersion": "portalplatform.dev/v1alpha1", "kind": "PortalPlatform", "metadata": {"name": "vault", "namespace": "vault"}, "spec": %s}' \
    "$1" | kubectl create --filename - >/dev/null
}
policy_text() { portal_field vault "{.status.policies[?(@.name==\"$1\")]['status','reason','observed','message']}"; }
policy_is() { [[ $(policy vault "$1") == "$2" ]]; }
recovery_point_is() { [[ $(policy_text RecoveryPoint) == "$1 ${2:-}"* ]]; }
# The portal is Ready, and rows are written meanwhile.
vault_serves() {
  local acked
  within 60 "the portal is Ready meanwhile" is_ready vault
  acked=$(ask "$writer" /state | field acked)
  within 240 "rows are written meanwhile" writes_since "$writer" "$acked"
}
server_name() { cluster_field "$store" 'spec.plugins[0].parameters.serverName'; }
# in_store FOLDER lists the files of this life of the database.
in_store() { find "$PORTAL_S3_DATA/backups/vault/$(server_name)/$1" -type f 2>/dev/null; }
archived_since() { (($(in_store wals | wc -l) > $1)); }
# What had waited for the store is archived; a segment may be on its way.
nothing_waits() { (($(psql "$store" "SELECT count(*) FROM pg_ls_archive_statusdir() WHERE name LIKE '%.ready'") <= 1)); }
another_primary() { [[ -n $(primary "$1") && $(primary "$1") != "$2" ]]; }
psql_in() {
  kubectl exec --namespace vault --container postgres "$(primary "$store")" -- psql --no-psqlrc --tuples-only --no-align --dbname "$1" --command "$2"
}
job_is_done() { [[ $(kubectl get job "$1" --namespace vault --output 'jsonpath={.status.succeeded}') == 1 ]]; }
dumps_are() { [[ $(portal_field vault '{.status.database.dumps.count}') == "$1" ]]; }
# All that is written by now is in the archive.
archive_now() {
  local segment
  segment=$(psql "$store" "SELECT pg_walfile_name(pg_switch_wal())")
  within 240 "segment $segment is archived" segment_is_archived "$segment"
}
segment_is_archived() { in_store wals | grep -q "/$1"; }
# back_up NAME makes a base backup by hand and waits for it in status.
back_up() {
  local before
  before=$(portal_field vault '{.status.database.lastBackup}')
  kubectl create --namespace vault --filename - >/dev/null <<YAML
{"apiVersion": "postgresql.cnpg.io/v1", "kind": "Backup", "metadata": {"name": "$1"},
 "spec": {"cluster": {"name": "$store"}, "method": "plugin", "pluginConfiguration": {"name": "barman-cloud.cloudnative-pg.io"}}}
YAML
  within 240 "base backup $1 is in status" last_backup_is_not "$before"
}
last_backup_is_not() {
  local now
  now=$(portal_field vault '{.status.database.lastBackup}')
  [[ -n $now && $now != "$1" ]]
}
backups_in_store() { find "$PORTAL_S3_DATA/backups/vault/$(server_name)/base" -name backup.info | sort; }
backups_in_store_are() { (($(backups_in_store | wc -l) == $1)); }
# make_older DAYS... makes the oldest base backups as many days older, in the object store's own way, which keeps checksums.
make_older() {
  local days file
  while read -r file && (($#)); do
    days=$1
    shift
    kubectl exec --namespace vault --container plugin-barman-cloud --stdin "$(primary "$store")" -- \
      env "AWS_ACCESS_KEY_ID=$PORTAL_S3_ACCESS_KEY_ID" "AWS_SECRET_ACCESS_KEY=$PORTAL_S3_SECRET_ACCESS_KEY" AWS_DEFAULT_REGION=us-east-1 \
      python3 - "$PORTAL_S3_ENDPOINT" "${file#"$PORTAL_S3_DATA/backups/"}" "$days" <<'PYTHON'
import datetime, re, sys
import boto3
endpoint, key, days = sys.argv[1], sys.argv[2], int(sys.argv[3])
s3 = boto3.client("s3", endpoint_url=endpoint)
text = s3.get_object(Bucket="backups", Key=key)["Body"].read().decode()
def older(found):
    moment = datetime.datetime.fromisoformat(found[2]) - datetime.timedelta(days=days)
    return f"{found[1]}{moment.isoformat(' ')}"
text = re.sub(r"^((?:begin|end)_time=)(.*)$", older, text, flags=re.M)
s3.put_object(Bucket="backups", Key=key, Body=text.encode())
PYTHON
  done < <(backups_in_store)
}
window_moved() {
  local now
  now=$(portal_field vault '{.status.database.recoverableFrom}')
  [[ -n $now && $now != "$1" ]]
}
no_deployment() { [[ -z $(kubectl get deployments --namespace vault --output name) ]]; }
vault_is_owned() { [[ $(cluster_field "$store" 'metadata.ownerReferences[0].kind') == PortalPlatform ]]; }
vault_is_gone() { [[ -z $(kubectl get clusters.postgresql.cnpg.io,pvc,secret --namespace vault --selector "cnpg.io/cluster=$store" --output name) ]]; }
