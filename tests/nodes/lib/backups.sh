# shellcheck shell=bash
# Backups: the Barman Cloud plugin of CloudNativePG, and an S3 server on the machine whose buckets are folders of the test bed.

readonly s3_access_key_id=testbed s3_secret_access_key=testbed-secret

s3_endpoint() { echo "http://$server_address:$(port versitygw)"; }

# more_exports adds to what `testbed env` prints.
more_exports() {
  printf 'export PORTAL_S3_ENDPOINT=%q PORTAL_S3_DATA=%q PORTAL_S3_PID=%q PORTAL_S3_ACCESS_KEY_ID=%q PORTAL_S3_SECRET_ACCESS_KEY=%q\n' \
    "$(s3_endpoint)" "$dir_s3" "$dir_run/versitygw.pid" "$s3_access_key_id" "$s3_secret_access_key"
}

start_s3() {
  mkdir -p "$dir_s3"
  start_component versitygw
}

s3_answers() { [[ $(plain_get versitygw /health "$server_address") == *" 200 OK"* ]]; }

wait_s3() {
  failing=versitygw
  until s3_answers 2>/dev/null; do
    is_running versitygw || { say "the S3 server ended"; return 1; }
    ((SECONDS < deadline)) || { say "the S3 server was not ready in time"; return 1; }
    sleep 0.05
  done
}

# make_plugin_certificates makes what the plugin's manifest has cert-manager make.
make_plugin_certificates() {
  make_certificate ca barman-cloud-server /CN=barman-cloud serverAuth DNS:barman-cloud
  make_certificate ca barman-cloud-client /CN=barman-cloud-client clientAuth
}

# apply_plugin needs the namespace of the operator.
apply_plugin() {
  {
    plugin_secret server
    plugin_secret client
    on_two_nodes plugin-barman-cloud "app: barman-cloud" "$(plugin_manifest_path)"
  } | kube apply --server-side -f - >/dev/null
}

# The second pod waits for the lead and is not Ready until it has it.
plugin_answers() { (($(kube --namespace cnpg-system get deployment barman-cloud --output 'jsonpath={.status.readyReplicas}') > 0)); }

# With the authority: each side trusts what the other's Secret holds, and names it when it asks for a certificate.
plugin_secret() {
  cat <<YAML
apiVersion: v1
kind: Secret
metadata:
  name: barman-cloud-$1-tls
  namespace: cnpg-system
type: kubernetes.io/tls
data:
  tls.crt: $(cat "$dir_pki/barman-cloud-$1.crt" "$dir_pki/ca.crt" | openssl base64 -A)
  tls.key: $(base64_of "$dir_pki/barman-cloud-$1.key")
---
YAML
}
