"""Load on a variant, always from Tailrace's producer, and what became of it."""

import json
import statistics
import subprocess
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from typing import IO

from pymongo import MongoClient

from processes import Failed, eventually, guarded
from variants import HERE, ROOT, Setting, python

PARTITIONS = 12
PERCENTILES = ["p50", "p90", "p95"]
WARMUP = 3
CLOSED_SECONDS = 8
OPEN_SECONDS = 17
DRAIN = 30
# What "sustained" allows. Latencies in ms, and growth of the backlog as a share of the rate.
MOST_LATENCY = 1000
MOST_GROWTH = 0.01
# 1 % of the 20 s: the producer itself keeps to the rate.
MOST_SEND_DELAY = 200
# Seconds from the last answer to the last document.
MOST_ARCHIVE_DELAY = 2
# Of one search.
MOST_ATTEMPTS = 12


@dataclass(frozen=True)
class Archive:
    """The documents of one variant: all are there before the next load begins."""

    mongodb_uri: str
    database: str

    def await_all(self, measured: list[dict]) -> float:
        """Waits for the documents of what these producers sent; for how many seconds."""
        begun = time.monotonic()
        with MongoClient(self.mongodb_uri) as client:
            for name in ("images", "inferences"):
                collection = client[self.database][name]
                for subject in last_subjects(measured):
                    what = f"{subject} among the {name} of the database"
                    eventually(what, 120, lambda: collection.find_one({"_id": subject}, {"_id": True}) is not None)
        return time.monotonic() - begun


def last_subjects(measured: list[dict]) -> Iterator[str]:
    """Images go round over the partitions, and each partition is archived in its order: the last of each tell of all.
    To count the documents would have the database read every one of them."""
    for one in measured:
        sent = one["warmupMessages"]["sent"] + one["messages"]["sent"]
        yield from (f"{one['source']}/{number}" for number in range(max(0, sent - PARTITIONS), sent))


def producer(setting: Setting, source: str, *arguments: str) -> tuple[subprocess.Popen, IO[bytes]]:
    command = [str(setting.worker), "--log-format", "json", "producer", "--bootstrap-servers", setting.kafka]
    load = ["--source", source, "--dataset", f"{setting.cache}/cifar10-test"]
    times = ["--warmup", f"{WARMUP}s", "--drain-timeout", f"{DRAIN}s"]
    log = tempfile.TemporaryFile()
    process = subprocess.Popen(
        guarded([*command, *load, *times, *arguments]), stdout=subprocess.PIPE, stderr=log, start_new_session=True
    )
    return process, log


def outcome(source: str, process: subprocess.Popen, log: IO[bytes]) -> tuple[dict, list[dict]]:
    """What it printed and what it logged."""
    printed, _ = process.communicate()
    log.seek(0)
    lines = log.read().decode()
    if process.returncode != 0:
        raise Failed(f"tailrace-worker producer ended with the code {process.returncode}: {lines[-1000:]}")
    return {"source": source, **json.loads(printed)}, [json.loads(line) for line in lines.splitlines()]


def measure(setting: Setting, commands: list[list[str]]) -> list[tuple[dict, list[dict]]]:
    """Runs producers at the same time."""
    with ExitStack() as started:
        producers = []
        for command in commands:
            source = f"producer-{uuid.uuid4()}"
            process, log = producer(setting, source, *command)
            started.enter_context(log)
            started.callback(process.kill)
            producers.append((source, process, log))
        return [outcome(*one) for one in producers]


def milliseconds(measured: dict, percentile: str, of: str = "latencyMicros") -> float:
    """Infinite if it falls on an image without an answer."""
    micros = measured[of][percentile]
    return float("inf") if micros is None else micros / 1000


