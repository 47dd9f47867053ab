"""Deliveries that this process has just seen to, so that the same again costs no statement.

A hint that comes twice within a second says nothing new, and a final row takes none. Invariant:
only what the database has answered is remembered.
"""

from __future__ import annotations

import hashlib
import math
import threading
import time
import uuid
from collections.abc import Callable, Hashable

__all__ = ["Repeats"]

SAME_SECONDS = 1.0
LIMIT = 10_000
"""What is remembered at most; the oldest goes first."""


class Repeats:
    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._until: dict[Hashable, float] = {}

    def has(self, generation_id: uuid.UUID, body: bytes) -> bool:
        """Whether nothing is to be done for this delivery."""
        if generation_id in self._until:
            return True
        return self._until.get(_delivery(generation_id, body), 0.0) > self._clock()

    def add(self, generation_id: uuid.UUID, body: bytes, *, is_open: bool) -> None:
        """Remember a delivery that was taken in; `is_open` is False where its row is final."""
        if is_open:
            self._remember(_delivery(generation_id, body), self._clock() + SAME_SECONDS)
        else:
            self._remember(generation_id, math.inf)

    def _remember(self, key: Hashable, until: float) -> None:
        with self._lock:
            self._until.pop(key, None)
            self._until[key] = until
            if len(self._until) > LIMIT:
                del self._until[next(iter(self._until))]


def _delivery(generation_id: uuid.UUID, body: bytes) -> Hashable:
    return generation_id, hashlib.sha256(body).digest()
