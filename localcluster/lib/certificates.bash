# shellcheck shell=bash disable=SC2034,SC2154
# The cluster's own certificate authorities and certificates (ECDSA P-256), made once, and the kubeconfigs that use them.

# make_authority FOLDER NAME SUBJECT
make_authority() {
	local folder=$1 name=$2 subject=$3
	[[ ! -s $folder/$name.crt ]] || return 0
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 -subj "/CN=$subject" \
		-addext "keyUsage=critical,keyCertSign,cRLSign,digitalSignature" \
		-keyout "$folder/$name.key" -out "$folder/$name.new" 2>/dev/null
	mv "$folder/$name.new" "$folder/$name.crt"
}

# make_certificate FOLDER NAME AUTHORITY SUBJECT USAGE [ALTERNATIVE_NAMES]; AUTHORITY without .crt/.key
make_certificate() {
	local folder=$1 name=$2 authority=$3 subject=$4 usage=$5 alternative=${6:-}
	[[ ! -s $folder/$name.crt ]] || return 0
	openssl req -x509 -CA "$authority.crt" -CAkey "$authority.key" -newkey ec -pkeyopt ec_paramgen_curve:P-256 \
		-nodes -days 3650 -subj "$subject" -addext "basicConstraints=critical,CA:FALSE" \
		-addext "keyUsage=critical,digitalSignature" -addext "extendedKeyUsage=$usage" \
		${alternative:+-addext "subjectAltName=$alternative"} \
		-keyout "$folder/$name.key" -out "$folder/$name.new" 2>/dev/null
	mv "$folder/$name.new" "$folder/$name.crt"
}

ensure_control_plane_certificates() {
	local folder names
	folder=$(node_var node0)/kubernetes
	names="DNS:localhost,DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc"
	names+=",DNS:kubernetes.default.svc.$dns_domain,IP:$api_service_address,IP:$api_server_address,IP:127.0.0.1"

	(
		umask 077
		make_authority "$folder" ca kubernetes
		make_authority "$folder" front-proxy-ca front-proxy
		make_certificate "$folder" apiserver "$folder/ca" "/CN=kube-apiserver" serverAuth "$names"
		make_certificate "$folder" apiserver-kubelet-client "$folder/ca" "/O=system:masters/CN=apiserver-kubelet-client" clientAuth
		make_certificate "$folder" front-proxy-client "$folder/front-proxy-ca" "/CN=front-proxy-client" clientAuth
		make_certificate "$folder" admin "$folder/ca" "/O=system:masters/CN=admin" clientAuth
		make_certificate "$folder" controller-manager "$folder/ca" "/CN=system:kube-controller-manager" clientAuth
		make_certificate "$folder" scheduler "$folder/ca" "/CN=system:kube-scheduler" clientAuth
		[[ -s $folder/service-accounts.key ]] || make_signing_key "$folder/service-accounts.key"
		for name in controller-manager scheduler; do
			write_kubeconfig "$folder/$name.kubeconfig" "$folder" "$name" "https://$api_server_address:$api_server_port"
		done
	)
}

make_signing_key() {
	openssl ecparam -name prime256v1 -genkey -noout -out "$1.new" 2>/dev/null
	mv "$1.new" "$1"
}

ensure_node_certificates() {
	local node=$1 folder authority name
	authority=$(node_var node0)/kubernetes/ca
	folder=$(node_var "$node")/kubernetes
	(
		umask 077
		[[ $node == node0 ]] || cp "$authority.crt" "$folder/ca.crt"
		make_certificate "$folder" kubelet "$authority" "/O=system:nodes/CN=system:node:$node" "clientAuth,serverAuth" \
			"DNS:$node,IP:$(node_address "$node")"
		make_certificate "$folder" kube-proxy "$authority" "/CN=system:kube-proxy" clientAuth
		for name in kubelet kube-proxy; do
			write_kubeconfig "$folder/$name.kubeconfig" "$folder" "$name" "https://$api_server_address:$api_server_port"
		done
	)
}

# write_kubeconfig FILE FOLDER NAME SERVER: for the certificate FOLDER/NAME
write_kubeconfig() {
	local file=$1 folder=$2 name=$3 server=$4
	cat >"$file.new" <<-END
		apiVersion: v1
		kind: Config
		clusters:
		- name: $cluster
		  cluster:
		    server: $server
		    certificate-authority-data: $(base64 -w0 "$folder/ca.crt")
		users:
		- name: $name
		  user:
		    client-certificate-data: $(base64 -w0 "$folder/$name.crt")
		    client-key-data: $(base64 -w0 "$folder/$name.key")
		contexts:
		- name: $cluster
		  context: {cluster: $cluster, user: $name}
		current-context: $cluster
	END
	mv "$file.new" "$file"
}
