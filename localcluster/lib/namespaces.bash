# shellcheck shell=bash disable=SC2034,SC2154
# A node is a set of namespaces (mount, network, process, host name, IPC) held by its first process, `tailrace-node
# CLUSTER/NODE`. The kernel ends all of it with that process, so nothing can be forgotten.

# Process id of a node's first process, as the machine sees it; fails if the node is not there.
node_process() { pgrep -fx "tailrace-node $cluster/$1"; }

# enter NODE COMMAND...: runs it in the node's namespaces.
enter() {
	local node=$1 process
	shift
	process=$(node_process "$node") || fail "$node of cluster $cluster is not running: run localcluster/up"
	nsenter --target "$process" --mount --net --pid --uts --ipc -- "$@"
}

ensure_node_namespaces() {
	local node=$1 folder=$state/$1
	node_process "$node" >/dev/null && return
	mkdir -p "$folder/run" "$folder/var"/{lib,log,tmp,kubernetes}
	ln -sfn /run "$folder/var/run"
	make_image_store "$folder/images.ext4"
	printf 'nameserver %s\nsearch svc.%s\n' "$dns_service_address" "$dns_domain" >"$folder/var/kubernetes/resolv.conf"
	setsid unshare --mount --net --pid --uts --ipc --fork --mount-proc \
		"$library/node-init" "$cluster" "$node" "$folder" \
		"$(readlink -f "$cache/kubernetes/bin")" "$(readlink -f "$cache/bin/pause")" \
		</dev/null >"$folder/init.log" 2>&1 9>&- &
	wait_until 10 "the namespaces of $node ($folder/init.log says more)" node_process "$node"
}

# The unpacked images of a node are thousands of files. In a file system of their own, itself one sparse file, they are
# gone at once with it; one by one it takes a minute on some disks.
make_image_store() {
	wait_until 30 "the release of $1" image_store_is_free "$1"
	[[ ! -s $1 ]] || return 0
	truncate --size=32G "$1.new"
	mkfs.ext4 -q -m 0 -E nodiscard,lazy_itable_init=1,lazy_journal_init=1 "$1.new"
	mv "$1.new" "$1"
}

# The kernel lets go of the file shortly after the node that mounted it is gone.
image_store_is_free() { [[ -z $(losetup --noheadings --associated "$1" 2>/dev/null) ]]; }

# Ends every node of the cluster, one that is only half made too.
end_all_nodes() {
	local node
	local pattern="(tailrace-node $cluster/node[0-9]+|[^ ]*bash [^ ]*/node-init $cluster node[0-9]+ .*)"
	pgrep -fx "$pattern" | xargs -r kill -KILL 2>/dev/null || true
	wait_until 60 "the end of the nodes' processes" no_node_left "$pattern"
	for node in $(existing_nodes); do
		wait_until 60 "the release of the images of $node" image_store_is_free "$state/$node/images.ext4"
	done
}

no_node_left() { ! pgrep -fx "$1"; }

# Runs inside a node: starts a daemon unless it runs already.
start_daemon() {
	local name=$1 process="" program=""
	shift
	[[ -f /run/kubernetes/$name.pid ]] && process=$(</run/kubernetes/"$name".pid)
	if [[ -n $process && -r /proc/$process/cmdline ]]; then
		read -r -d '' program <"/proc/$process/cmdline" || true
		[[ ${program##*/} != "$name" ]] || return 0
	fi
	setsid "$@" </dev/null >>"/var/log/$name.log" 2>&1 &
	echo $! >"/run/kubernetes/$name.pid"
}

# daemon NODE PROGRAM ARGUMENT...: keeps one process of that program running in the node.
daemon() {
	local node=$1 program=$2
	shift
	# shellcheck disable=SC2016
	enter "$node" env PATH="/run/kubernetes/bin:/usr/sbin:/usr/bin:/sbin:/bin" \
		bash -c "$(declare -f start_daemon)"'; start_daemon "$@"' start_daemon "$program" "$@" 9>&-
}

# daemon_runs NODE PROGRAM
daemon_runs() {
	# shellcheck disable=SC2016
	enter "$1" bash -c 'process=$(<"/run/kubernetes/$1.pid") && read -r -d "" program <"/proc/$process/cmdline"
		[[ ${program##*/} == "$1" ]]' daemon_runs "$2" 2>/dev/null
}
