"""Measures the operator beside thousands of LoadTests that are over, on a real API server; prints a table, writes the
results as JSON and Markdown, and a picture."""

import argparse
import json
import logging
import os
import re
import statistics
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import cluster
import load_tests
import pipelines
import report
from kubelet import Kubelet
from loopback import program
from loopback.processes import Processes
from operator_process import Operator, quantile, since, together

ROOT = Path(__file__).resolve().parents[2]
MILLIS = 1_000


@dataclass
class Bench:
    """What everything is measured with."""

    options: argparse.Namespace
    cluster: cluster.Cluster
    producers: load_tests.Producers
    over: int = 0

    @contextmanager
    def operator(self) -> Iterator[Operator]:
        """One from its start to its end, at which it gives its lease back."""
        with Processes(self.cluster.folder) as processes:
            yield Operator(processes, self.cluster, self.options.operator)

    def prepare(self, kubelet: Kubelet) -> load_tests.Template:
        """Pipelines that are ready, and a LoadTest that the operator has brought to its end. Nothing is measured."""
        name, pipeline = "measured-once", pipelines.name_of(0)
        with self.operator() as operator:
            pipelines.make(self.cluster.api, kubelet, self.options.pipelines)
            logging.info("one LoadTest runs, as the template of those that are over")
            load_tests.run(self.cluster.api, self.producers, name, pipeline)
            operator.until_steady()
        template = load_tests.Template.read(self.cluster.api, name, pipeline)
        sizes = ", ".join(f"{kind} {size / 1024:.1f} KB" for kind, size in template.sizes().items())
        logging.info("  what it leaves: %s", sizes)
        self.over = 1
        return template

    def measure(self, template: load_tests.Template, size: int) -> dict:
        """With so many LoadTests that are over."""
        logging.info("%d LoadTests that are over", size)
        load_tests.fill(self.cluster.api, template, self.over, size, self.options.pipelines)
        self.over = max(size, self.over)
        with self.operator() as operator:
            start_seconds = operator.until_steady()
            logging.info("  steady after %.1f s, %.0f MB", start_seconds, operator.memory()["resident"])
            requests = operator.requests(self.options.idle)
            logging.info("  without a change: %s", dict(requests))
            resting = operator.metrics()
            followed = [self.new(size, number) for number in range(self.options.new)]
            operator.until_steady()
            ended, memory = operator.metrics(), operator.memory()
        new = since(resting.durations(), ended.durations())
        if errors := ended.errors():
            logging.info("  reconciliations that failed: %s", errors)
        return {
            "loadTests": size,
            "startSeconds": start_seconds,
            "requests": dict(requests),
            "memory": memory,
            "p99Millis": {
                "all": MILLIS * quantile(together(ended.durations()), 0.99),
                "byKind": {kind: MILLIS * quantile(found, 0.99) for kind, found in ended.durations().items()},
                "newLoadTests": MILLIS * quantile(new["LoadTest"], 0.99),
            },
            "reconciliations": ended.reconciled(),
            "errors": errors,
            "runningSeconds": statistics.median(one.seconds["Running"] for one in followed),
            "endSeconds": statistics.median(one.seconds["Succeeded"] - one.seconds["reported"] for one in followed),
            "new": [one.seconds for one in followed],
        }

    def new(self, size: int, number: int) -> load_tests.Followed:
        """A LoadTest from its creation to its end; it is one of those that are over from then on."""
        name = f"new-{size}-{number}"
        pipeline = pipelines.name_of((1 + number) % self.options.pipelines)
        followed = load_tests.run(self.cluster.api, self.producers, name, pipeline)
        logging.info(
            "  a new LoadTest: %s", ", ".join(f"{phase} {second:.2f} s" for phase, second in followed.seconds.items())
        )
        self.over += 1
        return followed


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--operator", type=Path, default=target / "release/tailrace-operator")
    parser.add_argument("--output", type=Path, default=ROOT / "target/bench-operator", help="without the ending")
    parser.add_argument("--sizes", type=int, nargs="+", default=[10, 100, 1000, 2000])
    parser.add_argument("--pipelines", type=int, default=200)
    parser.add_argument("--idle", type=int, default=45, help="seconds in which nothing changes")
    parser.add_argument("--new", type=int, default=4, help="new LoadTests for each size")
    parser.add_argument("--check", action="store_true", help="exit with 1 where a bar is missed")
    return parser.parse_args()


def processor() -> str:
    found = re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return found[1] if found else "an unknown processor"


def measured(chosen: argparse.Namespace) -> dict:
    load_before = program.load_before()
    with tempfile.TemporaryDirectory(prefix="bench-operator-") as name, Processes(Path(name)) as processes:
        logging.info("etcd, an API server and its controllers start")
        running = cluster.start(processes, chosen.cache, ROOT / "crds/manifests")
        producers = load_tests.Producers(running.api)
        bench = Bench(chosen, running, producers)
        template = bench.prepare(Kubelet(running.api, producers.runs))
        rows = [bench.measure(template, size) for size in sorted(chosen.sizes)]
        running.api.close()
    environment = {
        "processor": processor(),
        "cores": os.cpu_count(),
        "loadBefore": load_before,
        "pipelines": chosen.pipelines,
        "idleSeconds": chosen.idle,
    }
    return {"environment": environment, "template": template.sizes(), "rows": rows}


def run(chosen: argparse.Namespace) -> None:
    results = measured(chosen)
    table = report.printed(results)
    chosen.output.parent.mkdir(parents=True, exist_ok=True)
    chosen.output.with_suffix(".json").write_text(json.dumps(results, indent=2) + "\n")
    chosen.output.with_suffix(".md").write_text(table + "\n")
    report.draw(results, chosen.output.with_suffix(".svg"))
    print(f"\n{table}\n\nThe results, this table and the picture: {chosen.output}.json, .md and .svg")
    missed = report.missed(results)
    print("\n".join(f"missed: {sentence}" for sentence in missed) or "no bar is missed")
    if chosen.check and missed:
        sys.exit(1)


if __name__ == "__main__":
    program.main("bench/operator", lambda: run(options()))
