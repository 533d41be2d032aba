# shellcheck shell=bash
# Backups come to a Production portal in use, and its primary dies with them.

story_production_backup() {
  # The story of backups stops and freezes the store that both use.
  within 900 "the object store is left alone" test -e "$log_folder/store-is-left-alone"
  store_credentials "$namespace"
  change backups '{"spec": {"backup": {"destination": {"path": "s3://backups/shop", "endpoint": "'"$PORTAL_S3_ENDPOINT"'",
    "credentialsSecretRef": {"name": "s3"}}, "objectives": {"rpo": "2m"}}}}' "backups added to a portal in use" backup_policies_hold

  local t0
  ask "$(pod_of shop writer)" /reset
  primary shop-db >"$log_folder/primary-shop-db"
  t0=$(now_ms)
  kubectl delete pod --namespace "$namespace" "$(<"$log_folder/primary-shop-db")" --force --grace-period 0 >/dev/null 2>&1
  (measure_gap shop-db)
  record "with backups: primary pod killed: time without a write" "$(<"$log_folder/gap-shop-db")" "" \
    "new primary after $(seconds "$(<"$log_folder/elected-shop-db")") s"
  within 240 "complete again" healthy shop-db 3
  within 240 "the policies about backups hold again" backup_policies_hold
  record "with backups: primary pod killed: policies hold" $(($(now_ms) - t0))
}

backup_policies_hold() {
  local name
  for name in RecoveryPoint BackupFresh BackupRetained ArchiveRetained; do
    holds shop "$name" || return 1
  done
}
