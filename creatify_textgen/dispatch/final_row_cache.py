"""Remembers which rows are final or deleted: a repeated delivery then costs no statement.

Invariant: it has only ids that the database has reported as final or as deleted. Neither changes,
so an id here is never wrong.
"""

from __future__ import annotations

import threading
import uuid

__all__ = ["FinalRowCache"]

LIMIT = 10_000
"""The most ids that are remembered; the oldest is forgotten first."""


class FinalRowCache:
    """The ids of final and of deleted rows, for one process and any number of threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[uuid.UUID, None] = {}

    def __contains__(self, generation_id: uuid.UUID) -> bool:
        # Without the lock: a delivery that misses an id here only costs its statement.
        return generation_id in self._known

    def add(self, generation_id: uuid.UUID) -> None:
        with self._lock:
            # Removed and added again, so that it is the newest: a dict keeps the order.
            self._known.pop(generation_id, None)
            self._known[generation_id] = None
            if len(self._known) > LIMIT:
                del self._known[next(iter(self._known))]