def closed(setting: Setting, archive: Archive, producers: int) -> dict:
    """Each of the producers has one image outstanding. Percentiles are those of the median producer."""
    flags = ["--load", "closed", "--duration", f"{CLOSED_SECONDS}s", "--producers", str(producers)]
    results = measure(setting, [[*flags, "--index", str(index)] for index in range(producers)])
    all_measured = [measured for measured, _ in results]
    archive.await_all(all_measured)
    percentiles = {p: [milliseconds(measured, p) for measured in all_measured] for p in PERCENTILES}
    return {
        **{p: statistics.median(values) for p, values in percentiles.items()},
        "byProducer": percentiles,
        "imagesPerSecond": sum(measured["messages"]["received"] for measured in all_measured) / CLOSED_SECONDS,
        "accuracyPercent": [measured["accuracyPercent"] for measured in all_measured],
    }


def growth(log: list[dict]) -> float:
    """Images a second by which the backlog grew: the slope of what was sent and not yet answered, while images were sent."""
    progress = [line for line in log if line["message"] == "under way"]
    sending = [line for line in progress if line["scheduled"] < progress[-1]["scheduled"]]
    return statistics.linear_regression(
        [datetime.fromisoformat(line["timestamp"]).timestamp() for line in sending],
        [line["sent"] - line["received"] for line in sending],
    ).slope


def open_load(setting: Setting, archive: Archive, rate: int) -> dict:
    """One producer offers `rate` images a second; whether that was sustained, and if not, why."""
    flags = ["--load", "open", "--rate", str(rate), "--duration", f"{OPEN_SECONDS}s"]
    [(measured, log)] = measure(setting, [flags])
    archive_delay = archive.await_all([measured])
    p95, grew, messages = milliseconds(measured, "p95"), growth(log), measured["messages"]
    send_delay = milliseconds(measured, "p99", of="sendDelayMicros")
    reasons = [
        (send_delay >= MOST_SEND_DELAY, f"the producer fell behind by {send_delay:.0f} ms"),
        (messages["received"] - messages["answerErrors"] < messages["scheduled"], "not all were answered"),
        (p95 >= MOST_LATENCY, f"p95 {p95:.0f} ms"),
        (grew > MOST_GROWTH * rate, f"the backlog grew by {grew:.1f} images a second"),
        (archive_delay > MOST_ARCHIVE_DELAY, f"archived {archive_delay:.1f} s after the last answer"),
    ]
    why = next((sentence for failed, sentence in reasons if failed), None)
    percentiles = {p: milliseconds(measured, p) for p in PERCENTILES}
    return {"rate": rate, "sustained": why is None, "why": why, "archiveSeconds": archive_delay, **percentiles}


def search(attempt: Callable[[int], dict], start: int, factor: float) -> list[dict]:
    """Attempts from `start` on, each at the rate that `next_rate` gives."""
    attempts: list[dict] = []
    rate: int | None = start
    while rate and len(attempts) < MOST_ATTEMPTS:
        attempts.append(attempt(rate))
        rate = next_rate(attempts, factor)
    return attempts


def next_rate(attempts: list[dict], factor: float) -> int | None:
    """Climbs or descends by `factor` until the highest sustained rate is enclosed, then halves the gap until it is
    within 10 %; none when there is nothing left to try."""
    failed = min((a["rate"] for a in attempts if not a["sustained"]), default=None)
    held = highest_sustained(attempts)
    if failed is None:
        return round(held * factor)
    if not held:
        return int(failed / factor)
    between = round((held * failed) ** 0.5)
    return between if failed > held * 1.12 and held < between < failed else None


def highest_sustained(attempts: list[dict]) -> int:
    """The highest sustained rate below all that were not; 0 if there is none."""
    failed = min((a["rate"] for a in attempts if not a["sustained"]), default=float("inf"))
    return max((a["rate"] for a in attempts if a["sustained"] and a["rate"] < failed), default=0)


def original_producer(setting: Setting) -> dict:
    """What the original's own producer measures, one image outstanding."""
    command = python("producer.py", "--bootstrap-servers", setting.kafka, "--images", str(ROOT / "models/sample"))
    times = ["--warmup", str(WARMUP), "--duration", str(CLOSED_SECONDS)]
    ended = subprocess.run(guarded([*command, *times]), cwd=HERE, check=True, capture_output=True, start_new_session=True)
    return json.loads(ended.stdout)
