# shellcheck shell=bash disable=SC2034,SC2154
# Machines on and off. A machine's folder: root (its disk, over the common one), containerd, kubelet and docker (which want a file
# system that is no overlay), log, `on` while it shall run, `nspawn` with the process that holds it.

make_machine() {
	local name=$1 home=$state/$1/disk/home/debian/.ssh
	mkdir -p "$state/$name"/{disk,work,root,containerd,kubelet,docker} "$state/$name/disk/etc" "$home"
	echo "$name" >"$state/$name/disk/etc/hostname"
	printf '127.0.0.1 localhost\n%s %s\n' "$(machine_address "$name")" "$name" >"$state/$name/disk/etc/hosts"
	cp "$state/key.pub" "$home/authorized_keys"
	chown -R 1000:1000 "$state/$name/disk/home/debian"
	make_leg "$name"
}

switch_on() {
	local name=$1
	touch "$state/$name/on"
	setsid unshare --mount --propagation private "$here/machine" "$name" </dev/null >>"$state/$name/log" 2>&1 &
}

wait_for_ssh() { wait_until 60 "SSH on $1" in_switch bash -c "exec 3<>/dev/tcp/$(machine_address "$1")/22 && read -r -t 2 <&3"; }

# As pulling the plug: nothing in the machine gets to know.
cut_power() {
	local name=$1 holder
	holder=$(<"$state/$name/nspawn")
	rm -f "$state/$name/on"
	pkill -KILL --parent "$holder"
	wait_until 30 "the end of $name" is_off "$name"
}

switch_off() {
	local name=$1
	rm -f "$state/$name/on"
	[[ -e $state/$name/nspawn ]] || return 0
	pkill -KILL --parent "$(<"$state/$name/nspawn")" || true
	wait_until 30 "the end of $name" is_off "$name"
}

is_off() { [[ ! -e $state/$1/nspawn ]] || ! kill -0 "$(<"$state/$1/nspawn")"; }

remove_control_groups() {
	local hierarchy
	while read -r hierarchy; do
		[[ ! -d $hierarchy/$cgroup ]] || wait_until 30 "the removal of $hierarchy/$cgroup" remove_tree "$hierarchy/$cgroup"
	done < <(hierarchies)
}

remove_tree() {
	find "$1" -depth -type d -exec rmdir {} + 2>/dev/null || true
	[[ ! -d $1 ]]
}
