# shellcheck shell=bash disable=SC2034,SC2154
# node0 holds a bridge; every other node has one leg in it. Each node routes the pod ranges of the others to them, so
# a pod's address is the same everywhere and no address is translated but those of Services. Nothing leads outside.

ensure_node_network() {
	local node=$1
	enter "$node" ip link set lo up
	enter "$node" sysctl -qw net.ipv4.ip_forward=1
	if [[ $node == node0 ]]; then
		ensure_bridge
	else
		ensure_leg "$node"
	fi
	ensure_routes "$node"
}

ensure_bridge() {
	enter node0 ip link show nodes >/dev/null 2>&1 || enter node0 ip link add nodes type bridge
	enter node0 ip address replace "$(node_address node0)/24" dev nodes
	enter node0 ip link set nodes up
	# What the bridge carries between two other nodes is none of node0's rules' business.
	enter node0 sysctl -qw net.bridge.bridge-nf-call-iptables=0 2>/dev/null || true
}

ensure_leg() {
	local node=$1
	if ! enter "$node" ip link show eth0 >/dev/null 2>&1; then
		ip link add eth0 netns "$(node_process "$node")" type veth peer name "$node" netns "$(node_process node0)"
	fi
	enter node0 ip link set "$node" master nodes up
	enter "$node" ip address replace "$(node_address "$node")/24" dev eth0
	enter "$node" ip link set eth0 up
	enter "$node" ip route replace default via "$(node_address node0)"
}

ensure_routes() {
	local node=$1 other
	# node0 has no way out, so it needs a route for Service addresses to be looked at by the rules at all.
	[[ $node != node0 ]] || enter node0 ip route replace "$service_range" dev nodes
	for other in $(existing_nodes); do
		[[ $other == "$node" ]] || enter "$node" ip route replace "$(node_pod_range "$other")" via "$(node_address "$other")"
	done
}
