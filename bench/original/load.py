"""Load on a variant, and what became of it."""

import json
import statistics
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass

from pymongo import MongoClient
from pymongo.collection import Collection

from loopback.processes import eventually, guarded
from loopback.producers import PERCENTILES, Generator, growth, milliseconds
from variants import HERE, ROOT, Setting, python

PARTITIONS = 12
WARMUP = 3
CLOSED_SECONDS = 8
OPEN_SECONDS = 17
# What "sustained" allows. Latencies in ms, and growth of the backlog as a share of the rate.
MOST_LATENCY = 1000
MOST_GROWTH = 0.01
# 1 % of the 20 s: the producer itself keeps to the rate.
MOST_SEND_DELAY = 200
# Seconds from the last answer to the last document.
MOST_ARCHIVE_DELAY = 2


@dataclass(frozen=True)
class Archive:
    """The documents of one variant: all are there, and are taken away, before the next load begins."""

    mongodb_uri: str
    database: str

    def await_all(self, measured: list[dict]) -> float:
        """Waits for the documents of what these producers sent; for how many seconds."""
        begun = time.monotonic()
        with MongoClient(self.mongodb_uri) as client:
            collections = [client[self.database][name] for name in ("images", "inferences")]
            subjects = list(last_subjects(measured))
            for collection in collections:
                eventually(f"{subjects[-1]} is archived", 120, lambda: has_all(collection, subjects))
            seconds = time.monotonic() - begun
            for collection in collections:
                collection.drop()
        return seconds


def has_all(collection: Collection, subjects: list[str]) -> bool:
    """FerretDB reads the whole collection for each question, so there is one question."""
    found = collection.find({"_id": {"$in": subjects}}, {"_id": True})
    return len(list(found)) == len(subjects)


def last_subjects(measured: list[dict]) -> Iterator[str]:
    """Images go round over the partitions, and each partition is archived in its order: the last of each tell of all."""
    for one in measured:
        sent = one["warmupMessages"]["sent"] + one["messages"]["sent"]
        yield from (f"{one['source']}/{number}" for number in range(max(0, sent - PARTITIONS), sent))


def generator(setting: Setting) -> Generator:
    return Generator(setting.worker, setting.kafka, setting.cache / "cifar10-test", WARMUP)


def closed(setting: Setting, archive: Archive, producers: int) -> dict:
    """Each of the producers has one image outstanding. Percentiles are those of the median producer."""
    flags = ["--load", "closed", "--duration", f"{CLOSED_SECONDS}s", "--producers", str(producers)]
    results = generator(setting).measure([[*flags, "--index", str(index)] for index in range(producers)])
    all_measured = [measured for measured, _ in results]
    archive.await_all(all_measured)
    percentiles = {p: [milliseconds(measured, p) for measured in all_measured] for p in PERCENTILES}
    return {
        **{p: statistics.median(values) for p, values in percentiles.items()},
        "byProducer": percentiles,
        "imagesPerSecond": sum(measured["messages"]["received"] for measured in all_measured) / CLOSED_SECONDS,
        "accuracyPercent": [measured["accuracyPercent"] for measured in all_measured],
    }


def open_load(setting: Setting, archive: Archive, rate: int) -> dict:
    """One producer offers `rate` images a second; whether that was sustained, and if not, why."""
    flags = ["--load", "open", "--rate", str(rate), "--duration", f"{OPEN_SECONDS}s"]
    [(measured, log)] = generator(setting).measure([flags])
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


def original_producer(setting: Setting) -> dict:
    """What the original's own producer measures, one image outstanding."""
    command = python("producer.py", "--bootstrap-servers", setting.kafka, "--images", str(ROOT / "models/sample"))
    times = ["--warmup", str(WARMUP), "--duration", str(CLOSED_SECONDS)]
    ended = subprocess.run(guarded([*command, *times]), cwd=HERE, check=True, capture_output=True, start_new_session=True)
    return json.loads(ended.stdout)
