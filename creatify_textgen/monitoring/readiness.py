"""Whether this process can do its work now. Never asks the remote.

Invariant: however many ask, there is one examination in `FRESH_SECONDS` at most.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from functools import partial

from django.db import Error as DatabaseFault

from creatify_textgen import clock
from creatify_textgen.per_process import per_process
from creatify_textgen.services import health

__all__ = ["find_failures", "readiness"]

FRESH_SECONDS = 5.0
FRAME_SECONDS = 2.0


class Readiness:
    """The last examination of this process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._until = -1.0
        self._failures: Sequence[str] = ()

    def failures(self) -> Sequence[str]:
        """Return the parts that do not work, as they were at most five seconds ago."""
        with self._lock:
            if time.monotonic() >= self._until:
                self._failures = find_failures()
                self._until = time.monotonic() + FRESH_SECONDS
            return self._failures


@per_process
def readiness() -> Readiness:
    """Return what this process knows of itself."""
    return Readiness()


def find_failures() -> list[str]:
    """Return the parts that do not work: `database`, `broker`, `streams`, `sweep`.

    `sweep` means that a row has been due for three minutes.
    """
    failures = [] if _works(health.try_broker) else ["broker"]
    if not _works(partial(health.try_streams, seconds=FRAME_SECONDS)):
        failures.append("streams")
    try:
        is_late = health.oldest_overdue(now=clock.now()) is not None
    except DatabaseFault:
        return ["database", *failures]
    return [*failures, *(["sweep"] if is_late else [])]


def _works(part: Callable[[], object]) -> bool:
    try:
        part()
    except Exception:  # noqa: BLE001  each driver raises its own exceptions
        return False
    return True
