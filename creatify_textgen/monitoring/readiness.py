"""Whether this process can do its work now. Never asks the remote.

Invariant: however many ask, there is one examination in `FRESH_SECONDS` at most.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from django.db import Error as DatabaseFault

from creatify_textgen import clock
from creatify_textgen.monitoring.examination import Examination
from creatify_textgen.per_process import per_process
from creatify_textgen.services import health

__all__ = ["current_failures", "find_failures"]

FRESH_SECONDS = 5.0
"""Anybody may ask, so asking often must cost nothing."""
FRAME_SECONDS = 2.0
"""How long a frame may take through the stream backend. Probes wait for a few seconds only."""


@per_process
def _examination() -> Examination[Sequence[str]]:
    return Examination(lambda: find_failures())


def current_failures() -> Sequence[str]:
    """Return what `find_failures` returned at most five seconds ago. Waits ten seconds at most."""
    try:
        return _examination().result(fresh_seconds=FRESH_SECONDS)
    except TimeoutError:
        # Everything else that is examined has a timeout, so it is the database that hangs.
        return ("database",)


def find_failures() -> list[str]:
    """Return the parts that do not work: `database`, `broker`, `streams`, `sweep`.

    `sweep` means that a row has been due for three minutes.
    """
    failures = [] if _works(health.try_broker) else ["broker"]
    if not _works(partial(health.try_streams, seconds=FRAME_SECONDS)):
        failures.append("streams")
    # Last, because a database that hangs would keep the other parts from being examined.
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
