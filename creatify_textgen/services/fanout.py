"""Many calls of the remote at once, from one process-wide pool, with no database in its threads.

Invariant: what a call returns or raises comes back to the thread that asked, never lost.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import lru_cache, partial
from queue import Empty, SimpleQueue
from typing import Any

from creatify_textgen.privacy import without_variables

__all__ = ["SENDS_AT_ONCE", "Fanout"]

GETS_AT_ONCE = 32
SENDS_AT_ONCE = 4
"""The remote publishes no limit; few creates at once is the safe assumption (contract, 11.24)."""


class Fanout:
    """A batch of calls under way; `finished()` yields each with what was asked about."""

    def __init__(self) -> None:
        self._under_way = 0
        self._finished: SimpleQueue[tuple[Any, Future[Any]]] = SimpleQueue()

    def __len__(self) -> int:
        return self._under_way

    def get(self, subject: Any, call: Callable[[], Any]) -> None:
        """Start a call that is free at the remote."""
        self._start("get", GETS_AT_ONCE, subject, call)

    def send(self, subject: Any, call: Callable[[], Any]) -> None:
        """Start a call that the remote bills."""
        self._start("send", SENDS_AT_ONCE, subject, call)

    def finished(self, *, timeout: float) -> Iterator[tuple[Any, Any]]:
        """Wait up to `timeout` seconds for a call, then yield (subject, answer or exception) of
        each that has ended."""
        while self._under_way:
            try:
                subject, future = self._finished.get(timeout=timeout)
            except Empty:
                return
            self._under_way -= 1
            timeout = 0
            error = future.exception()
            yield subject, future.result() if error is None else error

    def _start(self, kind: str, size: int, subject: Any, call: Callable[[], Any]) -> None:
        future = _pool(kind, size, os.getpid()).submit(_call, call)
        self._under_way += 1
        future.add_done_callback(partial(self._note, subject))

    def _note(self, subject: Any, future: Future[Any]) -> None:
        self._finished.put((subject, future))


@without_variables
def _call(call: Callable[[], Any]) -> Any:
    return call()


@lru_cache(maxsize=8)
def _pool(kind: str, size: int, process_id: int) -> ThreadPoolExecutor:
    # By process: threads do not survive a fork, and their connections must not be shared.
    return ThreadPoolExecutor(size, thread_name_prefix=f"textgen-{kind}-{process_id}")
