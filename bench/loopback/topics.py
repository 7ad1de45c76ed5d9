"""The topics of a Pipeline, as the operator makes them."""

import subprocess
from pathlib import Path

from loopback.processes import Failed


def make(worker: Path, kafka: str, names: list[str], partitions: int) -> None:
    """`names` are the flags of `tailrace-worker topics` that name them."""
    counts = [f"--images-partitions={partitions}", f"--inferences-partitions={partitions}"]
    command = [str(worker), "topics", "--bootstrap-servers", kafka, *names, *counts]
    ended = subprocess.run(command, capture_output=True, text=True)
    if ended.returncode != 0:
        raise Failed(f"tailrace-worker topics failed: {ended.stderr[-1000:]}")
