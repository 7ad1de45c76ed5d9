# shellcheck shell=bash disable=SC2034,SC2154
# The root file system that all machines start from: what a cloud's image has, and what a container of systemd needs.

root_packages=(systemd systemd-sysv dbus libpam-systemd openssh-server python3 python3-apt sudo iproute2 procps kmod ca-certificates)

root_file_system() {
	echo "$cache/machines/root-$(content_key "$here/lib/root-file-system.bash" "$here"/root/* <(package_sources))"
}

# The name of the release that the machines are to have.
# shellcheck disable=SC1091
release() {
	case ${SYSTEM:-} in
	'') (source /etc/os-release && echo "$VERSION_CODENAME") ;;
	debian-13) echo trixie ;;
	ubuntu-22.04) echo jammy ;;
	ubuntu-24.04) echo noble ;;
	*) fail "SYSTEM=$SYSTEM: write debian-13, ubuntu-22.04 or ubuntu-24.04, or leave it out for the system of this computer" ;;
	esac
}

package_sources() {
	local suite
	case ${SYSTEM:-} in
	debian-*) echo "deb http://deb.debian.org/debian $(release) main" ;;
	ubuntu-*)
		for suite in '' -updates -security; do
			echo "deb http://archive.ubuntu.com/ubuntu $(release)$suite main universe"
		done
		;;
	*) own_package_sources ;;
	esac
}

# The package with the keys of the distribution that is not the computer's own.
# shellcheck disable=SC1091
foreign_keys() {
	case $(source /etc/os-release && echo "$ID")/${SYSTEM:-} in
	debian/ubuntu-*) echo ubuntu-archive-keyring ;;
	ubuntu/debian-*) echo debian-archive-keyring ;;
	esac
}

# The distribution's part of the computer's own.
# shellcheck disable=SC2016
own_package_sources() {
	apt-get indextargets --format '$(ORIGIN)|deb $(REPO_URI) $(CODENAME) $(COMPONENT)' 'Created-By: Packages' |
		sed -nE 's/^(Debian|Ubuntu)\|//p' | sort -u
}

ensure_root_file_system() {
	local root log=$cache/machines/root.log release
	release=$(release)
	root=$(root_file_system)
	[[ ! -d $root ]] || return 0
	mkdir -p "$cache/machines"
	rm -rf "$root.partial"
	package_sources | mmdebstrap --variant=minbase --mode=root --include="$(IFS=, && echo "${root_packages[*]}")" \
		"$release" "$root.partial" - >"$log" 2>&1 || fail "the root file system could not be made: see $log"
	furnish_root "$root.partial" >>"$log" 2>&1 || fail "the root file system could not be furnished: see $log"
	mv "$root.partial" "$root"
	find "$cache/machines" -maxdepth 1 -name 'root-????????????' ! -path "$root" -mtime +14 -exec rm -rf {} +
}

# A user who may use sudo, a short patience at shutdown, packages through the cache, and no lists of them yet: with the
# date of this moment Ansible would not fetch any.
furnish_root() {
	local root=$1
	chroot "$root" useradd --create-home --shell /bin/bash debian
	echo 'debian ALL=(ALL) NOPASSWD: ALL' >"$root/etc/sudoers.d/debian"
	mkdir -p "$root/etc/systemd/system.conf.d"
	printf '[Manager]\nDefaultTimeoutStopSec=10s\n' >"$root/etc/systemd/system.conf.d/stop.conf"
	echo "Acquire::http::Proxy \"http://$switch_address:$packages_port\";" >"$root/etc/apt/apt.conf.d/90cache"
	# Nobody answers there: names of the world do not exist in the machines.
	echo "nameserver $switch_address" >"$root/etc/resolv.conf"
	install -m 0755 "$here/root/own-settings" "$root/usr/local/sbin/own-settings"
	install -m 0644 "$here/root/own-settings.service" "$root/etc/systemd/system/own-settings.service"
	chroot "$root" systemctl enable own-settings.service
	chroot "$root" systemctl mask systemd-networkd.service systemd-resolved.service apt-daily.timer apt-daily-upgrade.timer
	rm -rf "$root/var/lib/apt/lists" "$root"/var/cache/apt/*.bin "$root/etc/machine-id"
	mkdir -p "$root/var/lib/apt/lists/partial" "$root/home/debian/.ssh"
	touch --date=@0 "$root/var/lib/apt/lists"
	touch "$root/etc/machine-id"
}
