# shellcheck shell=bash disable=SC2034,SC2154
# Names, paths and addresses, and the few helpers that every script here shares.

repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../.." && pwd)
here=$repository/tests/machines
cache=${TAILRACE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/tailrace}

# One set of machines at a time on a computer: their network namespaces have names.
prefix=tailrace-machine
cgroup=tailrace-machines
state=/var/lib/tailrace-machines
machines=(master worker1 worker2 worker3)

switch=$prefix-switch
switch_address=10.251.0.1
packages_port=3142

# machine_address NAME: master is .10, worker1 .11, and so on.
machine_address() {
	local number
	for number in "${!machines[@]}"; do
		[[ ${machines[number]} != "$1" ]] || echo "10.251.0.$((10 + number))"
	done
}

fail() {
	echo "tests/machines: $*" >&2
	exit 1
}

# step TITLE COMMAND...: runs it and prints one line with its seconds.
step() {
	local title=$1 started=$SECONDS
	shift
	"$@"
	printf '%-44s %d s\n' "$title" $((SECONDS - started))
}

# wait_until SECONDS WHAT COMMAND...: tries the command until it succeeds.
wait_until() {
	local deadline=$((SECONDS + $1)) what=$2
	shift 2
	until "$@" >/dev/null 2>&1; do
		((SECONDS < deadline)) || fail "$what: not in time; the logs are in $state/*/log"
		sleep 0.2
	done
}

# in_switch COMMAND...: runs it in the network namespace that reaches the machines, and nothing else.
in_switch() { nsenter --net="/run/netns/$switch" -- "$@"; }

# content_key FILE...: of their content, and the architecture.
content_key() {
	{
		uname -m
		cat "$@"
	} | sha256sum | cut -c1-12
}

hierarchies() {
	if [[ -e /sys/fs/cgroup/cgroup.controllers ]]; then
		echo /sys/fs/cgroup
	else
		awk '$3 == "cgroup" || $3 == "cgroup2" { print $2 }' /proc/mounts
	fi
}
