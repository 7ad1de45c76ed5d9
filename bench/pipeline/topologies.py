"""The two ways from image to answer that a Pipeline knows, each a list of processes."""

import urllib.request
from dataclasses import dataclass
from pathlib import Path

from loopback.processes import Processes, eventually, free_port

ROOT = Path(__file__).resolve().parents[2]
WEIGHTS = ROOT / "models/resnet20.safetensors"
CLASSIFIER = "classifier"
BRIDGE = "bridge"


@dataclass(frozen=True)
class Topics:
    """Of one topology: what is left of another's load is not in its way."""

    prefix: str

    def flags(self) -> list[str]:
        names = {"images": "images", "inferences": "inferences", "dead-letter": "dlq"}
        return [f"--{topic}-topic={self.prefix}-{name}" for topic, name in names.items()]


@dataclass(frozen=True)
class Part:
    """One process: `arguments` of tailrace-worker, and where it serves health and metrics."""

    name: str
    arguments: list[str]
    port: int

    def get(self, path: str) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as response:
            return response.read().decode()

    def is_ready(self) -> bool:
        try:
            self.get("/readyz")
            return True
        except OSError:
            return False


def fused(kafka: list[str], group: str) -> list[Part]:
    port = free_port()
    flags = ["--model", str(WEIGHTS), "--group", group, f"--http-address=127.0.0.1:{port}"]
    return [Part(CLASSIFIER, ["inference", *kafka, *flags], port)]


def split(kafka: list[str], group: str) -> list[Part]:
    server, bridge = free_port(), free_port()
    classify = ["inference-server", "--model", str(WEIGHTS), f"--http-address=127.0.0.1:{server}"]
    flags = ["--group", group, "--server-url", f"http://127.0.0.1:{server}", f"--http-address=127.0.0.1:{bridge}"]
    return [Part(CLASSIFIER, classify, server), Part(BRIDGE, ["inference-consumer", *kafka, *flags], bridge)]


# By name; the first part of each classifies.
TOPOLOGIES = {"Fused": fused, "Split": split}


def start(name: str, processes: Processes, worker: Path, kafka: str) -> list[Part]:
    """Its processes, each ready."""
    flags = ["--bootstrap-servers", kafka, *Topics(name).flags()]
    parts = TOPOLOGIES[name](flags, f"{name}-inference")
    for part in parts:
        processes.start(part.name, [str(worker), *part.arguments])
        eventually(f"{part.name} is ready", 60, lambda: processes.check() is None and part.is_ready())
    return parts
