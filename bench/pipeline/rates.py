"""Loads on a topology: one image at a time, and the highest rate that it sustains."""

import logging
import math
from dataclasses import dataclass

from loopback.processes import Processes
from loopback.producers import PERCENTILES, Generator, Producer, growth, milliseconds
from loopback.search import highest_sustained, search
from topologies import Part, Topics
from usage import Usage

ATTEMPT_SECONDS = 8
START, FACTOR, GAP = 800, 1.4, 1.06
# Where a rate is not held for this long, a lower one is tried.
LOWER, MOST_CONFIRMATIONS = 0.95, 4
# What "sustained" allows: latency and send delay in ms, and growth of the backlog as a share of the rate.
MOST_LATENCY = 200
MOST_SEND_DELAY = 100
MOST_GROWTH = 0.01
# The p95 is looked at here, as a share of the highest sustained rate.
EASE = 0.8
EASE_SECONDS = 20


@dataclass(frozen=True)
class Running:
    """A topology that is ready, and what loads it."""

    name: str
    parts: list[Part]
    processes: Processes
    broker: int
    generator: Generator
    producers: int

    def pids(self) -> dict[str, int]:
        return {"broker": self.broker} | {part.name: self.processes.running[part.name].pid for part in self.parts}

    def load(self, rate: int, duration: int, producers: int) -> dict:
        """All producers together offer `rate` images a second. Their percentiles are those of the slowest."""
        each = math.ceil(rate / producers)
        flags = [*Topics(self.name).flags(), "--load", "open"]
        flags += ["--rate", str(each), "--duration", f"{duration}s", "--producers", str(producers)]
        loads = [[*flags, "--index", str(index)] for index in range(producers)]
        with self.generator.running(loads) as started:
            usage = Usage(self.parts[0], self.pids(), [producer.process.pid for producer in started])
            with usage:
                outcomes = [Producer.outcome(producer) for producer in started]
        self.processes.check()
        offered = each * producers
        found = result(offered, duration, [measured for measured, _ in outcomes], [log for _, log in outcomes])
        return found | {"usage": usage.result(offered * self.generator.warmup, offered * duration)}


def result(rate: int, duration: int, measured: list[dict], logs: list[list[dict]]) -> dict:
    """Percentiles in ms, whether the rate was sustained, and if not, why."""
    percentiles = {p: max(milliseconds(one, p) for one in measured) for p in PERCENTILES}
    send_delay = max(milliseconds(one, "p99", of="sendDelayMicros") for one in measured)
    unanswered = sum(one["messages"]["scheduled"] - one["messages"]["received"] for one in measured)
    errors = sum(one["messages"]["answerErrors"] for one in measured)
    grew = sum(growth(log) for log in logs)
    reasons = [
        (unanswered + errors > 0, f"{unanswered} images without an answer, {errors} with an error"),
        (send_delay >= MOST_SEND_DELAY, f"a producer fell behind by {send_delay:.0f} ms"),
        (percentiles["p95"] >= MOST_LATENCY, f"p95 {percentiles['p95']:.0f} ms"),
        (grew > MOST_GROWTH * rate, f"the backlog grew by {grew:.1f} images a second"),
    ]
    why = next((sentence for failed, sentence in reasons if failed), None)
    judged = {"rate": rate, "seconds": duration, "sustained": why is None, "why": why}
    return {**judged, **percentiles, "sendDelayP99": send_delay, "answered": (rate * duration - unanswered) / duration}


def highest_rate(running: Running, confirm_seconds: int) -> dict:
    """Searches in short attempts, holds what was found for `confirm_seconds`, and looks at the p95 at 80 % of it."""

    def attempt(rate: int, seconds: int = ATTEMPT_SECONDS) -> dict:
        made = running.load(rate, seconds, running.producers)
        told = made["why"] or f"sustained, p95 {made['p95']:.1f} ms"
        logging.info("  %s, %d images/s for %d s: %s", running.name, made["rate"], seconds, told)
        return made

    attempts = search(attempt, START, FACTOR, GAP)
    rate = highest_sustained(attempts)
    confirmed = None
    for _ in range(MOST_CONFIRMATIONS if rate else 0):
        confirmed = attempt(rate, confirm_seconds)
        if confirmed["sustained"]:
            break
        rate = round(rate * LOWER)
    if not (confirmed and confirmed["sustained"]):
        return {"attempts": attempts, "sustained": None, "eased": None}
    eased = attempt(round(EASE * confirmed["rate"]), EASE_SECONDS)
    return {"attempts": attempts, "sustained": confirmed, "eased": eased}
