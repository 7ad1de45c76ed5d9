"""Measures both topologies of a Pipeline on a genuine Kafka beside the floor of their latency, prints tables and writes
the results as JSON."""

import argparse
import json
import logging
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import floor
import rates
import report
from loopback import program, topics
from loopback.figures import figure, without_infinity
from loopback.processes import Processes, start_kafka
from loopback.producers import Generator
from topologies import ROOT, TOPOLOGIES, Topics, start

PARTITIONS = 12
# Seconds of one image at a time.
WARMUP, DURATION = 3, 8
HOPS_WARMUP, HOPS_DURATION = 2, 6
# Seconds before a load that is searched for, and the first load of all, which warms the broker up.
LOAD_WARMUP = 2
FIRST_RATE, FIRST_SECONDS = 500, 10


@dataclass(frozen=True)
class Bench:
    """What everything is measured with."""

    options: argparse.Namespace
    folder: Path
    processes: Processes
    kafka: str

    @contextmanager
    def running(self, name: str, warmup: int) -> Iterator[rates.Running]:
        broker = self.processes.running["kafka"].pid
        generator = Generator(self.options.worker, self.kafka, self.options.cache / "cifar10-test", warmup)
        with Processes(self.folder) as processes:
            parts = start(name, processes, self.options.worker, self.kafka)
            yield rates.Running(name, parts, processes, broker, generator, self.options.producers)

    def make_topics(self) -> None:
        there, back = floor.TOPICS
        of_floor = [f"--images-topic={there}", f"--inferences-topic={back}", "--dead-letter-topic=floor-dlq"]
        topics.make(self.options.worker, self.kafka, of_floor, 1)
        for name in self.options.topologies:
            topics.make(self.options.worker, self.kafka, Topics(name).flags(), PARTITIONS)

    def warm_up(self) -> None:
        """The first records of a broker are slow: they are not measured."""
        for name in self.options.topologies:
            with self.running(name, LOAD_WARMUP) as running:
                running.load(FIRST_RATE, FIRST_SECONDS, 1)

    def round(self) -> dict:
        """The floor and one image at a time through each topology."""
        hops = floor.two_hops(self.options.two_hops, self.kafka, self.folder, HOPS_WARMUP, HOPS_DURATION)
        image, threads = floor.one_image(self.options.one_image), floor.threads(self.options.threads)
        logging.info("  two hops: p50 %s ms, one inference: %s ms", figure(hops["p50"]), figure(image["paced"]))
        topologies = {}
        for name in self.options.topologies:
            with self.running(name, WARMUP) as running:
                topologies[name] = running.load(floor.RATE, DURATION, 1)
            logging.info("  %s: p50 %s ms", name, figure(topologies[name]["p50"]))
        return {"hops": hops, "image": image, "threads": threads, "topologies": topologies}

    def highest_rate(self, name: str) -> dict:
        with self.running(name, LOAD_WARMUP) as running:
            return rates.highest_rate(running, self.options.confirm)


def measured(bench: Bench) -> dict:
    bench.make_topics()
    bench.warm_up()
    rounds = []
    for number in range(1, bench.options.rounds + 1):
        logging.info("round %d: one image at a time, %d a second", number, floor.RATE)
        rounds.append(bench.round())
    return {"rounds": rounds, "rates": {name: bench.highest_rate(name) for name in bench.options.topologies}}


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    built = ROOT / "target/release"
    parser.add_argument("--cache", type=Path, required=True, help="where third-party/build has put Kafka")
    parser.add_argument("--worker", type=Path, default=built / "tailrace-worker")
    parser.add_argument("--two-hops", type=Path, default=built / "examples/two_hops")
    parser.add_argument("--one-image", type=Path, default=built / "examples/one_image")
    parser.add_argument("--threads", type=Path, default=built / "examples/threads")
    parser.add_argument("--output", type=Path, default=ROOT / "target/bench-pipeline.json")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--producers", type=int, default=1, help="how many share the load that is searched for")
    parser.add_argument("--confirm", type=int, default=60, help="for how many seconds the highest rate is held")
    parser.add_argument("--topologies", nargs="+", choices=TOPOLOGIES, default=list(TOPOLOGIES))
    parser.add_argument("--check", action="store_true", help="exit with 1 where a bar is missed")
    return parser.parse_args()


def run(chosen: argparse.Namespace) -> None:
    load_before = program.load_before()
    with tempfile.TemporaryDirectory(prefix="bench-pipeline-") as name, Processes(Path(name)) as processes:
        kafka = start_kafka(processes, chosen.cache)
        results = measured(Bench(chosen, Path(name), processes, kafka))
    environment = {"cores": os.cpu_count(), "loadBefore": load_before, "producers": chosen.producers}
    chosen.output.write_text(json.dumps(without_infinity({"environment": environment, **results}), indent=2) + "\n")
    print("\n" + report.printed(results))
    print(f"\nThe results of every round and attempt: {chosen.output}")
    missed = report.missed(results)
    print("\n".join(f"missed: {sentence}" for sentence in missed) or "no bar is missed")
    if chosen.check and missed:
        sys.exit(1)


if __name__ == "__main__":
    program.main("bench/pipeline", lambda: run(options()))
