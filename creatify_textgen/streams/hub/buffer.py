"""The frames of one stream in this process, and the readers that wait for more.

The writer is a thread. Readers are threads, or coroutines of any event loop; a new frame wakes
them, so nobody polls. Invariant: the size is limited, so a slow reader may miss the oldest frames.
"""

from __future__ import annotations

import asyncio
import math
import threading
import time
from bisect import bisect_right
from collections.abc import Sequence

from creatify_textgen.streams.hub.frames import END, Frame

__all__ = ["CLOSED_SECONDS", "MAX_BYTES", "MAX_FRAMES", "Buffer"]

MAX_FRAMES = 10_000
MAX_BYTES = 8 * 1024 * 1024
READ_AT_ONCE = 256
"""The most frames in one answer, so that a reader far behind receives them in several pieces."""
DROP_AT_ONCE = 16
"""A full buffer drops a sixteenth of itself, the oldest frames: one by one would be slow."""
CLOSED_SECONDS = 0.5
"""The longest wait in a closed buffer, which receives no more frames."""


class LoopWaiters:
    """The coroutines of one loop that wait for a stream's next frame, and one timer for all.

    A timer per coroutine would cost more than everything else that a reader does for a frame.
    """

    def __init__(self) -> None:
        self.waiters: dict[asyncio.Future[None], float] = {}
        """The time at which each stops waiting, by the loop's clock."""
        self.rings_at = math.inf
        self.timer: asyncio.TimerHandle | None = None

    def empty(self) -> tuple[asyncio.Future[None], ...]:
        """Remove and return all waiters; the timer stays for the next ones."""
        waiters = tuple(self.waiters)
        self.waiters.clear()
        return waiters


class Buffer:
    def __init__(self, *, is_loaded: bool = True) -> None:
        self.is_loaded = is_loaded
        """Whether all earlier frames are here, so that a frame that is not found does not exist."""
        self.has_ended = False
        self.written_at = 0.0
        """By the hub's clock."""
        self._frames: list[Frame] = []
        self._size = 0
        self._is_closed = False
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._sleepers = 0
        self._rooms: dict[asyncio.AbstractEventLoop, LoopWaiters] = {}

    @property
    def is_empty(self) -> bool:
        return not self._frames

    def add(self, frames: Sequence[Frame]) -> None:
        """Append frames and wake every waiting reader."""
        with self._changed:
            self._frames += frames
            for frame in frames:
                self._size += len(frame.wire)
            if frames and frames[-1].event == END:
                self.has_ended = True
            if len(self._frames) > MAX_FRAMES or self._size > MAX_BYTES:
                self._drop_oldest()
            # Under the lock, so that no reader looks before the append and waits after the wake-up.
            woken = [(loop, room.empty()) for loop, room in self._rooms.items() if room.waiters]
            if self._sleepers:
                self._changed.notify_all()
        for loop, waiters in woken:
            try:
                loop.call_soon_threadsafe(_wake, waiters)
            except RuntimeError:  # The loop has closed, so its readers are gone too.
                with self._lock:
                    self._rooms.pop(loop, None)

    def finish_loading(self) -> None:
        """Take note that all earlier frames are here; readers that waited for these return."""
        self.is_loaded = True
        self.add(())

    def close(self) -> None:
        """Wake every waiting reader; later reads wait at most `CLOSED_SECONDS`."""
        with self._changed:
            self._is_closed = True
        self.add(())

    def after(self, number: int) -> list[Frame]:
        """Return up to `READ_AT_ONCE` of the frames after this number, without waiting."""
        # A copy of the reference: `_drop_oldest` replaces the list and never shortens it.
        frames = self._frames
        if not frames or frames[-1].end.number <= number:
            return []
        if len(frames) > 1 and frames[-2].end.number <= number:
            return frames[-1:]  # Nearly every reader lacks only the last frame.
        first = bisect_right(frames, number, key=_number)
        return frames[first : first + READ_AT_ONCE]

    def wait(self, number: int, *, seconds: float, until_loaded: bool = False) -> list[Frame]:
        """Return the frames after this number, or an empty list after `seconds`.

        With `until_loaded` it waits only for frames that were written before this call.
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
        """Return what `wait` returns, without blocking the event loop."""
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
    ) -> tuple[LoopWaiters, asyncio.Future[None]]:
        room = self._rooms.get(loop)
        if room is None:
            room = self._rooms[loop] = LoopWaiters()
        waiter: asyncio.Future[None] = loop.create_future()
        room.waiters[waiter] = until
        if until < room.rings_at:
            self._set_timer(loop, room, until)
        return room, waiter

    def _set_timer(self, loop: asyncio.AbstractEventLoop, room: LoopWaiters, at: float) -> None:
        if room.timer is not None:
            room.timer.cancel()
        room.rings_at = at
        room.timer = loop.call_at(at, self._ring, loop, room)

    def _ring(self, loop: asyncio.AbstractEventLoop, room: LoopWaiters) -> None:
        now = loop.time()
        with self._lock:
            over = [waiter for waiter, until in room.waiters.items() if until <= now]
            for waiter in over:
                del room.waiters[waiter]
            room.rings_at, room.timer = math.inf, None
            if room.waiters:
                self._set_timer(loop, room, min(room.waiters.values()))
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
