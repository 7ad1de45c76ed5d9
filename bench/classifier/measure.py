"""The time of an image relative to ONNX Runtime, from interleaved rounds: both sides compute in turn, in one run."""

import argparse
import json
import os
import statistics
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import network

CORES = sorted(os.sched_getaffinity(0))


@dataclass(frozen=True)
class Row:
    title: str
    model: str
    batch: int
    threads: int
    calls: int
    bar: float
    aim: float
    instruction_set: str | None = None


ROWS = [
    Row("ResNet-20, batch 1, 1 thread", "resnet20", 1, 1, 200, 0.9, 0.55),
    Row("the same, AVX2 forced", "resnet20", 1, 1, 200, 1.1, 0.90, "avx2"),
    Row("the same, portable", "resnet20", 1, 1, 60, 4, 3, "portable"),
    Row("ResNet-20, batch 32, 1 thread", "resnet20", 32, 1, 8, 0.8, 0.50),
    Row(f"ResNet-20, all cores ({len(CORES)}), batch 8", "resnet20", 8, len(CORES), 40, 0.8, 0.55),
    Row("ResNet-18, batch 1, 1 thread", "resnet18", 1, 1, 15, 0.9, 0.65),
]


class Side:
    """A program that computes on request; on one thread it stays on one core."""

    def __init__(self, command: list[str], threads: int, instruction_set: str | None = None) -> None:
        environment = {key: value for key, value in os.environ.items() if key != "TAILRACE_INSTRUCTION_SET"}
        if instruction_set:
            environment["TAILRACE_INSTRUCTION_SET"] = instruction_set
        cores = ",".join(str(core) for core in (CORES if threads > 1 else CORES[-1:]))
        self.process = subprocess.Popen(
            ["taskset", "--cpu-list", cores, *command],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment,
        )
        self.name, self.first_answer = self.process.stdout.readline().split()

    def seconds(self, row: Row, calls: int) -> tuple[float, float]:
        """Of an image, in the middle call and in the fastest."""
        self.process.stdin.write(f"{row.batch} {calls} {row.threads}\n")
        self.process.stdin.flush()
        middle, fastest = (float(word) / row.batch for word in self.process.stdout.readline().split())
        return middle, fastest

    def resident_megabytes(self) -> float:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0]) / 1024

    def end(self) -> None:
        self.process.stdin.close()
        self.process.wait()


def sides(row: Row, options: argparse.Namespace) -> tuple[Side, Side]:
    model = options.resnet20 if row.model == "resnet20" else options.work / "resnet18.safetensors"
    ours = Side([str(options.timing), str(model)], row.threads, row.instruction_set)
    script = Path(__file__).parent / "onnx_timing.py"
    onnx = options.work / f"{row.model}.onnx"
    return ours, Side([sys.executable, str(script), str(onnx), str(row.threads)], row.threads)


def measure(pairs: list[tuple[Row, Side, Side]], rounds: int) -> list[dict]:
    times = {row: ([], []) for row, _, _ in pairs}
    for number in range(rounds + 1):
        for row, *both in pairs:
            for side, seconds in zip(both, times[row]):
                side.seconds(row, max(1, row.calls // 10))
                seconds.append(side.seconds(row, row.calls))
        if number == 0:
            times = {row: ([], []) for row, _, _ in pairs}
        print(f"round {number} of {rounds}", end="\r", file=sys.stderr, flush=True)
    return [result(row, ours, *times[row]) for row, ours, _ in pairs]


def result(row: Row, ours: Side, our_seconds: list, onnx_seconds: list) -> dict:
    (our_middles, our_fastest), (onnx_middles, onnx_fastest) = zip(*our_seconds), zip(*onnx_seconds)
    ours_ms, onnx_ms = (statistics.median(middles) * 1000 for middles in (our_middles, onnx_middles))
    return {
        "row": row.title, "instruction_set": ours.name, "bar": row.bar, "aim": row.aim,
        "ratio": round(ours_ms / onnx_ms, 3), "ours_ms": round(ours_ms, 4), "onnxruntime_ms": round(onnx_ms, 4),
        "ratio_of_the_fastest": round(min(our_fastest) / min(onnx_fastest), 3),
        "ours_fastest_ms": round(min(our_fastest) * 1000, 4), "onnxruntime_fastest_ms": round(min(onnx_fastest) * 1000, 4),
    }


def table(results: list[dict]) -> str:
    lines = [
        "| time per image relative to ONNX Runtime | bar | aim | measured | ours, ms | ONNX Runtime, ms "
        "| fastest calls | instructions |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for found in results:
        lines.append(
            f"| {found['row']} | {found['bar']} | {found['aim']} | **{found['ratio']:.2f}** | {found['ours_ms']:.3f} "
            f"| {found['onnxruntime_ms']:.3f} | {found['ratio_of_the_fastest']:.2f} ({found['ours_fastest_ms']:.3f} / "
            f"{found['onnxruntime_fastest_ms']:.3f}) | {found['instruction_set']} |"
        )
    return "\n".join(lines)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--timing", type=Path, required=True, help="the classifier's program")
    parser.add_argument("--resnet20", type=Path, required=True, help="the model as safetensors")
    parser.add_argument("--work", type=Path, required=True, help="folder for the exported networks and results.json")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--check", action="store_true", help="exit with 1 where a bar is missed")
    return parser.parse_args()


def main() -> None:
    options = arguments()
    network.random_resnet18(options.work / "resnet18.safetensors")
    network.to_onnx(options.resnet20, options.work / "resnet20.onnx")
    network.to_onnx(options.work / "resnet18.safetensors", options.work / "resnet18.onnx")
    pairs = [(row, *sides(row, options)) for row in ROWS]
    alone = pairs[0][1]
    report = {
        "load_to_first_answer_ms": round(float(alone.first_answer) * 1000, 1),
        "resident_megabytes": round(alone.resident_megabytes(), 1),
        "rounds": options.rounds,
        "rows": measure(pairs, options.rounds),
    }
    for _, *both in pairs:
        for side in both:
            side.end()
    (options.work / "results.json").write_text(json.dumps(report, indent=2) + "\n")
    print(table(report["rows"]))
    print(f"\nResNet-20: {report['load_to_first_answer_ms']} ms from the start of loading to the first answer, "
          f"{report['resident_megabytes']} MB resident")
    print(json.dumps(report))
    missed = [found["row"] for found in report["rows"] if found["ratio"] > found["bar"]]
    if options.check and missed:
        sys.exit(f"over its bar: {'; '.join(missed)}")


if __name__ == "__main__":
    main()
