# shellcheck shell=bash
# A portal that nothing happens to costs the API server nothing, with the operator of CloudNativePG beside ours.

# Shortest time to look at it, in seconds.
readonly window=300

# From here on nothing happens to it.
story_rest_begins() {
  within 240 "the portal at rest is Ready" rest_is_ready
  within 240 "it is not written any more" rest_is_quiet
  rest_since=$(date +%s)
}

story_rest() {
  local requests
  while (($(date +%s) - rest_since < window)); do read -rt 1 <> <(:) || true; done
  requests=$(audit_of_rest | wc -l)
  if ((requests > 0)); then
    audit_of_rest | tail -n 5 | cut -c 1-400
    fail "$requests requests about a portal that nothing happened to"
  fi
  record "requests about a portal at rest in $(($(date +%s) - rest_since)) s" "none"
}

rest_is_ready() { namespace=rest is_whole rest; }

# Nothing for ten seconds.
rest_is_quiet() {
  rest_since=$(($(date +%s) - 10))
  [[ -z $(audit_of_rest) ]]
}

# What the operator asked about it since, watches aside.
audit_of_rest() {
  awk -v since="$(date -u -d "@$rest_since" +%FT%T)" '
    /"namespace":"rest"/ && !/"verb":"watch"/ && match($0, /"stageTimestamp":"[^"]*"/) {
      if (substr($0, RSTART + 18, 19) >= since) print
    }' "$bed/audit.log"
}
