# shellcheck shell=bash
# What the machine must be able to do. A missing feature is a failure with one message that names all that is missing.

readonly needed_commands=(apt-config apt-get chroot dpkg-deb findmnt flock ip nsenter openssl pgrep setsid tar unshare)
readonly needed_controllers=(cpu cpuset memory pids)

require_machine() {
  local missing=() name
  [[ $(uname -s) == Linux ]] || missing+=(Linux)
  ((EUID == 0)) || missing+=("root rights")
  for name in "${needed_commands[@]}"; do
    command -v "$name" >/dev/null || missing+=("the command $name")
  done
  # The rest cannot be asked without these.
  if ((${#missing[@]} == 0)); then
    unshare --mount --net --pid --uts --fork true 2>/dev/null || missing+=("the right to make namespaces")
    # Loads the module where the kernel has it as one.
    modprobe -qa overlay bridge veth nf_tables br_netfilter 2>/dev/null || true
    grep -qw overlay /proc/filesystems || missing+=("the file system overlayfs")
    unshare --net bash -c 'ip link add br0 type bridge && ip link add veth0 type veth peer name veth1' 2>/dev/null ||
      missing+=("network bridges and veth pairs")
    [[ -d /proc/sys/net/bridge ]] || missing+=("the kernel feature br_netfilter")
    for name in "${needed_controllers[@]}"; do
      has_controller "$name" || missing+=("the cgroup controller $name")
    done
  fi
  ((${#missing[@]} == 0)) || die "real nodes cannot run here, the machine lacks: $(join_comma "${missing[@]}")"
}

# has_controller NAME succeeds if groups with this controller can be made; in a container they may be shown but read-only.
has_controller() {
  local root=/sys/fs/cgroup probe
  if [[ $(cgroup_version) == 2 ]]; then
    grep -qw "$1" "$root/cgroup.controllers" || return 1
  else
    root=$(findmnt --noheadings --list --types cgroup --options "$1" --output TARGET | head -n 1)
  fi
  [[ -n $root && -e $root/cgroup.procs ]] || return 1
  probe=$root/portal-nodes-probe.$$
  mkdir "$probe" 2>/dev/null && rmdir "$probe"
}

cgroup_version() {
  if [[ $(findmnt --noheadings --output FSTYPE /sys/fs/cgroup) == cgroup2 ]]; then echo 2; else echo 1; fi
}

join_comma() {
  local joined
  printf -v joined '%s, ' "$@"
  echo "${joined%, }"
}
