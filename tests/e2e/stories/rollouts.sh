# shellcheck shell=bash
# A new image, a broken one and the way back, while the operator is killed.

story_rollouts() {
  kubectl apply --filename "$here/manifests/plain.yaml" >/dev/null
  local t0 least
  watch_available rollout
  t0=$(now_ms)
  image_of_app registry.local/portal:2
  # The leader dies in the middle; the other one takes over.
  kubectl delete pod --namespace "$system" "$(leader)" --force --grace-period 0 >/dev/null 2>&1
  within 240 "new image rolled out, operator killed meanwhile" is_rolled_out registry.local/portal:2
  record "new image of a component, leading operator killed meanwhile" "$took"
  image_of_app registry.local/portal:none
  within 240 "an image that does not exist is told" says shop Ready "registry.local/portal:none"
  say "Ready: $(condition shop Ready)"
  record "image that does not exist: told in status" "$took"
  image_of_app registry.local/portal:2
  within 240 "the old image again: Ready" is_rolled_out registry.local/portal:2
  record "image that does not exist taken back: Ready" "$took"
  least=$(least_available rollout)
  ((least >= 3)) || fail "only $least pods of the component were available during the rollouts"
  say "never fewer than $least pods available"
}

image_of_app() {
  kubectl patch portal shop --namespace "$namespace" --type json \
    --patch "[{\"op\": \"replace\", \"path\": \"/spec/components/0/image\", \"value\": \"$1\"}]" >/dev/null
}

# all_of PORTAL COMPONENT IMAGE: every pod has the image and is ready, and the portal is Ready.
all_of() {
  local image counts
  is_ready "$1" || return 1
  IFS=' ' read -r image counts < <(kubectl get deployment "$1-$2" --namespace "$namespace" --output \
    'jsonpath={.spec.template.spec.containers[0].image} {.spec.replicas}/{.status.updatedReplicas}/{.status.readyReplicas}/{.status.replicas}')
  [[ $image == "$3" && $(tr / '\n' <<<"$counts" | sort -u | wc -l) == 1 ]]
}
is_rolled_out() { all_of shop app "$1"; }

leader() { kubectl get lease --namespace "$system" --output 'jsonpath={.items[0].spec.holderIdentity}'; }

# watch_available NAME notes how many pods of the component `app` are available, from now on.
watch_available() {
  kubectl get deployment shop-app --namespace "$namespace" --watch --output 'jsonpath={.status.availableReplicas}{"\n"}' \
    >"$log_folder/available-$1" 2>/dev/null &
  available_watch=$!
}

# least_available NAME ends that and prints the smallest number.
least_available() {
  kill "$available_watch" 2>/dev/null || true
  awk '{ n = $1 + 0; if (NR == 1 || n < least) least = n } END { print least + 0 }' "$log_folder/available-$1"
}
