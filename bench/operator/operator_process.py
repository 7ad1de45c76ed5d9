"""The operator, as a process: its memory, its metrics, and what it asks the API server for."""

import json
import re
import time
import urllib.error
import urllib.request
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from cluster import NAMESPACE, Cluster, until
from loopback.processes import Failed, Processes, free_port

NAME = "operator"
SAMPLE = re.compile(r"^(\w+)(?:\{(.*)\})? ([^ ]+)$", re.MULTILINE)
LABEL = re.compile(r'(\w+)="([^"]*)"')
DURATION = "tailrace_operator_reconcile_duration_seconds"
# Steady is an operator that has nothing in hand and has begun nothing new for so many seconds. Longer than the operator
# debounces anything.
REST = 4.0
LONGEST_START = 120


@dataclass(frozen=True)
class Metrics:
    """What `/metrics` said at one time."""

    samples: list[tuple[str, dict[str, str], float]]

    def sum(self, name: str) -> float:
        return sum(value for found, _, value in self.samples if found == name)

    def durations(self) -> dict[str, dict[float, float]]:
        """By kind: how many reconciliations took at most so many seconds."""
        found: dict[str, dict[float, float]] = {}
        for name, labels, value in self.samples:
            if name == f"{DURATION}_bucket":
                found.setdefault(labels["kind"], {})[float(labels["le"])] = value
        return found

    def reconciled(self) -> float:
        return self.sum(f"{DURATION}_count")

    def errors(self) -> dict[str, float]:
        errors = [
            (labels, value)
            for name, labels, value in self.samples
            if name == "tailrace_operator_reconcile_errors_total"
        ]
        return {f"{labels['kind']} {labels['reason']}": value for labels, value in errors}

    def is_idle(self) -> bool:
        return self.sum("tailrace_operator_queue_depth") == 0 and self.sum("tailrace_operator_reconciling") == 0


def parse(text: str) -> Metrics:
    """OpenMetrics text."""
    return Metrics([(name, dict(LABEL.findall(labels)), float(value)) for name, labels, value in SAMPLE.findall(text)])


def since(before: dict[str, dict[float, float]], after: dict[str, dict[float, float]]) -> dict[str, dict[float, float]]:
    """What came between two times."""
    return {
        kind: {bound: count - before.get(kind, {}).get(bound, 0) for bound, count in buckets.items()}
        for kind, buckets in after.items()
    }


def together(durations: dict[str, dict[float, float]]) -> dict[float, float]:
    """Of all kinds."""
    total: Counter[float] = Counter()
    for buckets in durations.values():
        total.update(buckets)
    return dict(total)


def quantile(buckets: dict[float, float], q: float) -> float:
    """In seconds, as Prometheus' histogram_quantile has it: linear within a bucket."""
    bounds = sorted(buckets)
    rank = q * buckets[bounds[-1]]
    lower = below = 0.0
    for bound in bounds:
        if buckets[bound] >= rank and buckets[bound] > below:
            return (
                lower if bound == float("inf") else lower + (bound - lower) * (rank - below) / (buckets[bound] - below)
            )
        lower, below = bound, buckets[bound]
    return 0.0


class Operator:
    """The one that runs, from its start on."""

    def __init__(self, processes: Processes, cluster: Cluster, binary: Path) -> None:
        self.processes, self.cluster = processes, cluster
        self.port = free_port()
        self.began = time.monotonic()
        environment = {
            "KUBECONFIG": str(cluster.kubeconfig),
            "POD_NAME": "tailrace-operator-0",
            "POD_NAMESPACE": NAMESPACE,
            "TAILRACE_HTTP_ADDRESS": f"127.0.0.1:{self.port}",
            "TAILRACE_WORKER_IMAGE": "tailrace/worker:bench",
            "TAILRACE_KAFKA_IMAGE": "apache/kafka:4.1.1",
            "TAILRACE_MONGODB_IMAGE": "mongo:8.0.20",
            "TAILRACE_FERRETDB_IMAGE": "ferretdb:1.24.2",
            "MALLOC_ARENA_MAX": "1",
        }
        processes.start(NAME, [str(binary)], environment)
        self.process = processes.running[NAME]

    def ask(self, path: str) -> str | None:
        """The answer, or nothing while it does not answer with 200."""
        self.processes.check()
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=10) as answer:
                return answer.read().decode()
        except (urllib.error.URLError, TimeoutError, ConnectionError):
            return None

    def metrics(self) -> Metrics:
        text = self.ask("/metrics")
        if text is None:
            raise Failed("the operator does not answer on /metrics")
        return parse(text)

    def until_steady(self) -> float:
        """Seconds from its start to the end of the last reconciliation, or to its being ready if that is later."""
        reconciled, changed = -1.0, self.began

        def is_steady() -> object:
            nonlocal reconciled, changed
            if self.ask("/readyz") is None or not (now := self.metrics()).sum("tailrace_operator_leader"):
                changed = time.monotonic()
                return False
            if now.reconciled() != reconciled or not now.is_idle():
                reconciled, changed = now.reconciled(), time.monotonic()
            return time.monotonic() - changed >= REST or f"{reconciled:.0f} reconciliations"

        until("the operator comes to rest", LONGEST_START, is_steady)
        return changed - self.began

    def memory(self) -> dict[str, float]:
        """In MB: resident, the part of it that no file backs, and the highest so far."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        found = {
            name: int(kilobytes) / 1024 for name, kilobytes in re.findall(r"^(\w+):\s+(\d+) kB", status, re.MULTILINE)
        }
        return {"resident": found["VmRSS"], "anonymous": found["RssAnon"], "highest": found["VmHWM"]}

    def requests(self, seconds: float) -> Counter[str]:
        """What it asks for from now on, for so long: by verb and kind, as the API server has it."""
        log = self.cluster.audit_log
        offset = log.stat().st_size
        end = time.monotonic() + seconds
        until(
            "nothing changes", seconds + 30, lambda: time.monotonic() >= end or f"{end - time.monotonic():.0f} s to go"
        )
        with log.open("rb") as lines:
            lines.seek(offset)
            asked = [json.loads(line) for line in lines]
        return Counter(f"{one['verb']} {one.get('objectRef', {}).get('resource', one['requestURI'])}" for one in asked)
