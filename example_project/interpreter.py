"""Python itself, set for a process that must not pause. Each server calls what it needs once."""

from __future__ import annotations

import gc
import sys

__all__ = ["let_collector_rest", "switch_rarely"]

ALLOCATIONS = 50_000
"""Between two collections of the youngest objects. Python's own 700 suits short scripts: a request
or a stream makes and drops more than that, nearly all of it without a cycle."""
SWITCH_SECONDS = 0.05
"""How long a thread may compute before another one makes it stop. Python's own 5 ms suits few
threads; one of a stream stops by itself after a tenth of a millisecond, to wait for the network."""


def let_collector_rest() -> None:
    """Keep what is loaded out of collections, and make them rare: each holds every thread up."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(ALLOCATIONS, 20, 20)


def switch_rarely() -> None:
    """For hundreds of threads that compute little: whoever waits its turn wakes up less often."""
    sys.setswitchinterval(SWITCH_SECONDS)
