# shellcheck shell=bash disable=SC2034,SC2154
# The one door from the machine's shell: a loopback port that leads to kube-apiserver inside node0.

# The port stays the same as long as nobody else takes it: it follows from the cluster's name.
choose_port() {
	local port
	[[ ! -s $state/port ]] || return 0
	port=$((20000 + $(cksum <<<"$cluster" | cut -d' ' -f1) % 10000))
	while port_is_taken "$port"; do
		port=$((port + 1))
	done
	echo "$port" >"$state/port"
}

port_is_taken() { [[ -n $(ss -Hltn "sport = :$1") ]]; }

portal_process() { pgrep -f "^[^ ]*/portal -listen [^ ]+ -namespace /proc/$(node_process node0)/ns/net "; }

# It lives in the machine's own network but among node0's processes, so it ends with them.
ensure_portal() {
	local process
	portal_process >/dev/null && return
	choose_port
	! port_is_taken "$(<"$state/port")" || { rm "$state/port" && choose_port; }
	process=$(node_process node0)
	setsid nsenter --target "$process" --pid -- "$(readlink -f "$cache/bin/portal")" \
		-listen "127.0.0.1:$(<"$state/port")" -namespace "/proc/$process/ns/net" \
		-target "$api_server_address:$api_server_port" \
		</dev/null >>"$(node_var node0)/log/portal.log" 2>&1 9>&- &
	wait_until 10 "the loopback port $(<"$state/port")" port_is_taken "$(<"$state/port")"
}

write_admin_kubeconfig() {
	(
		umask 077
		write_kubeconfig "$kubeconfig" "$(node_var node0)/kubernetes" admin "https://127.0.0.1:$(<"$state/port")"
	)
}
