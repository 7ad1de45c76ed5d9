"""Results as text and as a picture, and what misses its bar."""

from collections.abc import Callable
from pathlib import Path

# Of the row with the most LoadTests, or of every row where nothing else is said.
MEMORY_BAR, START_BAR, RECONCILE_BAR = 64, 5, 100
# What may be asked for while nothing happens.
QUIET = ("watch ", "get leases", "update leases", "patch leases")


def is_quiet(request: str) -> bool:
    """Whether it may be asked for while nothing happens: `request` is a verb and a kind."""
    return request.startswith(QUIET)


def others(row: dict) -> int:
    """Requests that were neither a watch nor of the lease."""
    return sum(count for request, count in row["requests"].items() if not is_quiet(request))


def watches(row: dict) -> int:
    return sum(count for request, count in row["requests"].items() if request.startswith("watch "))


def leases(row: dict) -> int:
    return sum(row["requests"].values()) - watches(row) - others(row)


def missed(results: dict) -> list[str]:
    """A sentence for each bar that is missed."""
    sentences = []
    for row in results["rows"]:
        size = f"with {row['loadTests']:,} LoadTests"
        if (memory := row["memory"]["resident"]) > MEMORY_BAR:
            sentences.append(f"{size} the operator has {memory:.0f} MB, over {MEMORY_BAR}")
        if row["startSeconds"] > START_BAR:
            sentences.append(f"{size} the operator is steady after {row['startSeconds']:.1f} s, over {START_BAR}")
        if others(row):
            asked = ", ".join(
                f"{count} x {request}" for request, count in row["requests"].items() if not is_quiet(request)
            )
            sentences.append(f"{size} and nothing to do it asked for {asked}")
        if (p99 := row["p99Millis"]["all"]) > RECONCILE_BAR:
            sentences.append(f"{size} p99 of a reconciliation is {p99:.0f} ms, over {RECONCILE_BAR}")
    return sentences


def printed(results: dict) -> str:
    """A table in Markdown."""
    rows, environment = results["rows"], results["environment"]
    seconds = environment["idleSeconds"]

    def line(title: str, cell: Callable[[dict], str]) -> str:
        return f"| {title} | {' | '.join(cell(row) for row in rows)} |"

    return "\n".join(
        [
            f"{environment['pipelines']} ready Pipelines; {environment['processor']}, {environment['cores']} cores "
            "for operator, API server and etcd:",
            "",
            line("LoadTests that are over, ten minutes each", lambda row: f"{row['loadTests']:,}"),
            "|---|" + "---:|" * len(rows),
            line(f"memory, MB (bar {MEMORY_BAR})", lambda row: f"**{row['memory']['resident']:.0f}**"),
            line("of that, backed by no file", lambda row: f"{row['memory']['anonymous']:.0f}"),
            line("memory at its highest, MB", lambda row: f"{row['memory']['highest']:.0f}"),
            line(f"start to steady, s (bar {START_BAR})", lambda row: f"**{row['startSeconds']:.1f}**"),
            line(f"{seconds} s without a change: watches", lambda row: f"{watches(row)}"),
            line(f"{seconds} s without a change: requests for the lease", lambda row: f"{leases(row)}"),
            line(f"{seconds} s without a change: other requests (bar 0)", lambda row: f"**{others(row)}**"),
            line(
                f"p99 of a reconciliation, ms (bar {RECONCILE_BAR})", lambda row: f"**{row['p99Millis']['all']:.1f}**"
            ),
            line("of a LoadTest while new ones run, ms", lambda row: f"{row['p99Millis']['newLoadTests']:.0f}"),
            line("a new LoadTest: created to Running, s", lambda row: f"**{row['runningSeconds']:.2f}**"),
            line("a new LoadTest: last report to its end, s", lambda row: f"{row['endSeconds']:.2f}"),
        ]
    )


def draw(results: dict, file: Path) -> None:
    """Memory, start, and the way of a new LoadTest to Running, over the number of those that are over."""
    import matplotlib as mpl

    mpl.use("svg")
    # Text stays text, and the same results make the same file.
    mpl.rcParams.update(
        {"svg.fonttype": "none", "svg.hashsalt": "tailrace", "font.size": 9, "font.family": "sans-serif"}
    )
    from matplotlib import pyplot as plt

    rows = results["rows"]
    tests = [row["loadTests"] for row in rows]
    pictures = [
        ("Memory, MB", MEMORY_BAR, {"resident": [row["memory"]["resident"] for row in rows]}),
        ("Start to steady, s", START_BAR, {"start": [row["startSeconds"] for row in rows]}),
        ("A new LoadTest to Running, s", None, {"created to Running": [row["runningSeconds"] for row in rows]}),
    ]
    figure, axes = plt.subplots(1, len(pictures), figsize=(9, 2.8), layout="constrained")
    for axis, (title, bar, lines) in zip(axes, pictures, strict=True):
        for values in lines.values():
            axis.plot(tests, values, marker="o", color="#2a6f97")
        if bar:
            axis.axhline(bar, color="#c1121f", linewidth=1, linestyle="--")
            axis.text(tests[-1], bar, "bar", color="#c1121f", ha="right", va="bottom")
        axis.set(title=title, xlabel="finished LoadTests", xlim=(0, None), ylim=(0, None))
        axis.spines[["top", "right"]].set_visible(False)
        axis.margins(y=0.2)
    figure.savefig(file, metadata={"Date": None})
