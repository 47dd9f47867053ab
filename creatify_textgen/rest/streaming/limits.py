"""Limits how many readers a user and a process may have. Counts in this process only.

Invariant: each slot is given back exactly once, however its request ends.
"""

from __future__ import annotations

import math
import threading
import time
from collections import Counter
from collections.abc import Callable, Hashable

from django.utils.translation import gettext_lazy as _
from rest_framework.exceptions import APIException

__all__ = ["ReaderSlots", "Slot", "reader_slots"]

MAX_READERS_PER_USER = 20
"""Many more than the tabs of one person, and far fewer than MAX_READERS."""
MAX_READERS = 1000
"""What one process serves under ASGI. Under WSGI its threads are the limit."""
RETRY_SECONDS = 5
RESERVED_SECONDS = 30.0
"""How long a slot is held before its first read: longer than a create waits for a first frame."""


class TooManyForUserError(APIException):
    """The user has as many readers in this process as one user may have."""

    status_code = 429
    default_code = "too_many_streams"
    default_detail = _("You read too many streams at once: close one first.")
    wait = RETRY_SECONDS


class TooManyForProcessError(APIException):
    """This process has as many readers as it may have, whoever they are."""

    status_code = 503
    default_code = "too_many_readers"
    default_detail = _("This server has as many readers as it can serve: try again in a moment.")
    wait = RETRY_SECONDS


class Slot:
    """The place of one reader: reserved for 30 seconds, then held from the first read."""

    def __init__(self, slots: ReaderSlots, user: Hashable) -> None:
        self._slots = slots
        self.user = user

    def start(self) -> None:
        """Hold the place until it is released."""
        self._slots.start(self)

    def release(self) -> None:
        """Give the place back. May be called twice."""
        self._slots.give_back(self)


class ReaderSlots:
    """The places for readers in one process. Threads and coroutines may share it."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._until: dict[Slot, float] = {}
        """The time until which each place is held, by the clock."""
        self._readers: Counter[Hashable] = Counter()
        self.on_change: Callable[[int], None] = lambda count: None
        """Called with the number of places held or reserved, under a lock: it must be quick."""

    def take(self, user: Hashable) -> Slot:
        """Reserve a place. Raises: APIException with status 429 or 503 if no place is free."""
        with self._lock:
            self._drop_unused()
            if len(self._until) >= MAX_READERS:
                raise TooManyForProcessError
            if self._readers[user] >= MAX_READERS_PER_USER:
                raise TooManyForUserError
            slot = Slot(self, user)
            self._until[slot] = self._clock() + RESERVED_SECONDS
            self._readers[user] += 1
            self.on_change(len(self._until))
        return slot

    def start(self, slot: Slot) -> None:
        with self._lock:
            # A place whose reservation has expired may have been given to another reader.
            if slot in self._until:
                self._until[slot] = math.inf

    def give_back(self, slot: Slot) -> None:
        with self._lock:
            self._drop(slot)

    def count(self) -> int:
        """Return how many places are held or reserved."""
        with self._lock:
            self._drop_unused()
            return len(self._until)

    def _drop_unused(self) -> None:
        # If a request is cancelled before its response is built, nothing closes the response.
        # There are at most MAX_READERS places, so this holds the lock for less than a millisecond.
        now = self._clock()
        for slot in [slot for slot, until in self._until.items() if until < now]:
            self._drop(slot)

    def _drop(self, slot: Slot) -> None:
        if self._until.pop(slot, None) is None:
            return
        self.on_change(len(self._until))
        self._readers[slot.user] -= 1
        # A Counter keeps zeros, so without this it would grow with each user.
        if self._readers[slot.user] <= 0:
            del self._readers[slot.user]


reader_slots = ReaderSlots()
