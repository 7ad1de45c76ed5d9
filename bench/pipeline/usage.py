"""Where the processors' time goes, by process, while images flow."""

import logging
import os
import re
import threading
import time
from collections.abc import Mapping
from pathlib import Path

from topologies import Part

INTERVAL = 0.25
TICKS = os.sysconf("SC_CLK_TCK")
CORES = os.cpu_count()
# Of the images of the measurement: what comes after is the end of the load.
MOST_OF_THEM = 0.97
# As the worker names them; what else its process does is Kafka's client and, with Split, HTTP.
CLASSIFYING_THREAD = "classifier-"
FAMILIES = {
    "images": "tailrace_inference_images_total",
    "batches": "tailrace_inference_batch_images_count",
    "compute": "tailrace_inference_compute_seconds_sum",
    "queue": "tailrace_inference_queue_seconds_sum",
}


def seconds_of(stat: str) -> float:
    """User and system time of a `stat` file of /proc. The name in it may have spaces."""
    fields = stat.rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def process_seconds(pid: int) -> float:
    return seconds_of(Path(f"/proc/{pid}/stat").read_text())


def thread_seconds(pid: int, prefix: str) -> float:
    stats = (stat_of(task) for task in Path(f"/proc/{pid}/task").iterdir())
    return sum(seconds_of(stat) for stat in stats if stat.partition("(")[2].startswith(prefix))


def stat_of(task: Path) -> str:
    """Empty when it has ended meanwhile."""
    try:
        return task.joinpath("stat").read_text()
    except OSError:
        return ""


def machine_seconds() -> float:
    """All that was computed, whoever asked for it."""
    user, nice, system, _, _, irq, softirq = (
        int(word) for word in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:8]
    )
    return (user + nice + system + irq + softirq) / TICKS


def metric(text: str, name: str) -> float:
    """The sum over all labels."""
    return sum(float(value) for value in re.findall(rf"^{name}(?:{{.*}})? (\S+)$", text, re.MULTILINE))


class Usage:
    """Samples while a `with` block runs."""

    def __init__(self, classifier: Part, pids: Mapping[str, int], producers: list[int]) -> None:
        self.classifier = classifier
        self.pids = pids
        self.producers = producers
        self.samples: list[dict[str, float]] = []
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.run)

    def __enter__(self) -> "Usage":
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        self.thread.join()

    def run(self) -> None:
        while not self.ended.wait(INTERVAL):
            try:
                self.samples.append(self.sample())
            except FileNotFoundError:
                # A producer has ended: the load is over.
                return
            except OSError as error:
                logging.warning("a sample of the processors' time is missing: %s", error)

    def sample(self) -> dict[str, float]:
        text = self.classifier.get("/metrics")
        classifier = self.pids[self.classifier.name]
        return {
            "time": time.monotonic(),
            "machine": machine_seconds(),
            "classifying threads": thread_seconds(classifier, CLASSIFYING_THREAD),
            "producers": sum(process_seconds(pid) for pid in self.producers),
            **{name: process_seconds(pid) for name, pid in self.pids.items()},
            **{name: metric(text, family) for name, family in FAMILIES.items()},
        }

    def result(self, warmup: int, measured: int) -> dict | None:
        """Between the last image of the warm-up and the end of the load, counted in images; none if that was too short."""
        before = self.samples[0]["images"] if self.samples else 0
        most = warmup + MOST_OF_THEM * measured
        inside = [sample for sample in self.samples if warmup <= sample["images"] - before <= most]
        if len(inside) < 2:
            return None
        first, last = inside[0], inside[-1]
        return summary({name: last[name] - first[name] for name in first}, list(self.pids))


def summary(spent: dict[str, float], processes: list[str]) -> dict:
    """Cores in use by whom, the model's share of all of them, and what an image cost."""
    wall, images = spent["time"], max(1, spent["images"])
    cores = {name: spent[name] / wall for name in [*processes, "producers"]}
    cores["classifying threads"] = spent["classifying threads"] / wall
    ours = sum(spent[name] for name in [*processes, "producers"])
    return {
        "modelShare": spent["compute"] / (CORES * wall),
        "cores": cores | {"others": spent["machine"] / wall - ours / wall},
        "imagesPerSecond": spent["images"] / wall,
        "imagesPerBatch": spent["images"] / max(1, spent["batches"]),
        "computeMicrosPerImage": spent["compute"] / images * 1e6,
        "queueMicrosPerImage": spent["queue"] / images * 1e6,
    }
