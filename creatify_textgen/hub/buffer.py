"""The frames of one stream in this process, and the readers who wait for more.

A writer is a thread; readers are threads and coroutines of any event loop, woken without
polling. Invariant: bounded; a reader who is too slow finds the oldest frames gone.
"""

from __future__ import annotations

import asyncio
import math
import threading
import time
from bisect import bisect_right
from collections.abc import Sequence

from creatify_textgen.hub.frames import END, Frame

__all__ = ["CLOSED_SECONDS", "MAX_BYTES", "MAX_FRAMES", "Buffer"]

MAX_FRAMES = 10_000
MAX_BYTES = 8 * 1024 * 1024
READ_AT_ONCE = 256
"""Frames in one answer, so that a reader far behind is not handed everything in one piece."""
DROP_AT_ONCE = 16
"""One in so many of the oldest frames goes when the buffer is full; dropping one by one is slow."""


CLOSED_SECONDS = 0.5
"""The longest wait for frames that nobody will bring any more."""


class _WaitingRoom:
    """The coroutines of one loop that wait for a stream's next frame, and one timer for all.

    A timer for each wait would cost more than all else that a reader does for a frame.
    """

    def __init__(self) -> None:
        self.waiters: dict[asyncio.Future[None], float] = {}
        """And until when each waits, as the loop's clock has it."""
        self.rings_at = math.inf
        self.bell: asyncio.TimerHandle | None = None

    def empty(self) -> tuple[asyncio.Future[None], ...]:
        """Let everybody go; the bell stays, for whoever comes next."""
        waiters = tuple(self.waiters)
        self.waiters.clear()
        return waiters


class Buffer:
    def __init__(self, *, is_loaded: bool = True) -> None:
        self.is_loaded = is_loaded
        """Whether what was written before is here, so that what is not found does not exist."""
        self.has_ended = False
        self.written_at = 0.0
        """As the hub's clock has it."""
        self._frames: list[Frame] = []
        self._size = 0
        self._is_closed = False
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._sleepers = 0
        self._rooms: dict[asyncio.AbstractEventLoop, _WaitingRoom] = {}

    def add(self, frames: Sequence[Frame]) -> None:
        """Append frames and let whoever waits look whether the wait is over."""
        with self._changed:
            self._frames += frames
            for frame in frames:
                self._size += len(frame.wire)
            if frames and frames[-1].event == END:
                self.has_ended = True
            if len(self._frames) > MAX_FRAMES or self._size > MAX_BYTES:
                self._drop_oldest()
            woken = [(loop, room.empty()) for loop, room in self._rooms.items() if room.waiters]
            if self._sleepers:
                self._changed.notify_all()
        for loop, waiters in woken:
            try:
                loop.call_soon_threadsafe(_wake, waiters)
            except RuntimeError:  # the loop has closed, and its readers with it
                with self._lock:
                    self._rooms.pop(loop, None)

    def finish_loading(self) -> None:
        """Let those go who waited for no more than this."""
        self.is_loaded = True
        self.add(())

    def close(self) -> None:
        """Wake whoever waits, and let nobody wait for long: nothing comes any more."""
        with self._changed:
            self._is_closed = True
        self.add(())

    def after(self, number: int) -> list[Frame]:
        """Return the next frames behind this number, as far as they are here."""
        frames = self._frames
        if not frames or frames[-1].end.number <= number:
            return []
        if len(frames) > 1 and frames[-2].end.number <= number:
            return frames[-1:]  # as for nearly every reader
        first = bisect_right(frames, number, key=_number)
        return frames[first : first + READ_AT_ONCE]

    def wait(self, number: int, *, seconds: float, until_loaded: bool = False) -> list[Frame]:
        """Return frames behind this number, or none after so many seconds.

        `until_loaded` is for who waits only for what was written before.
        """
        with self._changed:
            was_closed = self._is_closed
            until = time.monotonic() + (min(seconds, CLOSED_SECONDS) if was_closed else seconds)
            while not (found := self.after(number)):
                left = until - time.monotonic()
                if left <= 0 or self._is_in_vain(was_closed=was_closed, until_loaded=until_loaded):
                    return []
                self._sleepers += 1
                self._changed.wait(left)
                self._sleepers -= 1
            return found

    async def wait_async(
        self, number: int, *, seconds: float, until_loaded: bool = False
    ) -> list[Frame]:
        """As `wait`, for a coroutine."""
        loop = asyncio.get_running_loop()
        was_closed = self._is_closed
        until = loop.time() + (min(seconds, CLOSED_SECONDS) if was_closed else seconds)
        while True:
            with self._lock:
                found = self.after(number)
                if (
                    found
                    or seconds <= 0
                    or self._is_in_vain(was_closed=was_closed, until_loaded=until_loaded)
                ):
                    return found
                room, waiter = self._enter_room(loop, until)
            try:
                await waiter
            except asyncio.CancelledError:
                with self._lock:
                    room.waiters.pop(waiter, None)
                raise
            if loop.time() >= until:
                return self.after(number)

    def _is_in_vain(self, *, was_closed: bool, until_loaded: bool) -> bool:
        return (self._is_closed and not was_closed) or (until_loaded and self.is_loaded)

    def _enter_room(
        self, loop: asyncio.AbstractEventLoop, until: float
    ) -> tuple[_WaitingRoom, asyncio.Future[None]]:
        room = self._rooms.get(loop)
        if room is None:
            room = self._rooms[loop] = _WaitingRoom()
        waiter: asyncio.Future[None] = loop.create_future()
        room.waiters[waiter] = until
        if until < room.rings_at:
            self._set_bell(loop, room, until)
        return room, waiter

    def _set_bell(self, loop: asyncio.AbstractEventLoop, room: _WaitingRoom, at: float) -> None:
        if room.bell is not None:
            room.bell.cancel()
        room.rings_at = at
        room.bell = loop.call_at(at, self._ring, loop, room)

    def _ring(self, loop: asyncio.AbstractEventLoop, room: _WaitingRoom) -> None:
        """Wake those whose time is over, and ring again for the next."""
        now = loop.time()
        with self._lock:
            over = [waiter for waiter, until in room.waiters.items() if until <= now]
            for waiter in over:
                del room.waiters[waiter]
            room.rings_at, room.bell = math.inf, None
            if room.waiters:
                self._set_bell(loop, room, min(room.waiters.values()))
        _wake(over)

    def _drop_oldest(self) -> None:
        frames, size = self._frames, self._size
        kept = min(len(frames), MAX_FRAMES - MAX_FRAMES // DROP_AT_ONCE)
        room = MAX_BYTES - MAX_BYTES // DROP_AT_ONCE
        first, last = 0, len(frames) - 1
        while first < last and (first < len(frames) - kept or size > room):
            size -= len(frames[first].wire)
            first += 1
        self._frames, self._size = frames[first:], size


def _number(frame: Frame) -> int:
    return frame.end.number


def _wake(waiters: Sequence[asyncio.Future[None]]) -> None:
    for waiter in waiters:
        if not waiter.done():
            waiter.set_result(None)
