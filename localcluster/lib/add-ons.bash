# shellcheck shell=bash disable=SC2034,SC2154
# CoreDNS and the local-path volumes.

add_on_images="pause coredns local-path-provisioner"

# Builds them if need be and reads their names and archives: TAILRACE_PAUSE_IMAGE, TAILRACE_PAUSE_ARCHIVE, ...
prepare_add_on_images() {
	# shellcheck disable=SC2086
	"$repository/images/build" $add_on_images
	# shellcheck disable=SC1091
	source "$repository/target/images.env"
}

add_on_archives() {
	echo "$TAILRACE_PAUSE_ARCHIVE" "$TAILRACE_COREDNS_ARCHIVE" "$TAILRACE_LOCAL_PATH_PROVISIONER_ARCHIVE"
}

add_on_manifests() {
	sed -e "s|COREDNS_IMAGE|$TAILRACE_COREDNS_IMAGE|" \
		-e "s|LOCAL_PATH_PROVISIONER_IMAGE|$TAILRACE_LOCAL_PATH_PROVISIONER_IMAGE|" \
		-e "s|DNS_SERVICE_ADDRESS|$dns_service_address|" -e "s|DNS_DOMAIN|$dns_domain|" \
		"$repository"/localcluster/manifests/*.yaml
}

apply_add_ons() {
	add_on_manifests | kubectl apply --server-side --force-conflicts -f - >/dev/null
}

# From inside every node: through its Service rules to the DNS pod and back.
wait_for_dns() {
	local node
	for node in $(existing_nodes); do
		wait_until 90 "an answer of CoreDNS on $node" dns_answers "$node"
	done
}

dns_answers() { [[ $(enter "$1" getent ahostsv4 "kubernetes.default.svc.$dns_domain") == "$api_service_address "* ]]; }
