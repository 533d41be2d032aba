# shellcheck shell=bash
# One certificate authority for the cluster, one for the aggregation layer, one certificate for each identity.

# Where clients reach the API server, and further names in its certificate, as in ,IP:10.0.0.1.
server_address=127.0.0.1
more_names=""
readonly api_server_names=IP:127.0.0.1,IP:10.96.0.1,DNS:localhost,DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,DNS:kubernetes.default.svc.cluster.local

make_certificates() {
  mkdir -p "$dir_pki"
  make_authority ca portal-testbed
  make_authority front-proxy-ca portal-testbed-front-proxy
  # One serving certificate for all: every component listens on the same address.
  make_certificate ca server "/CN=kube-apiserver" serverAuth
  make_certificate ca admin "/O=system:masters/CN=admin" clientAuth
  make_certificate ca kube-controller-manager "/CN=system:kube-controller-manager" clientAuth
  make_certificate ca kube-scheduler "/CN=system:kube-scheduler" clientAuth
  make_certificate ca kwok "/O=system:masters/CN=kwok" clientAuth
  make_certificate ca metrics-server "/O=system:masters/CN=metrics-server" clientAuth
  make_certificate front-proxy-ca front-proxy-client "/CN=front-proxy-client" clientAuth
  make_key service-account
  openssl pkey -in "$dir_pki/service-account.key" -pubout -out "$dir_pki/service-account.pub"
  local identity
  for identity in kube-controller-manager kube-scheduler kwok metrics-server; do
    client_kubeconfig "$identity" >"$dir_pki/$identity.kubeconfig"
  done
  client_kubeconfig admin >"$dir/admin.kubeconfig"
}

make_key() {
  (umask 077 && openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$dir_pki/$1.key" 2>/dev/null)
}

make_authority() {
  make_key "$1"
  openssl req -x509 -new -key "$dir_pki/$1.key" -subj "/CN=$2" -days 3650 -out "$dir_pki/$1.crt" \
    -addext keyUsage=critical,digitalSignature,keyCertSign,cRLSign
}

# make_certificate AUTHORITY NAME SUBJECT USAGE [NAMES]
# An extension file makes the certificate X.509 v3: rustls refuses v1.
make_certificate() {
  make_key "$2"
  openssl req -new -key "$dir_pki/$2.key" -subj "$3" -out "$dir_pki/$2.csr"
  {
    echo basicConstraints=CA:FALSE
    echo keyUsage=critical,digitalSignature
    echo "extendedKeyUsage=$4"
    [[ $4 != serverAuth ]] || echo "subjectAltName=${5:-$api_server_names$more_names}"
  } >"$dir_pki/$2.ext"
  openssl x509 -req -in "$dir_pki/$2.csr" -CA "$dir_pki/$1.crt" -CAkey "$dir_pki/$1.key" -CAcreateserial \
    -days 3650 -extfile "$dir_pki/$2.ext" -out "$dir_pki/$2.crt" 2>/dev/null
  rm "$dir_pki/$2.csr" "$dir_pki/$2.ext"
}

base64_of() { openssl base64 -A -in "$1"; }

# client_kubeconfig NAME prints a kubeconfig with the client certificate of NAME.
client_kubeconfig() {
  kubeconfig_with default "    client-certificate-data: $(base64_of "$dir_pki/$1.crt")
    client-key-data: $(base64_of "$dir_pki/$1.key")"
}

# kubeconfig_with NAMESPACE CREDENTIALS prints a kubeconfig that refers to no other file.
kubeconfig_with() {
  cat <<YAML
apiVersion: v1
kind: Config
clusters:
- name: testbed
  cluster:
    server: https://$server_address:$(port kube-apiserver)
    certificate-authority-data: $(base64_of "$dir_pki/ca.crt")
users:
- name: testbed
  user:
$2
contexts:
- name: testbed
  context:
    cluster: testbed
    user: testbed
    namespace: $1
current-context: testbed
YAML
}
