"""Measures what a producer can offer, beside Kafka's own tools on the same broker, and prints a table."""

import argparse
import logging
import os
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from loopback import program, topics
from loopback.figures import figure
from loopback.processes import Failed, Processes, eventually, start_kafka
from loopback.producers import Generator, milliseconds

ROOT = Path(__file__).resolve().parents[2]
IMAGES, INFERENCES, DEAD_LETTER, OF_TOOL = "generator-images", "generator-inferences", "generator-dlq", "generator-tool"
PARTITIONS = 12
WARMUP, DURATION = 5, 20
# The size of a CIFAR-10 image as PNG, with its headers.
RECORD_BYTES = 2600
ONE_AT_A_TIME = 3000
FIFTY, RATE_OF_FIFTY = 50, 10
TICKS = os.sysconf("SC_CLK_TCK")
# Of a producer at 2,000 images/s: milliseconds of send delay, percent of a core, MB.
BARS = {"p99 of the send delay, ms": 1.0, "CPU, % of a core": 50.0, "memory at its highest, MB": 64.0}


@dataclass
class Sampler:
    """CPU and memory of a process until it ends."""

    pid: int
    samples: list[tuple[float, float, float]] = field(default_factory=list)
    highest: float = 0.0

    def run(self) -> None:
        try:
            while True:
                self.sample()
                time.sleep(0.5)
        except (FileNotFoundError, ProcessLookupError):
            return

    def sample(self) -> None:
        status = Path(f"/proc/{self.pid}/status").read_text()
        memory = {name: int(kilobytes) / 1024 for name, kilobytes in re.findall(r"^(Vm\w+):\s+(\d+) kB", status, re.M)}
        if "VmRSS" not in memory:
            raise ProcessLookupError
        ticks = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        self.highest = max(self.highest, memory["VmHWM"])
        self.samples.append((time.monotonic(), (int(ticks[11]) + int(ticks[12])) / TICKS, memory["VmRSS"]))

    def usage(self) -> dict[str, float]:
        """Over the middle of the run, when nothing but sending and receiving goes on."""
        inside = [sample for sample in self.samples if sample[0] >= self.samples[0][0] + 2 + WARMUP]
        first, last = inside[0], inside[int(len(inside) * 0.9) - 1]
        return {
            "CPU, % of a core": (last[1] - first[1]) / (last[0] - first[0]) * 100,
            "memory at its highest, MB": self.highest,
            "memory gained while measuring, MB": last[2] - first[2],
        }


