# shellcheck shell=bash disable=SC2154
# A Docker engine of the test's own, which ends with it: its data and its sockets lie in $folder. It has a network
# namespace of its own, in which its bridges and rules are, and no way out.

engine=tailrace-compose
export DOCKER_HOST=unix://$folder/docker.sock
# Nothing of this user's own configuration.
export DOCKER_CONFIG=$folder/client

install_engine() {
	command -v dockerd >/dev/null || "$root/third-party/packages" docker.io
	mkdir -p "$DOCKER_CONFIG/cli-plugins"
	echo "{}" >"$DOCKER_CONFIG/config.json"
	ln -sf "$cache/bin/docker-compose" "$DOCKER_CONFIG/cli-plugins/docker-compose"
}

# In its namespace.
start_engine() {
	ip netns add "$engine"
	inside ip link set lo up
	# `ip netns exec` would hide the control groups.
	serve nsenter --net="/run/netns/$engine"
}

# In this machine's network, which builds need, without a bridge or rules in it.
start_builder() { serve env -- --bridge none --iptables=false; }

# serve COMMAND... [-- FLAG...]: the engine under that command.
serve() {
	local command=() _
	while [[ $# -gt 0 && $1 != -- ]]; do
		command+=("$1")
		shift
	done
	"${command[@]}" dockerd --host "$DOCKER_HOST" --data-root "$folder/data" --exec-root "$folder/run" \
		--pidfile "$folder/docker.pid" --exec-opt native.cgroupdriver=cgroupfs --log-level error "${@:2}" \
		>>"$folder/engine.log" 2>&1 &
	engine_process=$!
	for _ in $(seq 100); do
		docker version >/dev/null 2>&1 && return
		sleep 0.2
	done
	tail "$folder/engine.log" >&2
	fail "the Docker engine did not start within 20 s: see the lines above"
}

stop_engine() {
	docker ps --quiet --all 2>/dev/null | xargs --no-run-if-empty docker rm --force --volumes >/dev/null 2>&1 || true
	end_process
	ip netns delete "$engine" 2>/dev/null || true
}

end_process() {
	[[ -n ${engine_process:-} ]] || return 0
	kill "$engine_process" 2>/dev/null || true
	wait "$engine_process" 2>/dev/null || true
	umount "$folder"/run/netns/* 2>/dev/null || true
	engine_process=
}

inside() { nsenter --net="/run/netns/$engine" "$@"; }
