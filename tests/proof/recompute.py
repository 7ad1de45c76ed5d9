"""Recomputes the numbers of a LoadTest from the raw logs of its producers, and compares them with its status."""

import base64
import csv
import io
import json
import sys
from pathlib import Path

import numpy as np
import zstandard

FOLLOWS = "tailrace-raw-log: base64 of CSV.zst follows"
END = "tailrace-raw-log: end"
QUANTILES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99, "p999": 0.999}
LABELLED = {"correct", "wrong", "unlabelled"}


def messages(folder: Path) -> list[dict]:
    """The messages of all producers."""
    rows = []
    for log in sorted(folder.glob("producer-*.log")):
        text = log.read_text()
        lines = text[text.index(FOLLOWS) + len(FOLLOWS) : text.index(END)].splitlines()
        # Other threads log, too: the lines of base64 are those without a space.
        compressed = base64.b64decode("".join(line for line in lines if " " not in line))
        with zstandard.ZstdDecompressor().stream_reader(compressed) as reader:
            rows.extend(csv.DictReader(io.TextIOWrapper(reader, "utf-8")))
    return rows


def column(rows: list[dict], name: str) -> np.ndarray:
    return np.array([int(row[name]) if row[name] else -1 for row in rows])


def summary(values: np.ndarray, total: int) -> dict:
    """Nearest ranks among `total` values, of which those that are missing are infinite."""
    padded = np.concatenate([np.sort(values).astype(float), np.full(total - len(values), np.inf)])
    numbers = {name: padded[max(int(np.ceil(round(q * total, 9))), 1) - 1] for name, q in QUANTILES.items()}
    return {"count": len(values), "min": values.min(), "mean": values.mean(), "max": padded[-1], **numbers}


def latencies(rows: list[dict]) -> dict[str, dict]:
    labelled = [row for row in rows if row["outcome"] in LABELLED]
    intended, sent, answered, queue, compute = (
        column(labelled, name) for name in ["intended_us", "sent_us", "answered_us", "queue_us", "compute_us"]
    )
    handed_over = [row for row in rows if row["sent_us"]]
    acknowledged = [row for row in rows if row["acknowledged_us"]]
    delay = column(handed_over, "sent_us") - column(handed_over, "intended_us")
    acknowledgement = column(acknowledged, "acknowledged_us") - column(acknowledged, "sent_us")
    service = answered - sent
    return {
        "latencyMicros": summary(answered - intended, len(rows)),
        "serviceLatencyMicros": summary(service, len(rows)),
        "sendDelayMicros": summary(delay, len(delay)),
        "queue": summary(queue, len(queue)),
        "compute": summary(compute, len(compute)),
        "acknowledgement": summary(acknowledgement, len(acknowledgement)),
        "rest": summary(service - queue - compute, len(service)),
    }


def counts(rows: list[dict]) -> dict[str, int]:
    outcomes = [row["outcome"] for row in rows]
    received = sum(outcome in LABELLED or outcome == "error" for outcome in outcomes)
    lost, send_errors = outcomes.count("lost"), outcomes.count("send_error")
    return {
        "scheduled": len(rows),
        "sent": received + lost,
        "sendErrors": send_errors,
        "received": received,
        "lost": lost,
        "answerErrors": outcomes.count("error"),
    }


def differences(what: str, status: dict, found: dict, micros: int) -> list[str]:
    """Histograms keep three digits, and each time is rounded down to a microsecond: `micros` for a difference of several."""
    wrong = []
    for name, value in found.items():
        reported = status.get(name)
        if np.isinf(value):
            agrees = reported is None
        else:
            agrees = reported is not None and abs(reported - max(value, 1)) <= max(value, 1) * 0.001 + micros
        if not agrees:
            wrong.append(f"{what}.{name} is {reported} in the status and {value} by numpy")
    return wrong


def main() -> None:
    folder = Path(sys.argv[1])
    status = json.loads((folder / "status.json").read_text())
    java = json.loads((folder / "java.json").read_text())
    rows = messages(folder)
    measured = [row for row in rows if row["window"] == "measurement"]
    warmup = [row for row in rows if row["window"] == "warmup"]
    wrong = []
    for name, part in [("messages", measured), ("warmupMessages", warmup)]:
        wrong += [
            f"{name}.{key} is {status[name][key]} in the status and {value} in the raw logs"
            for key, value in counts(part).items()
            if status[name][key] != value
        ]
    for name, found in latencies(measured).items():
        wrong += differences(name, status[name] if name in status else status["stagesMicros"][name], found, 3)
    reported = status["latencyMicros"]
    wrong += [
        f"latencyMicros.{name} is {reported.get(name)} in the status and {value} by HdrHistogram for Java"
        for name, value in java.items()
        if reported.get(name) not in (value, None)
    ]
    if wrong:
        raise SystemExit("\n".join(wrong))
    print(f"numpy and HdrHistogram for Java agree with the status: {len(measured)} images, {len(warmup)} of the warm-up")


if __name__ == "__main__":
    main()
