"""A real kube-apiserver with etcd and the controllers that make pods, but no kubelet."""

import http.client
import json
import logging
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from loopback.processes import Failed, Processes, free_port, listens

NAMESPACE = "bench"
ADMINISTRATOR, OPERATOR = "administrator-of-the-bench", "operator-of-the-bench"
# As a pod's account is called, so that the API server is as fair to it as to any other.
OPERATOR_USER = "system:serviceaccount:bench:tailrace-operator"
# Enough for hundreds of Pipelines at once: the default of 20 requests a second would be measured instead.
CONTROLLERS_PER_SECOND = 1000
CONTROLLERS = [
    *("deployment", "replicaset", "statefulset", "job", "garbage-collector", "serviceaccount"),
    "persistentvolumeclaim-protection",
]
# One line for each request of the operator, before it is answered; nothing of anybody else.
AUDIT_POLICY = f"""apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [ResponseStarted, ResponseComplete, Panic]
rules:
  - {{level: Metadata, users: ["{OPERATOR_USER}"]}}
  - {{level: None}}
"""
JSON, MERGE = "application/json", "application/merge-patch+json"
# Of what was written only the metadata comes back: the rest would be read for nothing.
METADATA = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
LONGEST_SILENCE = 10


def until(what: str, seconds: float, done: Callable[[], object], pause: float = 0.1) -> None:
    """Waits, and says every ten seconds for what. What `done` returns is said, too, unless it is true or false."""
    begin = said = time.monotonic()
    while (answer := done()) is not True:
        now = time.monotonic()
        if now - begin > seconds:
            raise Failed(f"not within {seconds:.0f} s: {what}")
        if now - said > LONGEST_SILENCE:
            said = now
            logging.info("  %s%s", what, "" if answer is False else f": {answer}")
        time.sleep(pause)


@dataclass
class Api:
    """The API server, as its administrator asks it. Each thread has a connection of its own."""

    port: int
    certificate: Path
    connections: threading.local = field(default_factory=threading.local)
    watches: list[http.client.HTTPSConnection] = field(default_factory=list)

    def connect(self, timeout: float = 30) -> http.client.HTTPSConnection:
        trusted = ssl.create_default_context(cafile=str(self.certificate))
        return http.client.HTTPSConnection("127.0.0.1", self.port, context=trusted, timeout=timeout)

    def ask(self, method: str, path: str, body: dict | str | None = None, kind: str = JSON) -> dict | None:
        """The answer, or nothing if there is no such object. An idle connection may have been closed: then again."""
        headers = {
            "Authorization": f"Bearer {ADMINISTRATOR}",
            "Content-Type": kind,
            "Accept": JSON if method == "GET" else METADATA,
        }
        text = json.dumps(body) if isinstance(body, dict) else body
        for last in (False, True):
            connection = getattr(self.connections, "own", None) or self.connect()
            self.connections.own = connection
            try:
                connection.request(method, path, text, headers)
                answer = connection.getresponse()
                told = answer.read()
                break
            except (OSError, http.client.HTTPException) as error:
                connection.close()
                self.connections.own = None
                if last:
                    raise Failed(f"{method} {path}: {error}") from error
        if answer.status == 404:
            return None
        if answer.status >= 300:
            raise Failed(f"{method} {path}: {answer.status} {told[:500].decode(errors='replace')}")
        return json.loads(told) if told.startswith(b"{") else {}

    def get(self, path: str) -> dict:
        found = self.ask("GET", path)
        if found is None:
            raise Failed(f"{path} is not there")
        return found

    def create(self, path: str, body: dict | str) -> dict:
        made = self.ask("POST", path, body)
        if made is None:
            raise Failed(f"the API server does not know {path}")
        return made

    def change(self, path: str, change: dict) -> bool:
        """Whether it is there."""
        return self.ask("PATCH", path, change, MERGE) is not None

    def watch(self, path: str, seconds: int) -> Iterator[dict]:
        """The events of a watch, for so long at most."""
        connection = self.connect(timeout=seconds + 30)
        self.watches.append(connection)
        question = "&" if "?" in path else "?"
        target = f"{path}{question}watch=true&resourceVersion=0&timeoutSeconds={seconds}"
        connection.request("GET", target, headers={"Authorization": f"Bearer {ADMINISTRATOR}"})
        with closing(connection), connection.getresponse() as answer:
            if answer.status != 200:
                raise Failed(f"watch {path}: {answer.read()[:500].decode(errors='replace')}")
            while line := answer.readline():
                yield json.loads(line)

    def close(self) -> None:
        """Ends all watches: the API server waits for them when it is to end."""
        for connection in self.watches:
            if connection.sock:
                connection.sock.shutdown(socket.SHUT_RDWR)


def core(plural: str, name: str = "") -> str:
    """The path of objects of Kubernetes' first group."""
    return path("/api/v1", plural, name)


def ours(plural: str, name: str = "") -> str:
    """The path of custom resources."""
    return path("/apis/tailrace.dev/v1alpha1", plural, name)


def path(group: str, plural: str, name: str = "") -> str:
    """The path of objects in the namespace of the bench."""
    return f"{group}/namespaces/{NAMESPACE}/{plural}{'/' * bool(name)}{name}"


@dataclass(frozen=True)
class Cluster:
    """One that runs."""

    api: Api
    folder: Path

    @property
    def audit_log(self) -> Path:
        return self.folder / "audit.log"

    @property
    def kubeconfig(self) -> Path:
        """The operator's."""
        return self.folder / "operator.kubeconfig"