@dataclass(frozen=True)
class Bench:
    """What everything is measured with."""

    options: argparse.Namespace
    processes: Processes
    kafka: str
    generator: Generator

    def make_topics(self) -> None:
        names = [f"--images-topic={IMAGES}", f"--inferences-topic={INFERENCES}", f"--dead-letter-topic={DEAD_LETTER}"]
        topics.make(self.options.worker, self.kafka, names, PARTITIONS)
        self.tool("TopicCommand", "--bootstrap-server", self.kafka, "--create", "--topic", OF_TOOL, "--partitions", "1")

    def tool(self, name: str, *arguments: str) -> str:
        java = [str(self.options.cache / "kafka/jre/bin/java"), "-cp", f"{self.options.cache}/kafka/libs/*"]
        ended = subprocess.run([*java, f"org.apache.kafka.tools.{name}", *arguments], capture_output=True, text=True)
        if ended.returncode != 0:
            raise Failed(f"Kafka's {name} failed: {ended.stderr[-1000:]}")
        return ended.stdout

    def load(self, rate: int, index: int = 0, producers: int = 1) -> list[str]:
        names = [f"--images-topic={IMAGES}", f"--inferences-topic={INFERENCES}"]
        return [*names, "--rate", str(rate), "--duration", f"{DURATION}s", f"--index={index}", f"--producers={producers}"]

    def one(self) -> dict[str, float]:
        """One producer at the rate, whose images are answered at once."""
        with self.generator.running([self.load(self.options.rate)]) as [producer]:
            sampler = Sampler(producer.process.pid)
            thread = threading.Thread(target=sampler.run)
            thread.start()
            measured, _ = producer.outcome()
            thread.join()
        return {
            "offered, images/s": float(measured["offeredPerSecond"]),
            "p50 of the send delay, ms": milliseconds(measured, "p50", "sendDelayMicros"),
            "p99 of the send delay, ms": milliseconds(measured, "p99", "sendDelayMicros"),
            "p99 to the acknowledgement, ms": measured["stagesMicros"]["acknowledgement"]["p99"] / 1000,
            "p50 to the answer, ms": milliseconds(measured, "p50"),
            "p99 to the answer, ms": milliseconds(measured, "p99"),
            "lost": float(measured["messages"]["lost"]),
            **sampler.usage(),
        }

    def producer_performance(self) -> dict[str, float]:
        """Kafka's own producer at the same rate: its last line has percentiles to the acknowledgement, from the actual send."""
        seconds = WARMUP + DURATION
        printed = self.tool(
            "ProducerPerformance",
            *("--topic", OF_TOOL, "--num-records", str(self.options.rate * seconds)),
            *("--record-size", str(RECORD_BYTES), "--throughput", str(self.options.rate)),
            *("--producer-props", f"bootstrap.servers={self.kafka}", "acks=all", "linger.ms=0"),
        )
        summary = printed.strip().splitlines()[-1]
        found = re.search(r"sent, ([\d.]+) records/sec.*?(\d+) ms 50th, .*?(\d+) ms 99th", summary)
        if found is None:
            raise Failed(f"Kafka's ProducerPerformance printed something else: {summary}")
        return {
            "offered, records/s": float(found[1]),
            "p50 to the acknowledgement, ms": float(found[2]),
            "p99 to the acknowledgement, ms": float(found[3]),
        }

    def end_to_end_latency(self) -> dict[str, float]:
        """Kafka's own measurement of one record at a time through one hop; ours goes through two."""
        printed = self.tool("EndToEndLatency", self.kafka, OF_TOOL, str(ONE_AT_A_TIME), "all", str(RECORD_BYTES))
        found = re.search(r"50th = (\d+), 99th = (\d+)", printed)
        if found is None:
            raise Failed(f"Kafka's EndToEndLatency printed something else: {printed[-300:]}")
        return {"p50 of one record at a time, ms": float(found[1]), "p99 of one record at a time, ms": float(found[2])}

    def fifty(self) -> dict[str, float]:
        """Fifty producers, so that several share a partition for their answers."""
        loads = [self.load(RATE_OF_FIFTY, index, FIFTY) for index in range(FIFTY)]
        measured = [outcome for outcome, _ in self.generator.measure(loads)]
        total = {name: sum(one["messages"][name] for one in measured) for name in ["scheduled", "received", "lost"]}
        return {
            "producers": float(FIFTY),
            "scheduled": float(total["scheduled"]),
            "answered": float(total["received"]),
            "lost": float(total["lost"]),
            "worst p99 of a send delay, ms": max(milliseconds(one, "p99", "sendDelayMicros") for one in measured),
        }


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rate", type=int, default=2000)
    parser.add_argument("--check", action="store_true", help="fail where a bar is missed")
    options = parser.parse_args()
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release"
    options.worker, options.echo = target / "tailrace-worker", target / "examples" / "echo"
    return options


def medians(rounds: list[dict[str, float]]) -> dict[str, float]:
    return {name: statistics.median(one[name] for one in rounds) for name in rounds[0]}


def show(title: str, numbers: dict[str, float]) -> None:
    print(f"\n{title}\n\n| | |\n|---|---|")
    for name, value in numbers.items():
        print(f"| {name} | {figure(value) if name.endswith(('ms', 'MB', 'core')) else round(value)} |")


def start_echo(processes: Processes, kafka: str, options: argparse.Namespace) -> None:
    processes.start("echo", [str(options.echo), "--bootstrap-servers", kafka, IMAGES, INFERENCES])
    eventually("echo is ready", 30, lambda: "ready" in (processes.folder / "echo.log").read_text())


def measure(options: argparse.Namespace) -> None:
    program.load_before()
    with tempfile.TemporaryDirectory(prefix="tailrace-generator-") as folder, Processes(Path(folder)) as processes:
        kafka = start_kafka(processes, options.cache)
        generator = Generator(options.worker, kafka, options.cache / "cifar10-test", WARMUP)
        bench = Bench(options, processes, kafka, generator)
        bench.make_topics()
        start_echo(processes, kafka, options)
        rounds: dict[str, list[dict[str, float]]] = {"one": [], "performance": [], "latency": []}
        for number in range(options.rounds):
            logging.info("round %s of %s", number + 1, options.rounds)
            rounds["one"].append(bench.one())
            rounds["performance"].append(bench.producer_performance())
            rounds["latency"].append(bench.end_to_end_latency())
        one = medians(rounds["one"])
        show(f"One producer of Tailrace at {options.rate} images/s, medians of {options.rounds} rounds", one)
        show("Kafka's ProducerPerformance at the same rate", medians(rounds["performance"]))
        show("Kafka's EndToEndLatency", medians(rounds["latency"]))
        fifty = bench.fifty()
        show(f"{FIFTY} producers of {RATE_OF_FIFTY} images/s, {PARTITIONS} partitions", fifty)
    missed = [f"{name}: {figure(one[name])}, at most {bar:g}" for name, bar in BARS.items() if one[name] > bar]
    missed += ["images were lost"] * (fifty["lost"] + one["lost"] > 0)
    print("\n" + ("missed: " + "; ".join(missed) if missed else "all bars are met"))
    if missed and options.check:
        sys.exit(1)


if __name__ == "__main__":
    program.main("bench/generator", lambda: measure(arguments()))
