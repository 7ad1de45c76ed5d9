"""How a measurement begins and ends."""

import logging
import os
import signal
import sys
from collections.abc import Callable

from loopback.processes import Failed


def load_before() -> float:
    """The load of the machine, with a word if others work on it."""
    load = os.getloadavg()[0]
    if load > 0.5:
        logging.warning("other work on the machine (load %.1f): it shows in the figures", load)
    return load


def main(name: str, run: Callable[[], None]) -> None:
    """Runs it; a failure is one sentence, and SIGTERM stops what was started."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        run()
    except Failed as failure:
        sys.exit(f"{name}: {failure}")
    except KeyboardInterrupt:
        sys.exit(130)
