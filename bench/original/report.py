"""Results as text."""

import statistics
from collections.abc import Callable

from loopback.figures import figure
from variants import ORIGINAL, STRONGER, TAILRACE, VARIANTS

# How many times Tailrace's p95 with five producers is to be below that of another.
AIMS = {ORIGINAL: 25, STRONGER: 15}

Results = dict[str, list[dict]]


def median(rounds: list[dict], value: Callable[[dict], float]) -> float:
    return statistics.median(value(one) for one in rounds)


def latency(rounds: list[dict], producers: int, percentile: str) -> float:
    return median(rounds, lambda one: one["closed"][producers][percentile])


def printed(results: Results) -> str:
    """A table in Markdown, medians over the rounds, and the ratios to Tailrace."""
    rounds = len(next(iter(results.values())))
    lines = [
        f"Closed loop, p50 / p90 / p95 in ms by number of producers; medians of {rounds} interleaved rounds",
        "",
        "| | 1 | 2 | 3 | 4 | 5 | sustained images/s |",
        "|---|---|---|---|---|---|---|",
        *[row(name, results[name]) for name in results],
        "",
        *[ratio(name, results) for name in results if name != TAILRACE and TAILRACE in results],
        *own_producer(results),
    ]
    return "\n".join(lines)


def row(name: str, rounds: list[dict]) -> str:
    cells = [
        " / ".join(figure(latency(rounds, producers, p)) for p in ("p50", "p90", "p95"))
        for producers in rounds[0]["closed"]
    ]
    sustained = median(rounds, lambda one: one["sustained"])
    return f"| {VARIANTS[name].title} | {' | '.join(cells)} | {sustained:,.0f} |"


def ratio(name: str, results: Results) -> str:
    times = latency(results[name], 5, "p95") / latency(results[TAILRACE], 5, "p95")
    sentence = f"p95 with 5 producers: Tailrace's is {times:.1f} times below that of: {VARIANTS[name].title}"
    if name not in AIMS:
        return sentence
    return f"{sentence} (aim {AIMS[name]}: {'reached' if times >= AIMS[name] else 'missed'})"


def own_producer(results: Results) -> list[str]:
    """The cross-check: one producer, as the original measured itself."""
    if ORIGINAL not in results:
        return []
    cells = [figure(median(results[ORIGINAL], lambda one: one["originalProducer"][p])) for p in ("p50", "p90", "p95")]
    return [f"The original, 1 producer, by its own producer.py: {' / '.join(cells)} ms"]
