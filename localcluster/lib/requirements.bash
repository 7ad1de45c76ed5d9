# shellcheck shell=bash disable=SC2034,SC2154
# What the machine must give; each miss is one sentence that says what to do.

require_rights() {
	[[ $(uname -s) == Linux ]] || fail "this is not Linux: run it on a Linux machine or in a Linux virtual machine"
	[[ $EUID -eq 0 ]] || fail "not root: run it again as root (sudo -E make up)"
	has_capability 21 || fail "root lacks CAP_SYS_ADMIN here: run it on the machine itself or in a privileged container"
	has_capability 12 || fail "root lacks CAP_NET_ADMIN here: run it on the machine itself or in a privileged container"
	unshare --mount --net --pid --uts --ipc --fork true 2>/dev/null ||
		fail "the kernel refuses new namespaces: run it where network, mount and process namespaces may be made"
	[[ -d /sys/fs/cgroup ]] || fail "/sys/fs/cgroup is missing: mount cgroup v2 there"
}

# has_capability BIT: a bit of capability(7), as 21 for CAP_SYS_ADMIN.
has_capability() {
	local effective
	effective=$(sed -n 's/^CapEff:\t//p' /proc/self/status)
	(((16#$effective >> $1) & 1))
}

require_programs() {
	local program
	for program in containerd runc iptables conntrack ip nsenter unshare openssl pgrep jq; do
		command -v "$program" >/dev/null || fail "$program is missing: run third-party/packages"
	done
	[[ -x $cni_plugins/ptp ]] || fail "the CNI plugins are missing from $cni_plugins: run third-party/packages"
}

cni_plugins=/usr/lib/cni
[[ -x $cni_plugins/ptp || ! -x /opt/cni/bin/ptp ]] || cni_plugins=/opt/cni/bin
