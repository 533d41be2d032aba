# shellcheck shell=bash
# The network of one test bed, 10.(240+K).0.0/16: a bridge in a namespace of its own, to which the machine and every node have a
# cable (veth). The bridge is no business of the machine's firewall there, and all of it goes with the namespaces.
#
#   10.x.0.1        the machine: API server and DNS       10.x.0.(10+N)  node N
#   10.x.N.0/24     pods of node N                        10.x.240.0/20  Services, known to the nodes only

readonly most_nodes=9

network() { cat "$dir_run/network"; }
subnet() { echo "10.$((240 + $(network)))"; }
node_address() { echo "$(subnet).0.$((10 + $1))"; }
group() { echo "portal-nodes-$(network)"; }
cable() { echo "portal-nodes$(network)"; }

# Takes a network that no other test bed uses. Like that on the ports, the lock is held while any component lives.
pick_network() {
  local candidate
  mkdir -p "$cache/networks"
  for candidate in {0..9}; do
    exec {network_lock}>"$cache/networks/$candidate"
    if flock -n "$network_lock" && [[ -z $(ip -4 route show root "10.$((240 + candidate)).0.0/16") ]]; then
      echo "$candidate" >"$dir_run/network"
      return
    fi
    exec {network_lock}>&-
  done
  die "no free network among 10.240.0.0/16 to 10.249.0.0/16: too many test beds run, or the machine uses them"
}

# in_switch COMMAND... runs it where the bridge is.
in_switch() { nsenter --target "$(running_pid switch)" --net -- "$@"; }

start_network() {
  local cable subnet
  cable=$(cable) subnet=$(subnet)
  setsid unshare --net -- "$(binary_path pause)" "$dir" </dev/null >/dev/null 2>&1 &
  remember switch $!
  disown
  poll in_other_namespace "$(running_pid switch)"
  # A cable that an interrupted stop left.
  ip link delete "$cable" 2>/dev/null || true
  ip link add "$cable" type veth peer name machine netns "$(running_pid switch)"
  in_switch ip -batch - <<TEXT
link add bridge type bridge forward_delay 0
link set bridge up
link set machine master bridge up
TEXT
  ip address add "$subnet.0.1/24" dev "$cable"
  ip link set "$cable" up
}

in_other_namespace() { [[ $(readlink "/proc/$1/ns/net") != "$(readlink /proc/self/ns/net)" ]]; }

# connect_node N lays the cable of a node and tells it and the machine the ways to the pods.
connect_node() {
  local other subnet
  subnet=$(subnet)
  in_switch ip -batch - <<TEXT
link add node$1 type veth peer name eth0 netns $(node_pid "$1")
link set node$1 master bridge up
TEXT
  {
    echo "link set lo up"
    echo "link set eth0 up"
    echo "address add $(node_address "$1")/24 dev eth0"
    # Never used as a way, but without one a local client cannot even ask for a Service, and one without pods would not refuse.
    echo "route add $(services) dev eth0"
    for ((other = 1; other <= node_count; other++)); do
      ((other == $1)) || echo "route add $subnet.$other.0/24 via $(node_address "$other")"
    done
  } | in_node "$1" ip -batch -
  in_node "$1" bash -c 'echo 1 >/proc/sys/net/ipv4/ip_forward'
  ip route add "$subnet.$1.0/24" via "$(node_address "$1")"
}

# The namespaces take the rest with them, but some time later.
stop_network() {
  stop_component switch
  [[ -s $dir_run/network ]] || return 0
  ip link delete "$(cable)" 2>/dev/null || true
}
