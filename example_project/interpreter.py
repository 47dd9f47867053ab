"""Python's garbage collector, set for a process that must not pause. Each server calls it once."""

from __future__ import annotations

import gc

__all__ = ["let_it_rest"]

ALLOCATIONS = 50_000
"""Between two collections of the youngest objects. Python's own 700 suits short scripts: a request
or a stream makes and drops more than that, nearly all of it without a cycle."""


def let_it_rest() -> None:
    """Keep what is loaded out of collections, and make them rare: each holds every thread up."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(ALLOCATIONS, 20, 20)