def start(processes: Processes, cache: Path, definitions: Path) -> Cluster:
    """Starts it, with the custom resource definitions and the namespace of the bench."""
    folder, programs, port = processes.folder, cache / "bin", free_port()
    etcd = start_etcd(processes, programs)
    start_api_server(processes, programs, etcd, port)
    certificate = folder / "apiserver.crt"
    until(
        "the API server has a certificate", 60, lambda: certificate.exists() and b"END CERT" in certificate.read_bytes()
    )
    api = Api(port, certificate)
    write_kubeconfig(folder / "kubeconfig", port, certificate, ADMINISTRATOR)
    write_kubeconfig(folder / "operator.kubeconfig", port, certificate, OPERATOR)
    until("the API server is ready", 90, lambda: is_ready(api, processes))
    start_controllers(processes, programs)
    prepare(api, programs, folder, definitions)
    return Cluster(api, folder)


def is_ready(api: Api, processes: Processes) -> bool:
    processes.check()
    try:
        return api.ask("GET", "/readyz") is not None
    except Failed:
        return False


def start_etcd(processes: Processes, programs: Path) -> str:
    port, peers = free_port(), free_port()
    clients, peers_address = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{peers}"
    arguments = [
        f"--data-dir={processes.folder}/etcd",
        *(f"--listen-client-urls={clients}", f"--advertise-client-urls={clients}"),
        *(f"--listen-peer-urls={peers_address}", f"--initial-advertise-peer-urls={peers_address}"),
        *(f"--initial-cluster=default={peers_address}", f"--quota-backend-bytes={4 << 30}", "--log-level=warn"),
        # Nothing here is worth waiting for a disk.
        "--unsafe-no-fsync",
    ]
    processes.start("etcd", [str(programs / "etcd"), *arguments])
    until("etcd listens", 60, lambda: listens(port))
    return clients


def start_api_server(processes: Processes, programs: Path, etcd: str, port: int) -> None:
    folder = processes.folder
    (folder / "audit-policy.yaml").write_text(AUDIT_POLICY)
    (folder / "tokens.csv").write_text(
        f"{ADMINISTRATOR},administrator,administrator,system:masters\n"
        f"{OPERATOR},{OPERATOR_USER},operator,system:serviceaccounts\n"
    )
    key = folder / "service-accounts.key"
    subprocess.run(["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", str(key)], check=True)
    arguments = [
        *(f"--etcd-servers={etcd}", "--bind-address=127.0.0.1", "--advertise-address=127.0.0.1"),
        *(f"--secure-port={port}", f"--cert-dir={folder}", f"--token-auth-file={folder}/tokens.csv"),
        *("--authorization-mode=RBAC", "--service-cluster-ip-range=10.96.0.0/16", "--profiling=false"),
        *("--service-account-issuer=https://kubernetes.default.svc", f"--service-account-key-file={key}"),
        f"--service-account-signing-key-file={key}",
        *(f"--audit-policy-file={folder}/audit-policy.yaml", f"--audit-log-path={folder}/audit.log"),
    ]
    processes.start("kube-apiserver", [str(programs / "kube-apiserver"), *arguments])


def write_kubeconfig(file: Path, port: int, certificate: Path, token: str) -> None:
    cluster = {"server": f"https://127.0.0.1:{port}", "certificate-authority": str(certificate)}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "bench",
        "clusters": [{"name": "bench", "cluster": cluster}],
        "users": [{"name": "bench", "user": {"token": token}}],
        "contexts": [{"name": "bench", "context": {"cluster": "bench", "user": "bench", "namespace": NAMESPACE}}],
    }
    file.write_text(json.dumps(config))


def start_controllers(processes: Processes, programs: Path) -> None:
    folder = processes.folder
    arguments = [
        f"--kubeconfig={folder}/kubeconfig",
        "--controllers=" + ",".join(f"{name}-controller" for name in CONTROLLERS),
        *("--bind-address=127.0.0.1", f"--secure-port={free_port()}", f"--cert-dir={folder}/controllers"),
        *(f"--kube-api-qps={CONTROLLERS_PER_SECOND}", f"--kube-api-burst={CONTROLLERS_PER_SECOND}"),
        *("--leader-elect=false", "--profiling=false"),
    ]
    processes.start("kube-controller-manager", [str(programs / "kube-controller-manager"), *arguments])


def prepare(api: Api, programs: Path, folder: Path, definitions: Path) -> None:
    kubectl = [str(programs / "kubectl"), f"--kubeconfig={folder}/kubeconfig", "--cache-dir", str(folder / "discovery")]
    # Their schemas are too long for the annotation of `apply`.
    for command in (
        ["create", "-f", str(definitions)],
        ["wait", "--for=condition=Established", "crd", "--all", "--timeout=60s"],
    ):
        ended = subprocess.run([*kubectl, *command], capture_output=True, text=True)
        if ended.returncode != 0:
            raise Failed(f"kubectl {command[0]} failed: {ended.stderr[-1000:]}")
    api.create("/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"}
    subject = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": OPERATOR_USER}
    binding = {"metadata": {"name": "bench-operator"}, "roleRef": role, "subjects": [subject]}
    api.create("/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", binding)
    until("the namespace has its account", 60, lambda: api.ask("GET", core("serviceaccounts", "default")) is not None)
