"""The rows that this process knows to be final, so that a repeated delivery costs no statement.

Invariant: only what the database has answered is remembered, and final is for good.
"""

from __future__ import annotations

import threading
import uuid

__all__ = ["FinishedRows"]

LIMIT = 10_000
"""What is remembered at most; the oldest goes first."""


class FinishedRows:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[uuid.UUID, None] = {}

    def __contains__(self, generation_id: uuid.UUID) -> bool:
        return generation_id in self._known

    def add(self, generation_id: uuid.UUID) -> None:
        with self._lock:
            self._known.pop(generation_id, None)
            self._known[generation_id] = None
            if len(self._known) > LIMIT:
                del self._known[next(iter(self._known))]
