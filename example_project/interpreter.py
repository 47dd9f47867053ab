"""Settings of Python for processes that must not pause. Each server calls what it needs once."""

from __future__ import annotations

import gc
import sys

__all__ = ["let_collector_rest", "switch_rarely"]

ALLOCATIONS = 50_000
"""Between two collections of the youngest objects. Python's default of 700 is for short scripts. A
request or a stream allocates more than that, and frees nearly all without the collector."""
SWITCH_SECONDS = 0.05
"""How long a thread may compute before another thread may interrupt it. Python's default of 5 ms is
for few threads. The thread of a stream computes for 0.1 ms and then waits for the network."""


def let_collector_rest() -> None:
    """Exclude what is loaded from collections and make them rare: each one stops all threads."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(ALLOCATIONS, 20, 20)


def switch_rarely() -> None:
    """Let waiting threads ask for the interpreter less often. For hundreds of threads."""
    sys.setswitchinterval(SWITCH_SECONDS)
