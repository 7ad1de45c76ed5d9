# shellcheck shell=bash disable=SC2034,SC2154
# What runs on every node: containerd, kubelet and kube-proxy, each with its configuration.

node_daemons="containerd kubelet kube-proxy"

ensure_containerd() {
	local node=$1
	write_containerd_configuration "$node"
	write_pod_network "$node"
	daemon "$node" containerd --config /var/kubernetes/containerd.toml
}

ensure_kubelet() {
	local node=$1
	write_kubelet_configuration "$node"
	daemon "$node" kubelet --config=/var/kubernetes/kubelet.yaml --kubeconfig=/var/kubernetes/kubelet.kubeconfig \
		--hostname-override="$node" --node-ip="$(node_address "$node")"
}

ensure_proxy() {
	local node=$1
	write_proxy_configuration "$node"
	daemon "$node" kube-proxy --config=/var/kubernetes/kube-proxy.yaml --hostname-override="$node"
}

write_containerd_configuration() {
	cat >"$(node_var "$1")/kubernetes/containerd.toml" <<-END
		version = 2
		[debug]
		  level = "warn"
		[plugins."io.containerd.grpc.v1.cri"]
		  sandbox_image = "$TAILRACE_PAUSE_IMAGE"
		  disable_apparmor = true
		  restrict_oom_score_adj = true
		  tolerate_missing_hugetlb_controller = true
		[plugins."io.containerd.grpc.v1.cri".cni]
		  bin_dir = "$cni_plugins"
		  conf_dir = "/var/kubernetes/cni"
		[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
		  runtime_type = "io.containerd.runc.v2"
		  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
		    SystemdCgroup = false
	END
}

# Each pod has a link of its own to the node (ptp, not a bridge): all its traffic is routed and so seen by the Service
# rules, with or without br_netfilter.
write_pod_network() {
	local folder
	folder=$(node_var "$1")/kubernetes/cni
	mkdir -p "$folder"
	cat >"$folder/10-pods.conflist" <<-END
		{
		  "cniVersion": "0.4.0",
		  "name": "pods",
		  "plugins": [
		    {
		      "type": "ptp",
		      "ipam": {
		        "type": "host-local",
		        "dataDir": "/run/cni",
		        "ranges": [[{"subnet": "$(node_pod_range "$1")"}]],
		        "routes": [{"dst": "0.0.0.0/0"}]
		      }
		    },
		    {"type": "portmap", "capabilities": {"portMappings": true}}
		  ]
		}
	END
}

write_kubelet_configuration() {
	: >"$(node_var "$1")/kubernetes/no-resolver.conf"
	cat >"$(node_var "$1")/kubernetes/kubelet.yaml" <<-END
		apiVersion: kubelet.config.k8s.io/v1beta1
		kind: KubeletConfiguration
		address: $(node_address "$1")
		authentication:
		  anonymous: {enabled: false}
		  webhook: {enabled: true}
		  x509: {clientCAFile: /var/kubernetes/ca.crt}
		authorization: {mode: Webhook}
		tlsCertFile: /var/kubernetes/kubelet.crt
		tlsPrivateKeyFile: /var/kubernetes/kubelet.key
		containerRuntimeEndpoint: unix:///run/containerd/containerd.sock
		clusterDomain: $dns_domain
		clusterDNS: [$dns_service_address]
		# Pods inherit no name server: the cluster's DNS is the only one.
		resolvConf: /var/kubernetes/no-resolver.conf
		cgroupDriver: cgroupfs
		cgroupRoot: /$cgroup/$1
		failCgroupV1: false
		failSwapOn: false
		oomScoreAdj: 0
		# The nodes share one disk with the machine; images are never collected, pods evicted only at its very end.
		imageGCHighThresholdPercent: 100
		imageGCLowThresholdPercent: 99
		kubeReserved: {cpu: "$(($(nproc) - ${allocatable_cpus:-$(nproc)}))"}
		evictionHard: {memory.available: 100Mi, nodefs.available: 1%, nodefs.inodesFree: 1%, imagefs.available: 1%}
	END
}

write_proxy_configuration() {
	cat >"$(node_var "$1")/kubernetes/kube-proxy.yaml" <<-END
		apiVersion: kubeproxy.config.k8s.io/v1alpha1
		kind: KubeProxyConfiguration
		mode: iptables
		clientConnection: {kubeconfig: /var/kubernetes/kube-proxy.kubeconfig}
		clusterCIDR: $pod_range
		oomScoreAdj: 0
		# The size of the connection table belongs to the machine.
		conntrack: {maxPerCore: 0, min: 0}
	END
}

wait_for_nodes() {
	local node
	for node in $(existing_nodes); do
		wait_until 90 "$node to be known to the API server" kubectl get node "$node"
	done
	kubectl wait --for=condition=Ready nodes --all --timeout=90s >/dev/null ||
		fail "not every node became Ready: see $state/node*/var/log/kubelet.log"
	kubectl label --overwrite node node0 node-role.kubernetes.io/control-plane= >/dev/null
}
