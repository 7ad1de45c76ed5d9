# shellcheck shell=bash disable=SC2034,SC2154
# A network namespace with a bridge, the switch, and one namespace a machine with a leg in it. Nothing leads from there to
# the computer or the world, but for one port: the package cache.

make_switch() {
	ip netns add "$switch"
	ip -n "$switch" link set lo up
	ip -n "$switch" link add machines type bridge
	ip -n "$switch" address add "$switch_address/24" dev machines
	ip -n "$switch" link set machines up
}

make_leg() {
	local name=$1
	ip netns add "$prefix-$name"
	ip link add eth0 netns "$prefix-$name" type veth peer name "$name" netns "$switch"
	ip -n "$switch" link set dev "$name" master machines up
	ip -n "$prefix-$name" link set lo up
	ip -n "$prefix-$name" address add "$(machine_address "$name")/24" dev eth0
	ip -n "$prefix-$name" link set eth0 up
	ip -n "$prefix-$name" route add default via "$switch_address"
}

remove_networks() {
	local name
	for name in "$switch" "${machines[@]/#/$prefix-}"; do
		[[ ! -e /run/netns/$name ]] || ip netns delete "$name"
	done
}
