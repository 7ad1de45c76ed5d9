"""Measures the original experiment, its stronger variant and Tailrace in interleaved rounds, prints a table and writes
the results as JSON."""

import argparse
import json
import logging
import os
import statistics
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from kafka import KafkaAdminClient
from pymongo import MongoClient

import load
from loopback import program
from loopback.figures import figure, without_infinity
from loopback.processes import Failed, Processes, start_database, start_kafka
from loopback.producers import PERCENTILES
from loopback.search import highest_sustained, search
from report import Results, printed
from variants import ORIGINAL, ROOT, TAILRACE, VARIANTS, WEIGHTS, Setting, python

PRODUCERS = [1, 2, 3, 4, 5]


def worker(setting: Setting, arguments: list[str], environment: Mapping[str, str] | None = None) -> None:
    command = [str(setting.worker), *arguments, "--bootstrap-servers", setting.kafka]
    ended = subprocess.run(command, env=os.environ | (environment or {}), capture_output=True, text=True)
    if ended.returncode != 0:
        raise Failed(f"tailrace-worker {arguments[0]} failed: {ended.stderr[-1000:]}")


def make_topics(setting: Setting) -> None:
    """The same names for every variant; what the last one left is deleted."""
    admin = KafkaAdminClient(bootstrap_servers=setting.kafka)
    old = [topic for topic in admin.list_topics() if not topic.startswith("__")]
    if old:
        admin.delete_topics(old)
    admin.close()
    worker(setting, ["topics", f"--images-partitions={load.PARTITIONS}", f"--inferences-partitions={load.PARTITIONS}"])


def await_ready(processes: Processes, setting: Setting, database: str) -> None:
    """One image goes all the way: to its answer and to its documents."""
    uri = {"TAILRACE_MONGODB_URI": setting.mongodb_uri}
    try:
        worker(setting, ["check", "--database", database, "--timeout", "60s"], uri)
    except Failed:
        processes.check()
        raise


@contextmanager
def running(name: str, setting: Setting, folder: Path, group: str) -> Iterator[load.Archive]:
    """A variant with topics and a database of its own, ready to answer."""
    make_topics(setting)
    with Processes(folder) as processes:
        VARIANTS[name].start(processes, setting, group)
        await_ready(processes, setting, group)
        yield load.Archive(setting.mongodb_uri, group)
        processes.check()
    with MongoClient(setting.mongodb_uri) as client:
        client.drop_database(group)


def warm_up(setting: Setting, folder: Path) -> None:
    """The first records of a broker are slow: they are not measured."""
    with running(TAILRACE, setting, folder, "warm-up") as archive:
        load.closed(setting, archive, PRODUCERS[-1])


def measure_variant(name: str, setting: Setting, folder: Path, round_: int, rate: int | None) -> dict:
    """All loads on one variant. `rate` is where the search begins; without one, at what the last closed loop got."""
    with running(name, setting, folder, f"{name}-{round_}") as archive:
        closed = {}
        for producers in PRODUCERS:
            closed[producers] = load.closed(setting, archive, producers)
            figures = " / ".join(figure(closed[producers][p]) for p in PERCENTILES)
            logging.info("  %d producers: %s ms", producers, figures)
        begin, factor = (rate, 1.1) if rate else (max(1, round(closed[PRODUCERS[-1]]["imagesPerSecond"])), 1.5)
        attempts = search(lambda offered: attempt(setting, archive, offered), begin, factor)
        own = load.original_producer(setting) if name == ORIGINAL else None
    return {
        "closed": closed,
        "attempts": attempts,
        "sustained": highest_sustained(attempts),
        "originalProducer": own,
    }


def attempt(setting: Setting, archive: load.Archive, rate: int) -> dict:
    made = load.open_load(setting, archive, rate)
    logging.info("  %d images/s: %s", rate, made["why"] or f"sustained, p95 {made['p95']:.1f} ms")
    return made


def measure_rounds(setting: Setting, folder: Path, rounds: int, names: list[str]) -> Iterator[Results]:
    """For each variant, its results round by round: all so far, each time there are more."""
    warm_up(setting, folder)
    results: dict[str, list[dict]] = {name: [] for name in names}
    for round_ in range(1, rounds + 1):
        for name in names:
            logging.info("round %d: %s", round_, VARIANTS[name].title)
            rate = round(statistics.median(r["sustained"] for r in results[name])) if results[name] else None
            results[name].append(measure_variant(name, setting, folder, round_, rate))
            yield results


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, required=True, help="where third-party/build has put Kafka and FerretDB")
    parser.add_argument("--worker", type=Path, default=ROOT / "target/release/tailrace-worker")
    parser.add_argument("--output", type=Path, default=ROOT / "target/bench-original.json")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=list(VARIANTS))
    return parser.parse_args()


def run(chosen: argparse.Namespace) -> None:
    load_before = program.load_before()
    with tempfile.TemporaryDirectory(prefix="bench-original-") as name, Processes(Path(name)) as processes:
        folder = Path(name)
        onnx = folder / "resnet20.onnx"
        subprocess.run(python("export_onnx.py", str(WEIGHTS), str(onnx)), check=True)
        kafka, uri = start_kafka(processes, chosen.cache), start_database(processes, chosen.cache)
        setting = Setting(chosen.cache, chosen.worker, onnx, kafka, uri)
        environment = {"cores": os.cpu_count(), "loadBefore": load_before, "rounds": chosen.rounds}
        for results in measure_rounds(setting, folder, chosen.rounds, chosen.variants):
            written = without_infinity({"environment": environment, "variants": results})
            chosen.output.write_text(json.dumps(written, indent=2) + "\n")
    print("\n" + printed(results))
    print(f"\nThe results of every round: {chosen.output}")


if __name__ == "__main__":
    logging.getLogger("kafka").setLevel(logging.ERROR)
    program.main("bench/original", lambda: run(options()))
