# shellcheck shell=bash
# The operator by its Helm chart, as users install it, and the logs that are kept of the whole run.

install() {
  begin install
  read -ra images <<<"$E2E_IMAGES"
  "$testbed" import "$bed" "${images[@]}"
  # What a Cluster of the operator names by default, made here.
  "$testbed" tag "$bed" registry.local/postgresql:17 ghcr.io/cloudnative-pg/postgresql:17
  # The image of a former run on the same test bed has the same tag.
  local t0
  t0=$(now_ms)
  "$("$root/tests/cluster/testbed" bin helm)" upgrade --install portal-operator "$root/charts/portal-operator" --create-namespace \
    --namespace "$system" --set image.repository=registry.local/portal-operator,image.tag=e2e --set-string "podAnnotations.installed=$t0" --wait --timeout 120s >/dev/null
  record "operator installed by Helm, two pods ready" $(($(now_ms) - t0))
  watch_portals
  kubectl apply --filename "$here/manifests/rest.yaml" >/dev/null
}

# What a user sees, all the time; and the reasons of Ready in a form that is easy to search.
watch_portals() {
  kubectl get portal --all-namespaces --watch --output wide | while read -r line; do
    printf '%(%T)T %s\n' -1 "$line"
  done >"$log_folder/portals.log" &
  # shellcheck disable=SC2016 # a template
  kubectl get portal --all-namespaces --watch --output go-template='{{.metadata.namespace}}/{{.metadata.name}}{{range .status.conditions}}{{if eq .type "Ready"}}|{{.status}}|{{.reason}}|{{.message}}{{end}}{{end}}{{"\n"}}' |
    while read -r line; do
      printf "%s|%s\n" "$(now_ms)" "$line"
    done >"$log_folder/reasons.log" &
}

print_table() {
  printf '\n'
  {
    printf 'what happened\toperator\tdefaults of CloudNativePG\tremark\n'
    cat "$table"
  } | awk -F '\t' '
    { for (i = 1; i <= NF; i++) { cell[NR, i] = $i; if (length($i) > width[i]) width[i] = length($i) } }
    END {
      for (row = 1; row <= NR; row++) {
        line = "|"
        for (i = 1; i <= 4; i++) line = line sprintf(" %-*s |", width[i], cell[row, i])
        print line
        if (row == 1) { line = "|"; for (i = 1; i <= 4; i++) { dashes = sprintf("%*s", width[i] + 2, ""); gsub(/ /, "-", dashes); line = line dashes "|" } print line }
      }
    }' | tee "$log_folder/table.md"
  say "all stories ended well; acknowledged rows lost: 0; the log of kubectl get portal --watch: $log_folder/portals.log"
}
