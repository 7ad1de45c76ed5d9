"""The search for the highest rate that is sustained. An attempt is a dictionary with its `rate`, and whether it is `sustained`."""

from collections.abc import Callable

# Of one search.
MOST_ATTEMPTS = 12
# Between the highest rate that was sustained and the lowest that was not.
GAP = 1.12


def search(attempt: Callable[[int], dict], start: int, factor: float, gap: float = GAP) -> list[dict]:
    """Attempts from `start` on, each at the rate that `next_rate` gives."""
    attempts: list[dict] = []
    rate: int | None = start
    while rate and len(attempts) < MOST_ATTEMPTS:
        attempts.append(attempt(rate))
        rate = next_rate(attempts, factor, gap)
    return attempts


def next_rate(attempts: list[dict], factor: float, gap: float) -> int | None:
    """Climbs or descends by `factor` until the highest sustained rate is enclosed, then halves the gap until it is
    small enough; none when there is nothing left to try."""
    failed = min((a["rate"] for a in attempts if not a["sustained"]), default=None)
    held = highest_sustained(attempts)
    if failed is None:
        return round(held * factor)
    if not held:
        return int(failed / factor)
    between = round((held * failed) ** 0.5)
    return between if failed > held * gap and held < between < failed else None


def highest_sustained(attempts: list[dict]) -> int:
    """The highest sustained rate below all that were not; 0 if there is none."""
    failed = min((a["rate"] for a in attempts if not a["sustained"]), default=float("inf"))
    return max((a["rate"] for a in attempts if a["sustained"] and a["rate"] < failed), default=0)
