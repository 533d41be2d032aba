# shellcheck shell=bash
# One definition through three profiles: development, staging, production.

story_profiles() {
  kubectl create namespace "$namespace" --dry-run=client --output yaml | kubectl apply --filename - >/dev/null
  kubectl label namespace "$namespace" pod-security.kubernetes.io/enforce=restricted --overwrite >/dev/null
  local t0
  t0=$(now_ms)
  kubectl apply --filename "$here/manifests/shop.yaml" >/dev/null
  reach Development 1 "$t0" "applied, profile Development: Ready"
  t0=$(now_ms)
  patch shop '{"spec": {"profile": "Staging"}}'
  reach Staging 2 "$t0" "profile Staging: Ready with the second instance and the pooler"
  t0=$(now_ms)
  patch shop '{"spec": {"profile": "Production"}}'
  reach Production 3 "$t0" "profile Production: Ready with three instances on three nodes"
  local nodes
  nodes=$(kubectl get pods --namespace "$namespace" --selector cnpg.io/cluster=shop-db,cnpg.io/podRole=instance \
    --output 'jsonpath={.items[*].spec.nodeName}')
  [[ $(tr ' ' '\n' <<<"$nodes" | sort -u | wc -l) == 3 ]] || fail "the instances share nodes: $nodes"
  within 240 "policy Replicated holds" holds shop Replicated
  within 240 "policy ZoneRedundant holds" holds shop ZoneRedundant
  within 240 "policy ConnectionBudget holds" holds shop ConnectionBudget
  within 240 "rows are written" writes_since "$(pod_of shop writer)" 0
}

reach() {
  within 240 "$4" is_whole shop
  within 240 "$1: $2 instances are healthy" healthy shop-db "$2"
  record "$4" $(($(now_ms) - $3)) "" "waited for: $(waited_for shop "$3")"
}

holds() { [[ $(policy "$1" "$2") == True ]]; }
