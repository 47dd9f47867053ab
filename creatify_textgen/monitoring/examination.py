"""Lets requests wait for work on the database that may hang, for no longer than a probe waits.

The broker and Redis have timeouts. A database that hangs has none, unless the host sets one, and a
thread that waits for it cannot be stopped. So the work runs in another thread, one at a time:
however many requests arrive, only one thread hangs, and the requests end.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

from django.db import connections

from creatify_textgen import databases

__all__ = ["Examination"]

T = TypeVar("T")

LONGEST_SECONDS = 10.0
"""A load balancer waits no longer, and neither does a scraper."""


class Examination(Generic[T]):
    """The last result of this process, and the thread that finds the next."""

    def __init__(self, examine: Callable[[], T]) -> None:
        self._examine = examine
        self._lock = threading.Lock()
        self._until = -1.0
        self._last: Future[T] | None = None

    def result(self, *, fresh_seconds: float = 0) -> T:
        """Return what `examine` returned, at most so many seconds ago.

        Raises: TimeoutError after `LONGEST_SECONDS`; what `examine` raised.
        """
        # The lock is held only to begin, never while waiting. Otherwise the requests after the
        # first could not time out.
        with self._lock:
            # While one hangs, no other begins: each would take a connection and hang, too.
            if self._last is None or (self._last.done() and time.monotonic() >= self._until):
                self._last = _begin(self._examine)
                self._until = time.monotonic() + fresh_seconds
            last = self._last
        return last.result(timeout=LONGEST_SECONDS)


def _begin(examine: Callable[[], T]) -> Future[T]:
    found: Future[T] = Future()
    if databases.connection().in_atomic_block:
        # A TestCase, whose rows no other thread sees.
        _fulfil(found, examine)
    else:
        name = "textgen-examination"
        threading.Thread(
            target=_fulfil_apart, args=(found, examine), name=name, daemon=True
        ).start()
    return found


def _fulfil(found: Future[T], examine: Callable[[], T]) -> None:
    try:
        found.set_result(examine())
    except Exception as error:  # noqa: BLE001  raised for those who wait
        found.set_exception(error)


def _fulfil_apart(found: Future[T], examine: Callable[[], T]) -> None:
    try:
        _fulfil(found, examine)
    finally:
        # Django closes the connections of requests alone.
        connections.close_all()
