"""Figures as text."""


def figure(milliseconds: float) -> str:
    """Three digits."""
    decimals = 2 if milliseconds < 10 else 1 if milliseconds < 100 else 0
    return f"{milliseconds:.{decimals}f}"


def without_infinity(value: object) -> object:
    """JSON has no number for what is unbounded: null, as the producer prints it."""
    match value:
        case dict():
            return {key: without_infinity(inner) for key, inner in value.items()}
        case list():
            return [without_infinity(inner) for inner in value]
        case _:
            return None if value == float("inf") else value
