# shellcheck shell=bash disable=SC2034,SC2154
# Images of Kubernetes itself and of flannel, which a cluster elsewhere pulls: one image with all the programs under all the
# names that kubeadm expects, and the pause image under its name there.

image_repository=localhost/tailrace
kubernetes_version=v1.36.3
kubernetes_image_names=(
	"kube-apiserver:$kubernetes_version" "kube-controller-manager:$kubernetes_version" "kube-scheduler:$kubernetes_version"
	"kube-proxy:$kubernetes_version" etcd:3.6.8-0 coredns:v1.14.2 flannel:v0.28.10
)
pause_image_name=pause:3.10.2

images_folder() { echo "$cache/machines/images-$(content_key "$here/lib/images.bash" "$cache"/bin/{kubernetes,coredns-kubeadm,flanneld,pause})"; }

ensure_kubernetes_images() {
	local folder
	folder=$(images_folder)
	if [[ ! -d $folder ]]; then
		rm -rf "$folder.partial"
		mkdir -p "$folder.partial/programs"
		make_kubernetes_archive "$folder.partial" >"$cache/machines/images.log" 2>&1 ||
			fail "the image of Kubernetes could not be made: see $cache/machines/images.log"
		rm -rf "$folder.partial"/{programs,buildah,base.tar} "/run/$prefix-images"
		mv "$folder.partial" "$folder"
		find "$cache/machines" -maxdepth 1 -name 'images-????????????' ! -path "$folder" -mtime +14 -exec rm -rf {} +
	fi
	# shellcheck disable=SC1091
	source "$repository/target/images.env"
	name_archive "$TAILRACE_PAUSE_ARCHIVE" "$state/pause.tar" "$pause_image_name"
	write_images_file "$folder"
}

# shellcheck disable=SC2016
# A minimal Debian with iptables, which kube-proxy and flannel call, and the programs.
make_kubernetes_archive() {
	local folder=$1 container name
	own_package_sources | mmdebstrap --variant=minbase --mode=root --include=iptables \
		--customize-hook='rm -rf "$1"/var/cache/apt/* "$1"/var/lib/apt/lists/* "$1"/usr/share/doc "$1"/usr/share/locale' \
		"$(source /etc/os-release && echo "$VERSION_CODENAME")" "$folder/base.tar" -
	cp -L "$cache/bin/kubernetes" "$folder/programs/kubernetes"
	for name in etcd kube-apiserver kube-controller-manager kube-scheduler kube-proxy; do
		ln -s kubernetes "$folder/programs/$name"
	done
	container=$(store from scratch)
	store add --quiet "$container" "$folder/base.tar" /
	store copy --quiet "$container" "$folder/programs" /usr/local/bin/
	store copy --quiet "$container" "$(readlink -f "$cache/bin/coredns-kubeadm")" /coredns
	store copy --quiet "$container" "$(readlink -f "$cache/bin/flanneld")" /opt/bin/flanneld
	# CoreDNS alone is started by its entrypoint; all others are called by name.
	store config --entrypoint '["/coredns"]' "$container"
	store commit --quiet --rm "$container" "$image_repository/kubernetes"
	store push --quiet "$image_repository/kubernetes" "oci-archive:$folder/one-name.tar:$image_repository/kubernetes"
	store rmi --all
	name_archive "$folder/one-name.tar" "$folder/kubernetes.tar" "${kubernetes_image_names[@]}"
	rm "$folder/one-name.tar"
}

store() {
	buildah --storage-driver vfs --root "$folder/buildah" --runroot "/run/$prefix-images" "$@"
}

# name_archive ARCHIVE NEW_ARCHIVE NAME...: the same image, under other names of the repository.
name_archive() {
	local archive=$1 new=$2 folder
	shift 2
	folder=$(mktemp -d "$(dirname "$new")/names.XXXX")
	tar -xf "$archive" -C "$folder"
	jq --arg repository "$image_repository" '
		.manifests[0] as $image
		| .manifests = [$ARGS.positional[] | . as $name | $image | .annotations["org.opencontainers.image.ref.name"] = "\($repository)/\($name)"]
	' "$folder/index.json" --args "$@" >"$folder/index.new"
	mv "$folder/index.new" "$folder/index.json"
	tar -cf "$new" -C "$folder" .
	rm -rf "$folder"
}

# What the machines are given, in the form of target/images.env.
write_images_file() {
	{
		grep -v '^TAILRACE_PAUSE_' "$repository/target/images.env"
		echo "TAILRACE_PAUSE_IMAGE=$image_repository/$pause_image_name"
		echo "TAILRACE_PAUSE_ARCHIVE=$state/pause.tar"
		echo "TAILRACE_KUBERNETES_IMAGE=$image_repository/${kubernetes_image_names[0]}"
		echo "TAILRACE_KUBERNETES_ARCHIVE=$1/kubernetes.tar"
	} >"$state/images.env"
}
