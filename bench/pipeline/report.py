"""Results as text, and what misses its bar."""

import statistics
from collections.abc import Callable

from loopback.figures import figure
from topologies import BRIDGE, CLASSIFIER
from usage import CORES

# The p50 with one image at a time, relative to two hops and one inference; ms at 80 % of the highest sustained rate;
# images a second. They hold for the topology that is the default.
DEFAULT = "Fused"
RATIO_BAR = 1.5
EASED_BAR = 50
RATE_AIM = 2000
NONE = "-"


def median(rounds: list[dict], value: Callable[[dict], float]) -> float:
    return statistics.median(value(one) for one in rounds)


def medians(rounds: list[dict], part: str) -> dict[str, float]:
    return {key: median(rounds, lambda one: one[part][key]) for key in rounds[0][part]}


def floor(results: dict, inference: str = "withoutPause") -> float:
    """Two hops and one inference, in ms. The shorter inference makes the stricter bar: after each pause of the load, caches
    and clocks are cold."""
    rounds = results["rounds"]
    return median(rounds, lambda one: one["hops"]["p50"]) + median(rounds, lambda one: one["image"][inference])


def alone(results: dict, name: str, percentile: str) -> float:
    return median(results["rounds"], lambda one: one["topologies"][name][percentile])


def ratio(results: dict, name: str, inference: str = "withoutPause") -> float:
    return alone(results, name, "p50") / floor(results, inference)


def missed(results: dict) -> list[str]:
    """A sentence for each bar that the default topology misses."""
    if DEFAULT not in results["rates"]:
        return []
    sentences = []
    if (times := ratio(results, DEFAULT)) > RATIO_BAR:
        sentences.append(f"the p50 at 20 images/s is {times:.2f} times the floor, over {RATIO_BAR}")
    eased = results["rates"][DEFAULT]["eased"]
    if not eased:
        sentences.append("no rate was sustained")
    elif eased["p95"] >= EASED_BAR:
        sentences.append(f"p95 at 80 % of the highest sustained rate is {eased['p95']:.0f} ms, not under {EASED_BAR}")
    return sentences


def printed(results: dict) -> str:
    """Tables in Markdown."""
    return "\n".join([*floor_lines(results), "", *topology_lines(results), "", *thread_lines(results["rounds"])])


def floor_lines(results: dict) -> list[str]:
    rounds = results["rounds"]
    hops, image = (medians(rounds, part) for part in ("hops", "image"))
    return [
        f"On loopback with {CORES} cores, medians of {len(rounds)} interleaved rounds, ms:",
        f"two bare Kafka hops, 20 records/s of 2.3 KB    p50 {figure(hops['p50'])}, p95 {figure(hops['p95'])}",
        f"one PNG decoded and classified, one thread     {figure(image['withoutPause'])} without a pause, "
        f"{figure(image['paced'])} at 20 a second",
        f"the floor: the hops and one without a pause    {figure(floor(results))}",
    ]


def topology_lines(results: dict) -> list[str]:
    names = list(results["rates"])
    at = {name: results["rates"][name] for name in names}

    def row(title: str, cell: Callable[[str], str]) -> str:
        return f"| {title} | {' | '.join(cell(name) for name in names)} |"

    def load(part: str, value: Callable[[dict], str]) -> Callable[[str], str]:
        return lambda name: value(at[name][part]) if at[name][part] else NONE

    def used(value: Callable[[dict], str]) -> Callable[[str], str]:
        return load("sustained", lambda one: value(one["usage"]) if one["usage"] else NONE)

    def cores(who: Callable[[dict], float]) -> Callable[[str], str]:
        return used(lambda usage: f"{who(usage['cores']):.2f}")

    def one_at_a_time(percentile: str) -> Callable[[str], str]:
        return lambda name: figure(alone(results, name, percentile))

    return [
        row("", str),
        "|---|" + "---|" * len(names),
        row("20 images/s: p50, ms", one_at_a_time("p50")),
        row("20 images/s: p95, ms", one_at_a_time("p95")),
        row(f"20 images/s: p50 relative to the floor (bar {RATIO_BAR})", lambda name: f"**{ratio(results, name):.2f}**"),
        row("20 images/s: the same with the inference at 20 a second", lambda name: f"{ratio(results, name, 'paced'):.2f}"),
        row(f"highest sustained rate, images/s (aim {RATE_AIM:,})", load("sustained", lambda one: f"**{one['rate']:,}**")),
        row(f"at 80 % of it: p95, ms (bar {EASED_BAR})", load("eased", lambda one: f"**{figure(one['p95'])}**")),
        row("at 80 % of it: p50, ms", load("eased", lambda one: figure(one["p50"]))),
        row("at the highest rate: p50, ms", load("sustained", lambda one: figure(one["p50"]))),
        row("at the highest rate: p95, ms", load("sustained", lambda one: figure(one["p95"]))),
        row("at the highest rate: share of time in the model", used(lambda usage: f"{usage['modelShare']:.0%}")),
        row("at the highest rate: images a batch", used(lambda usage: f"{usage['imagesPerBatch']:.1f}")),
        row("cores: classifying threads", cores(lambda of: of["classifying threads"])),
        row("cores: the rest of the classifier", cores(lambda of: of[CLASSIFIER] - of["classifying threads"])),
        row("cores: bridge", cores(lambda of: of.get(BRIDGE, 0))),
        row("cores: broker", cores(lambda of: of["broker"])),
        row("cores: producers", cores(lambda of: of["producers"])),
        row("cores: what else ran", cores(lambda of: of["others"])),
    ]


def thread_lines(rounds: list[dict]) -> list[str]:
    designs = [design["design"] for design in rounds[0]["threads"]]
    head = "| classifying threads | one image alone, ms | images/s, one by one | images/s, eight by eight |"
    lines = [head, "|---|---|---|---|"]
    for number, name in enumerate(designs):
        found = [one["threads"][number] for one in rounds]
        alone_ms = median(found, lambda one: one["aloneMicros"]) / 1000
        one, eight = (median(found, lambda one: one["imagesPerSecond"][batch]) for batch in ("1", "8"))
        lines.append(f"| {name} | {figure(alone_ms)} | {one:,.0f} | {eight:,.0f} |")
    return lines
