# shellcheck shell=bash
# The cgroups below which the kubelets keep their pods: one folder for the test bed, one in it for each node.

# cgroup_roots prints where the cgroup hierarchies that matter are mounted: all of version 1, or the one of version 2.
cgroup_roots() {
  if [[ $(cgroup_version) == 2 ]]; then
    echo /sys/fs/cgroup
  else
    findmnt --noheadings --list --types cgroup --output TARGET
  fi
}

make_cgroups() {
  local root node group
  group=$(group)
  if [[ $(cgroup_version) == 2 ]]; then
    mkdir -p "/sys/fs/cgroup/$group"
    delegate_controllers /sys/fs/cgroup
    delegate_controllers "/sys/fs/cgroup/$group"
  fi
  for root in $(cgroup_roots); do
    for ((node = 1; node <= node_count; node++)); do
      mkdir -p "$root/$group/node$node"
      # In version 1 a new group has no processors until it is told.
      if [[ -e $root/cpuset.cpus && $(cgroup_version) == 1 ]]; then
        copy_cpuset "$root" "$root/$group"
        copy_cpuset "$root/$group" "$root/$group/node$node"
      fi
    done
  done
}

delegate_controllers() {
  local controller
  for controller in $(<"$1/cgroup.controllers"); do
    echo "+$controller" >"$1/cgroup.subtree_control" 2>/dev/null || true
  done
}

copy_cpuset() {
  cat "$1/cpuset.cpus" >"$2/cpuset.cpus"
  cat "$1/cpuset.mems" >"$2/cpuset.mems"
}

# A folder goes once its last process is gone, and runc makes some in the hierarchy of version 2 beside those of version 1.
remove_cgroups() {
  local root left=() folder give_up=$((SECONDS + 10))
  [[ -s $dir_run/network ]] || return 0
  while :; do
    left=()
    for root in $(findmnt --noheadings --list --types cgroup,cgroup2 --output TARGET); do
      folder=$root/$(group)
      [[ -d $folder ]] || continue
      find "$folder" -depth -type d -exec rmdir {} + 2>/dev/null || true
      [[ ! -d $folder ]] || left+=("$folder")
    done
    ((${#left[@]})) || return 0
    ((SECONDS < give_up)) || { say "could not remove ${left[*]}"; return 1; }
    sleep 0.1
  done
}
