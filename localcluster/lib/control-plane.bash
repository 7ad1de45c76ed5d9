# shellcheck shell=bash disable=SC2034,SC2154
# etcd, kube-apiserver, kube-controller-manager and kube-scheduler, in node0.

control_plane_daemons="etcd kube-apiserver kube-controller-manager kube-scheduler"

# All paths are those inside the node.
certificates=/var/kubernetes

start_api_server() {
	daemon node0 etcd --data-dir=/var/lib/etcd --log-level=warn \
		--listen-client-urls=http://127.0.0.1:2379 --advertise-client-urls=http://127.0.0.1:2379 \
		--listen-peer-urls=http://127.0.0.1:2380 --initial-advertise-peer-urls=http://127.0.0.1:2380 \
		--initial-cluster=default=http://127.0.0.1:2380
	daemon node0 kube-apiserver --etcd-servers=http://127.0.0.1:2379 \
		--advertise-address="$api_server_address" --secure-port="$api_server_port" \
		--service-cluster-ip-range="$service_range" --allow-privileged --profiling=false \
		--authorization-mode=Node,RBAC --enable-admission-plugins=NodeRestriction \
		--client-ca-file=$certificates/ca.crt \
		--tls-cert-file=$certificates/apiserver.crt --tls-private-key-file=$certificates/apiserver.key \
		--kubelet-certificate-authority=$certificates/ca.crt \
		--kubelet-client-certificate=$certificates/apiserver-kubelet-client.crt \
		--kubelet-client-key=$certificates/apiserver-kubelet-client.key \
		--kubelet-preferred-address-types=InternalIP \
		--service-account-issuer="https://kubernetes.default.svc.$dns_domain" \
		--service-account-key-file=$certificates/service-accounts.key \
		--service-account-signing-key-file=$certificates/service-accounts.key \
		--requestheader-client-ca-file=$certificates/front-proxy-ca.crt \
		--requestheader-allowed-names=front-proxy-client --requestheader-extra-headers-prefix=X-Remote-Extra- \
		--requestheader-group-headers=X-Remote-Group --requestheader-username-headers=X-Remote-User \
		--proxy-client-cert-file=$certificates/front-proxy-client.crt \
		--proxy-client-key-file=$certificates/front-proxy-client.key
}

start_controllers() {
	daemon node0 kube-controller-manager --kubeconfig=$certificates/controller-manager.kubeconfig \
		--authentication-kubeconfig=$certificates/controller-manager.kubeconfig \
		--authorization-kubeconfig=$certificates/controller-manager.kubeconfig \
		--bind-address=127.0.0.1 --leader-elect=false --profiling=false --use-service-account-credentials \
		--root-ca-file=$certificates/ca.crt --service-account-private-key-file=$certificates/service-accounts.key \
		--cluster-signing-cert-file=$certificates/ca.crt --cluster-signing-key-file=$certificates/ca.key
	daemon node0 kube-scheduler --kubeconfig=$certificates/scheduler.kubeconfig \
		--authentication-kubeconfig=$certificates/scheduler.kubeconfig \
		--authorization-kubeconfig=$certificates/scheduler.kubeconfig \
		--bind-address=127.0.0.1 --leader-elect=false --profiling=false
}

wait_for_api_server() {
	wait_until 60 "an answer of kube-apiserver" kubectl get --raw /readyz
}
