# shellcheck shell=bash disable=SC2034,SC2154
# Names, paths and addresses of a cluster, and the few helpers that every script here shares.

repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
library=$repository/localcluster/lib
cache=${TAILRACE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/tailrace}

cluster=${CLUSTER:-tailrace}
node_count=${NODES:-4}
# What pods may ask for on a node; all of the machine's where it is empty.
allocatable_cpus=${CPUS:-}

base=/var/lib/tailrace-localcluster
state=$base/$cluster
cgroup=tailrace-localcluster-$cluster

# The same in every cluster: each has network namespaces of its own.
api_server_address=10.250.0.1
api_server_port=6443
pod_range=10.244.0.0/16
service_range=10.96.0.0/16
api_service_address=10.96.0.1
dns_service_address=10.96.0.10
dns_domain=cluster.local

kubeconfig=$repository/localcluster/kubeconfig
[[ $cluster == tailrace ]] || kubeconfig+=-$cluster

node_address() { echo "10.250.0.$((${1#node} + 1))"; }
node_pod_range() { echo "10.244.${1#node}.0/24"; }

# Host path of a node's /var; inside the node it is /var.
node_var() { echo "$state/$1/var"; }

# The nodes that exist on disk, in order.
existing_nodes() {
	local path
	for path in "$state"/node[0-9]*; do
		[[ -d $path ]] && basename "$path"
	done | sort -V
}

# for_all_nodes COMMAND...: runs it with each node's name added.
for_all_nodes() {
	local node
	for node in $(existing_nodes); do
		"$@" "$node"
	done
}

# The same, on all nodes at the same time; fails if it failed on one.
for_all_nodes_at_once() {
	local node worker workers=()
	for node in $(existing_nodes); do
		"$@" "$node" &
		workers+=($!)
	done
	for worker in "${workers[@]}"; do
		wait "$worker" || exit 1
	done
}

fail() {
	echo "localcluster: $*" >&2
	exit 1
}

# step TITLE COMMAND...: runs it and prints one line with its seconds.
step() {
	local title=$1 started=${EPOCHREALTIME/[.,]/} elapsed
	shift
	"$@"
	elapsed=$((${EPOCHREALTIME/[.,]/} - started))
	printf '%-24s %d.%d s\n' "$title" $((elapsed / 1000000)) $((elapsed / 100000 % 10))
}

# wait_until SECONDS WHAT COMMAND...: tries the command until it succeeds.
wait_until() {
	local deadline=$((SECONDS + $1)) what=$2
	shift 2
	until "$@" >/dev/null 2>&1; do
		((SECONDS < deadline)) || fail "$what: not after ${deadline} s of this run; the logs are in $state/node*/var/log"
		sleep 0.2
	done
}

kubectl() { "$cache/bin/kubectl" --kubeconfig "$kubeconfig" "$@"; }

# One up, down or load at a time for a cluster. The daemons do not inherit the lock: start_daemon closes it.
lock_cluster() {
	mkdir -p "$base"
	while :; do
		exec 9>"$base/$cluster.lock"
		flock 9
		# A `down` that had it before may have removed the file.
		[[ /proc/self/fd/9 -ef $base/$cluster.lock ]] && return
	done
}

[[ $cluster =~ ^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$ ]] ||
	fail "CLUSTER=$cluster is no name: use up to 32 of a-z, 0-9 and '-', as in CLUSTER=test"
[[ $node_count =~ ^[1-9]$ ]] ||
	fail "NODES=$node_count is no number of nodes: use 1 to 9, as in NODES=4"
[[ -z $allocatable_cpus || ($allocatable_cpus =~ ^[1-9][0-9]*$ && $allocatable_cpus -le $(nproc)) ]] ||
	fail "CPUS=$allocatable_cpus is no number of CPUs of this machine: use 1 to $(nproc), as in CPUS=1"
