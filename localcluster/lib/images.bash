# shellcheck shell=bash disable=SC2034,SC2154
# Image archives (OCI, one image each) into the nodes' containerd.

# load_images ARCHIVE... NODE: skips what the node has already.
load_images() {
	local node=${*: -1} archive name digest present
	set -- "${@:1:$#-1}"
	present=$(containerd_images "$node" list | awk 'NR > 1 { print $1, $3 }')
	for archive in "$@"; do
		read -r name digest < <(archive_identity "$archive")
		grep -qxF "$name $digest" <<<"$present" && continue
		containerd_images "$node" import --digests=false - <"$archive" >/dev/null ||
			fail "$node did not take $archive: see $(node_var "$node")/log/containerd.log"
	done
}

containerd_images() {
	local node=$1
	shift
	enter "$node" ctr --namespace k8s.io images "$@"
}

# Prints the full name and the digest of the image in an archive.
archive_identity() {
	tar -xOf "$1" index.json |
		jq -r '.manifests[0] | [.annotations["org.opencontainers.image.ref.name"], .digest] | join(" ")'
}
