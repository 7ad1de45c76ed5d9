# shellcheck shell=bash disable=SC2034,SC2154
# A control group a node, under one of the cluster's, in cgroup v2 or in every hierarchy of v1.

cgroup_hierarchies() {
	if [[ -e /sys/fs/cgroup/cgroup.controllers ]]; then
		echo /sys/fs/cgroup
	else
		awk '$3 == "cgroup" || $3 == "cgroup2" { print $2 }' /proc/mounts
	fi
}

# A node that is not running may have left groups of its pods, which would keep its kubelet busy for long.
make_cgroup() {
	local node=$1 hierarchy level path
	node_process "$node" >/dev/null || remove_cgroup "$cgroup/$node"
	while read -r hierarchy; do
		path=$hierarchy
		for level in "" "$cgroup" "$node"; do
			path=${path%/}${level:+/$level}
			mkdir -p "$path"
			[[ -z $level ]] || inherit_cpuset "$path"
			delegate_controllers "$path"
		done
	done < <(cgroup_hierarchies)
	[[ ! -e /sys/fs/cgroup/cgroup.controllers ]] || require_controllers "/sys/fs/cgroup/$cgroup/$node"
}

# cgroup v1 starts a new cpuset empty, and an empty one takes no process.
inherit_cpuset() {
	local file
	for file in cpuset.cpus cpuset.mems; do
		[[ -e $1/$file && ! -e $1/cgroup.controllers ]] || continue
		[[ -n $(<"$1/$file") ]] || cat "$(dirname "$1")/$file" >"$1/$file"
	done
}

# cgroup v2 hands a controller down only where the parent says so.
delegate_controllers() {
	local controller
	[[ -e $1/cgroup.subtree_control ]] || return 0
	for controller in $(<"$1/cgroup.controllers"); do
		echo "+$controller" 2>/dev/null >"$1/cgroup.subtree_control" || true
	done
}

require_controllers() {
	local controller
	for controller in cpu cpuset memory pids; do
		[[ " $(<"$1/cgroup.controllers") " == *" $controller "* ]] ||
			fail "cgroup v2 does not delegate '$controller' to $1: move the processes out of the cgroup at /sys/fs/cgroup, or run on the machine itself"
	done
}

# remove_cgroup PATH: with all below it, in every hierarchy.
remove_cgroup() {
	local hierarchy
	while read -r hierarchy; do
		[[ -d $hierarchy/$1 ]] || continue
		wait_until 30 "the removal of the control group $hierarchy/$1" remove_cgroup_tree "$hierarchy/$1"
	done < <(cgroup_hierarchies)
}

remove_cgroup_tree() {
	find "$1" -depth -type d -exec rmdir {} \; 2>/dev/null || true
	[[ ! -d $1 ]]
}
