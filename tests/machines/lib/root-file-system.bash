# shellcheck shell=bash disable=SC2034,SC2154
# The root file system that all machines start from: what a cloud's image has, and what a container of systemd needs.

ubuntu_keys_package=http://archive.ubuntu.com/ubuntu/pool/main/u/ubuntu-keyring/ubuntu-keyring_2023.11.28.1_all.deb
ubuntu_keys_sha256=36de43b15853ccae0028e9a767613770c704833f82586f28eb262f0311adb8a8
root_packages=(apt systemd systemd-sysv dbus libpam-systemd openssh-server python3 python3-apt sudo iproute2 procps kmod ca-certificates)

root_file_system() {
	echo "$cache/machines/root-$(content_key "$here/lib/root-file-system.bash" "$here"/own-settings/* <(package_sources))"
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

# With which the packages of another distribution are signed: prints the file. Debian 12 has no package of Ubuntu's.
ubuntu_keys() {
	local package=$cache/machines/${ubuntu_keys_package##*/}
	[[ -s $package ]] || curl --silent --show-error --fail --output "$package" "$ubuntu_keys_package"
	sha256sum --check --quiet <<<"$ubuntu_keys_sha256  $package" || fail "$package is not the package it should be: delete it"
	dpkg-deb --extract "$package" "$cache/machines/ubuntu-keyring"
	echo "$cache/machines/ubuntu-keyring/usr/share/keyrings/ubuntu-archive-keyring.gpg"
}

# The distribution's part of the computer's own.
# shellcheck disable=SC2016
own_package_sources() {
	apt-get indextargets --format '$(ORIGIN)|deb $(REPO_URI) $(CODENAME) $(COMPONENT)' 'Created-By: Packages' |
		sed -nE 's/^(Debian|Ubuntu)\|//p' | sort -u
}

ensure_root_file_system() {
	local root log=$cache/machines/root.log release keys options=()
	release=$(release)
	root=$(root_file_system)
	[[ ! -d $root ]] || return 0
	mkdir -p "$cache/machines"
	rm -rf "$root.partial"
	if [[ ${SYSTEM:-} == ubuntu-* ]]; then
		keys=$(ubuntu_keys)
		options=(--keyring="$keys")
	fi
	package_sources | mmdebstrap --variant=minbase --mode=root --include="$(IFS=, && echo "${root_packages[*]}")" \
		"${options[@]}" "$release" "$root.partial" - >"$log" 2>&1 || fail "the root file system could not be made: see $log"
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
	rm -f "$root/etc/resolv.conf"
	echo "nameserver $switch_address" >"$root/etc/resolv.conf"
	install -m 0755 "$here/own-settings/own-settings" "$root/usr/local/sbin/own-settings"
	install -m 0644 "$here/own-settings/own-settings.service" "$root/etc/systemd/system/own-settings.service"
	chroot "$root" systemctl enable own-settings.service
	chroot "$root" systemctl mask systemd-networkd.service systemd-resolved.service apt-daily.timer apt-daily-upgrade.timer
	rm -rf "$root/var/lib/apt/lists" "$root"/var/cache/apt/*.bin "$root/etc/machine-id"
	mkdir -p "$root/var/lib/apt/lists/partial" "$root/home/debian/.ssh"
	touch --date=@0 "$root/var/lib/apt/lists"
	touch "$root/etc/machine-id"
}
