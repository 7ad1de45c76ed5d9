# shellcheck shell=bash disable=SC2034,SC2154
# Packages of the distribution for the machines: a cache that outlives them, and the one port through which they reach it.

# The cache listens on loopback, at its usual port. A socket that is a file leads there from the other network namespace.
start_package_cache() {
	local folder=$state/packages
	mkdir -p "$cache/apt-cacher-ng" "$folder/configuration"
	cat >"$folder/configuration/acng.conf" <<-END
		ForeGround: 1
		CacheDir: $cache/apt-cacher-ng
		LogDir: $folder
		BindAddress: localhost
		ReportPage: acng-report.html
	END
	apt-cacher-ng -c "$folder/configuration" >"$folder/log" 2>&1 &
	echo $! >>"$state/processes"
	socat "UNIX-LISTEN:$folder/socket,fork" "TCP:localhost:$packages_port" >>"$folder/log" 2>&1 &
	echo $! >>"$state/processes"
	nsenter --net="/run/netns/$switch" -- socat "TCP-LISTEN:$packages_port,bind=$switch_address,fork,reuseaddr" \
		"UNIX-CONNECT:$folder/socket" >>"$folder/log" 2>&1 &
	echo $! >>"$state/processes"
	wait_until 10 "the package cache" in_switch curl --silent --fail --output /dev/null "http://$switch_address:$packages_port/acng-report.html"
}

stop_package_cache() {
	local process
	[[ -e $state/processes ]] || return 0
	while read -r process; do
		kill "$process" 2>/dev/null || true
	done <"$state/processes"
	rm "$state/processes"
}
