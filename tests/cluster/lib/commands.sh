# shellcheck shell=bash
# What every kind of test bed does alike: wait, give up, hand out access, run a command.

wait_object() {
  local condition=$1
  shift
  kube wait --for="condition=$condition" --timeout="$((deadline > SECONDS ? deadline - SECONDS : 1))s" "$@" >/dev/null
}

# Reports the component that failed and stops the rest; the logs stay.
on_failed_start() {
  trap - EXIT INT TERM
  local status=$1
  if ((status > 128)); then
    say "start interrupted"
  else
    say "start failed: ${failing:-testbed}"
  fi
  if ((status <= 128)) && [[ -s $dir_logs/${failing:-}.log ]]; then
    say "last lines of $dir_logs/$failing.log:"
    tail -n 25 "$dir_logs/$failing.log" >&2
  fi
  stop_all
  exit $((status ? status : 1))
}

cmd_kubeconfig() {
  use_existing_folder "$1"
  local token
  token=$(kube -n "$2" create token "$3" --duration=24h)
  kubeconfig_with "$2" "    token: $token"
}

cmd_env() {
  use_existing_folder "$1"
  # shellcheck disable=SC2016 # PATH is meant for the shell that reads the line
  printf 'export KUBECONFIG=%q PATH=%q:"$PATH"\n' "$dir/admin.kubeconfig" "$(dirname "$(binary_path kubectl)")"
  ! declare -F more_exports >/dev/null || more_exports
}

# The command gets a process group of its own, so that an interrupt ends all that it started before the test bed goes.
cmd_run() {
  local options=()
  while (($#)) && [[ $1 != -- ]]; do
    options+=("$1")
    shift
  done
  (($# > 1)) || { usage >&2; exit 2; }
  shift
  if [[ -n ${!bed_variable:-} ]]; then
    use_existing_folder "${!bed_variable}"
  else
    run_folder=$(mktemp -d "${TMPDIR:-/tmp}/portal-testbed.XXXXXX")
    run_command=""
    trap 'end_run $?' EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
    # A process of its own: up has traps of its own, and an option must not stay set here.
    "$command" up "$run_folder" "${options[@]}" >/dev/null
    use_folder "$run_folder"
  fi
  set -m
  env "$bed_variable=$dir" KUBECONFIG="$dir/admin.kubeconfig" "$@" </dev/null &
  run_command=$!
  set +m
  wait "$run_command"
}

end_run() {
  trap - EXIT
  trap '' INT TERM HUP
  [[ -z $run_command ]] || kill -TERM -- "-$run_command" 2>/dev/null || true
  if (($1 == 0)); then
    "$command" down "$run_folder"
  else
    "$command" down --keep-logs "$run_folder"
    say "logs of the control plane: $run_folder/logs, audit log: $run_folder/audit.log"
  fi
  exit "$1"
}
