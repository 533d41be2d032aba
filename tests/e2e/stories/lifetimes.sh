# shellcheck shell=bash
# The portal is deleted: first its data stay and are taken back, then they go with it.

story_lifetimes() {
  local rows pods t0 spec
  spec=$(portal_field shop '{.spec}')
  rows=$(psql shop-db 'SELECT count(*) FROM rows')
  pods=$(instance_uids)
  kubectl delete portal shop --namespace "$namespace" --wait=true >/dev/null
  within 240 "the components go with the portal" component_is_gone
  within 240 "an event names what stays" event_is_there DatabaseRetained
  [[ $(kubectl get clusters.postgresql.cnpg.io,pvc,secret --namespace "$namespace" --selector portalplatform.dev/name=shop \
    --output 'jsonpath={.items[*].kind}') =~ Cluster.*PersistentVolumeClaim.*Secret ]] || fail "the data are not found by their label"
  # The pooler goes with the portal and comes back with it.
  t0=$(now_ms)
  printf '{"apiVersion": "portalplatform.dev/v1alpha1", "kind": "PortalPlatform", "metadata": {"name": "shop", "namespace": "%s"}, "spec": %s}' \
    "$namespace" "$spec" | kubectl create --filename - >/dev/null
  within 240 "portal created again: Ready" is_whole shop
  record "portal deleted (Retain) and created again: Ready with the same rows" $(($(now_ms) - t0))
  (($(psql shop-db 'SELECT count(*) FROM rows') >= rows)) || fail "rows are gone"
  [[ $(instance_uids) == "$pods" ]] || fail "an instance was restarted"

  patch shop '{"spec": {"database": {"reclaimPolicy": "Delete", "confirmDelete": "shop"}}}'
  within 240 "the Cluster belongs to the portal" cluster_is_owned
  t0=$(now_ms)
  kubectl delete portal shop --namespace "$namespace" --wait=true >/dev/null
  within 240 "cluster, volumes and Secrets are gone" data_are_gone
  record "portal deleted (Delete): cluster and volumes gone" $(($(now_ms) - t0))
}

instance_uids() {
  kubectl get pods --namespace "$namespace" --selector cnpg.io/cluster=shop-db,cnpg.io/podRole=instance \
    --output 'jsonpath={range .items[*]}{.metadata.name}={.metadata.uid}{"\n"}{end}'
}
component_is_gone() { [[ -z $(kubectl get deployments --namespace "$namespace" --selector portalplatform.dev/name=shop --output name) ]]; }
event_is_there() { kubectl get events --namespace "$namespace" --output 'jsonpath={.items[*].reason}' | grep -q "$1"; }
cluster_is_owned() { [[ $(cluster_field shop-db 'metadata.ownerReferences[0].kind') == PortalPlatform ]]; }
data_are_gone() {
  [[ -z $(kubectl get clusters.postgresql.cnpg.io,pvc,secret --namespace "$namespace" --selector cnpg.io/cluster=shop-db --output name) ]]
}
