"""Load, always from Tailrace's producer, and what became of it."""

import json
import statistics
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO

from loopback.processes import Failed, guarded

DRAIN = 30
PERCENTILES = ["p50", "p90", "p95"]


@dataclass(frozen=True)
class Producer:
    """One that runs."""

    source: str
    process: subprocess.Popen
    log: IO[bytes]

    def outcome(self) -> tuple[dict, list[dict]]:
        """What it printed and what it logged."""
        printed, _ = self.process.communicate()
        self.log.seek(0)
        lines = self.log.read().decode()
        if self.process.returncode != 0:
            code = self.process.returncode
            raise Failed(f"tailrace-worker producer ended with the code {code}: {lines[-1000:]}")
        return {"source": self.source, **json.loads(printed)}, [json.loads(line) for line in lines.splitlines()]


@dataclass(frozen=True)
class Generator:
    """How every producer is started."""

    worker: Path
    kafka: str
    dataset: Path
    warmup: int

    @contextmanager
    def running(self, loads: list[list[str]]) -> Iterator[list[Producer]]:
        """Producers at the same time, one for each list of flags."""
        with ExitStack() as started:
            yield [self.start(started, flags) for flags in loads]

    def start(self, started: ExitStack, flags: list[str]) -> Producer:
        source = f"producer-{uuid.uuid4()}"
        command = [str(self.worker), "--log-format", "json", "producer", "--bootstrap-servers", self.kafka]
        load = ["--source", source, "--dataset", str(self.dataset)]
        times = ["--warmup", f"{self.warmup}s", "--drain-timeout", f"{DRAIN}s"]
        log = started.enter_context(tempfile.TemporaryFile())
        process = subprocess.Popen(
            guarded([*command, *load, *times, *flags]), stdout=subprocess.PIPE, stderr=log, start_new_session=True
        )
        started.callback(process.kill)
        return Producer(source, process, log)

    def measure(self, loads: list[list[str]]) -> list[tuple[dict, list[dict]]]:
        """What each printed and logged, when all have ended."""
        with self.running(loads) as producers:
            return [producer.outcome() for producer in producers]


def milliseconds(measured: dict, percentile: str, of: str = "latencyMicros") -> float:
    """Infinite if it falls on an image without an answer."""
    micros = measured[of][percentile]
    return float("inf") if micros is None else micros / 1000


def growth(log: list[dict]) -> float:
    """Images a second by which the backlog grew: the slope of what was sent and not yet answered, while images were sent.
    Infinite if the producer came to tell of it less than twice."""
    progress = [line for line in log if line["message"] == "under way"]
    sending = [line for line in progress if line["scheduled"] < progress[-1]["scheduled"]]
    if len(sending) < 2:
        return float("inf")
    return statistics.linear_regression(
        [datetime.fromisoformat(line["timestamp"]).timestamp() for line in sending],
        [line["sent"] - line["received"] for line in sending],
    ).slope
