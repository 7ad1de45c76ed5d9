# shellcheck shell=bash disable=SC2154
# What the benchmarks on loopback need before they start. The caller has set root, cache and bench, its own name.

need() {
	command -v "$1" >/dev/null || { echo "$bench: $1 is missing: install it with: apt-get install $2" >&2; exit 1; }
}

fetch_images() {
	[[ -d $cache/cifar10-test ]] && return
	"$root/images/cifar10-test" "$cache/cifar10-test.partial" "$cache/downloads"
	mv "$cache/cifar10-test.partial" "$cache/cifar10-test"
}
