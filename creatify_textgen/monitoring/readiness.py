"""Whether this process can do its work now. Never asks the remote.

Invariants: however many ask, there is one examination at a time, and one in `FRESH_SECONDS` at
most; nobody waits for longer than `LONGEST_SECONDS`, whatever hangs.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from functools import partial

from django.db import Error as DatabaseFault
from django.db import connections

from creatify_textgen import clock, databases
from creatify_textgen.per_process import per_process
from creatify_textgen.services import health

__all__ = ["find_failures", "readiness"]

FRESH_SECONDS = 5.0
FRAME_SECONDS = 2.0
LONGEST_SECONDS = 10.0
"""A load balancer waits no longer."""


class Readiness:
    """The last examination of this process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._until = -1.0
        self._examination: Future[Sequence[str]] = Future()
        self._examination.set_result(())

    def failures(self) -> Sequence[str]:
        """Return the parts that do not work, as they were at most five seconds ago.

        Waits `LONGEST_SECONDS` at most.
        """
        with self._lock:
            if self._examination.done() and time.monotonic() >= self._until:
                self._examination = _begin()
                self._until = time.monotonic() + FRESH_SECONDS
            examination = self._examination
        try:
            return examination.result(timeout=LONGEST_SECONDS)
        except TimeoutError:
            # The broker and Redis have timeouts. A database that hangs has none, unless the host
            # sets one, and nobody may hang with it.
            return ("database",)


def _begin() -> Future[Sequence[str]]:
    """Examine this process in another thread, because the database may hang."""
    examination: Future[Sequence[str]] = Future()
    if databases.connection().in_atomic_block:
        # A TestCase, whose rows no other thread sees.
        _examine(examination)
    else:
        name = "textgen-readiness"
        threading.Thread(target=_examine_apart, args=(examination,), name=name, daemon=True).start()
    return examination


def _examine(examination: Future[Sequence[str]]) -> None:
    try:
        examination.set_result(find_failures())
    except Exception as error:  # noqa: BLE001  raised for those who wait
        examination.set_exception(error)


def _examine_apart(examination: Future[Sequence[str]]) -> None:
    try:
        _examine(examination)
    finally:
        connections.close_all()


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
