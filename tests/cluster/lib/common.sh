# shellcheck shell=bash
# Small helpers that every part of the test bed uses.

# Compilers and components are Go programs, whose garbage collection takes more time than the memory is worth.
export GOGC=${GOGC:-400}

say() { printf 'testbed: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

now_ms() { echo $((${EPOCHREALTIME/[.,]/} / 1000)); }

# elapsed T0 prints the time since now_ms gave T0, as in 3.2 s.
elapsed() {
  local ms=$(($(now_ms) - $1))
  printf '%d.%d s' $((ms / 1000)) $((ms % 1000 / 100))
}

# poll COMMAND... repeats the command until it succeeds or the deadline passes.
poll() {
  until "$@" >/dev/null 2>&1; do
    if ((SECONDS >= deadline)); then
      say "gave up waiting for: $*"
      return 1
    fi
    sleep 0.05
  done
}

# Sets the paths of one test bed. All that belongs to it lies in this folder.
use_folder() {
  dir=$(cd "$1" && pwd)
  dir_run=$dir/run dir_pki=$dir/pki dir_logs=$dir/logs dir_etcd=$dir/etcd
}

use_existing_folder() {
  [[ -d $1/run ]] || die "no test bed in $1"
  use_folder "$1"
}

# The marker shows that a folder is a test bed: nothing is removed from any other.
claim_folder() {
  [[ -e $dir/.testbed || -z $(ls -A "$dir") ]] || die "$dir is not empty and not a test bed"
  touch "$dir/.testbed"
}

remove_data_but_logs() {
  [[ -e $dir/.testbed ]] || return 0
  rm -rf "$dir_run" "$dir_pki" "$dir_etcd" "$dir/metrics-server-cert" "$dir/admin.kubeconfig"
}

remove_data() {
  [[ -e $dir/.testbed ]] || return 0
  remove_data_but_logs
  rm -rf "$dir_logs" "$dir/audit.log"
}

# kube ARGS... runs kubectl as administrator. Its discovery cache stays in the test bed: two test beds may get the same port.
kube() {
  "$(binary_path kubectl)" --kubeconfig "$dir/admin.kubeconfig" --cache-dir "$dir_run/kubectl-cache" "$@"
}
