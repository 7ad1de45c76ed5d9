"""What is compared: four ways to answer and archive the same images on the same Kafka and database."""

import sys
from dataclasses import dataclass, field
from pathlib import Path

from loopback.processes import Processes, free_port

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
WEIGHTS = ROOT / "models/resnet20.safetensors"


@dataclass(frozen=True)
class Setting:
    """Where everything is that a variant is started with."""

    cache: Path
    worker: Path
    onnx: Path
    kafka: str
    mongodb_uri: str


@dataclass(frozen=True)
class Original:
    """The Python processes of the original experiment."""

    title: str
    environment: dict[str, str] = field(default_factory=dict)
    stronger: bool = False

    def start(self, processes: Processes, setting: Setting, group: str) -> None:
        port = free_port()
        server = ["--weights", str(WEIGHTS), "--port", str(port)]
        bridge = ["--url", f"http://127.0.0.1:{port}/predict", "--group", f"{group}-inference"]
        if self.stronger:
            server += ["--server", "waitress", "--onnx", str(setting.onnx)]
            bridge += ["--keep-connection"]
        kafka = ["--bootstrap-servers", setting.kafka]
        archive = ["--group", f"{group}-archive", "--database", group]
        processes.start_listening(f"{group}-server", port, python("inference_server.py", *server), self.environment)
        processes.start(f"{group}-bridge", python("inference_consumer.py", *kafka, *bridge))
        uri = {"MONGODB_URI": setting.mongodb_uri}
        processes.start(f"{group}-archive", python("db_consumer.py", *kafka, *archive), uri)


@dataclass(frozen=True)
class Tailrace:
    """Tailrace's own processes, as a Pipeline with the topology Fused has them."""

    title: str

    def start(self, processes: Processes, setting: Setting, group: str) -> None:
        def part(*arguments: str) -> list[str]:
            address = f"127.0.0.1:{free_port()}"
            return [str(setting.worker), *arguments, "--bootstrap-servers", setting.kafka, "--http-address", address]

        inference = part("inference", "--model", str(WEIGHTS), "--group", f"{group}-inference")
        archive = part("db-consumer", "--group", f"{group}-archive", "--database", group)
        processes.start(f"{group}-inference", inference)
        processes.start(f"{group}-archive", archive, {"TAILRACE_MONGODB_URI": setting.mongodb_uri})


def python(script: str, *arguments: str) -> list[str]:
    return [sys.executable, str(HERE / script), *arguments]


ORIGINAL, STRONGER, TAILRACE = "original", "stronger", "tailrace"
VARIANTS = {
    ORIGINAL: Original("original, PyTorch with its default threads"),
    "one-thread": Original("original, PyTorch with one thread", {"OMP_NUM_THREADS": "1"}),
    STRONGER: Original("stronger: waitress, ONNX Runtime, kept connections", stronger=True),
    TAILRACE: Tailrace("Tailrace"),
}
