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
"""The most frames, and the most bytes, that are kept of one stream: far more than most answers."""
READ_AT_ONCE = 256
"""The most frames in one answer, so that a reader far behind receives them in several pieces."""
DROP_AT_ONCE = 16
"""A full buffer drops the oldest sixteenth of its frames: one by one would be slow."""
CLOSED_SECONDS = 0.5
"""The longest wait in a closed buffer, which receives no more frames."""


class LoopWaiters:
    """The coroutines of one loop that wait for a stream's next frame, and one timer for all.

    A timer per coroutine would cost more than everything else that a reader does for a frame.
    """

    def __init__(self) -> None:
        self.waiters: dict[asyncio.Future[None], float] = {}
        """The time at which each stops waiting, by the loop's clock."""
        self.fires_at = math.inf
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
        self._loops: dict[asyncio.AbstractEventLoop, LoopWaiters] = {}

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
            # Readers who need a dropped frame see a gap in the numbers, and read the row.
            if len(self._frames) > MAX_FRAMES or self._size > MAX_BYTES:
                self._drop_oldest()
            # Under the lock, so that no reader looks before the append and waits after the wake-up.
            woken = [
                (loop, waiting.empty()) for loop, waiting in self._loops.items() if waiting.waiters
            ]
            if self._sleepers:
                self._changed.notify_all()
        # Outside the lock: this call writes to a pipe of each loop.
        for loop, waiters in woken:
            try:
                loop.call_soon_threadsafe(_wake, waiters)
            except RuntimeError:  # The loop has closed, so its readers are gone too.
                with self._lock:
                    self._loops.pop(loop, None)

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
            # A reader that finds the buffer closed still waits a little: one that calls again at
            # once would otherwise do so without a pause.
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
                waiting, waiter = self._enter(loop, until)
            # Nothing is missed between the lock and this line: `add` has the waiter already, and a
            # future that is done is awaited without a pause.
            try:
                await waiter
            except asyncio.CancelledError:
                with self._lock:
                    waiting.waiters.pop(waiter, None)
                raise
            if loop.time() >= until:
                return self.after(number)

    def _is_in_vain(self, *, was_closed: bool, until_loaded: bool) -> bool:
        return (self._is_closed and not was_closed) or (until_loaded and self.is_loaded)

    def _enter(
        self, loop: asyncio.AbstractEventLoop, until: float
    ) -> tuple[LoopWaiters, asyncio.Future[None]]:
        waiting = self._loops.get(loop)
        if waiting is None:
            waiting = self._loops[loop] = LoopWaiters()
        waiter: asyncio.Future[None] = loop.create_future()
        waiting.waiters[waiter] = until
        if until < waiting.fires_at:
            self._set_timer(loop, waiting, until)
        return waiting, waiter

    def _set_timer(self, loop: asyncio.AbstractEventLoop, waiting: LoopWaiters, at: float) -> None:
        if waiting.timer is not None:
            waiting.timer.cancel()
        waiting.fires_at = at
        waiting.timer = loop.call_at(at, self._fire, loop, waiting)

    def _fire(self, loop: asyncio.AbstractEventLoop, waiting: LoopWaiters) -> None:
        # The timer may be older than its waiters, who were woken by frames and wait again: then
        # nobody is over, and it is set for the first of them.
        now = loop.time()
        with self._lock:
            over = [waiter for waiter, until in waiting.waiters.items() if until <= now]
            for waiter in over:
                del waiting.waiters[waiter]
            waiting.fires_at, waiting.timer = math.inf, None
            if waiting.waiters:
                self._set_timer(loop, waiting, min(waiting.waiters.values()))
        _wake(over)

    def _drop_oldest(self) -> None:
        frames, size = self._frames, self._size
        kept = min(len(frames), MAX_FRAMES - MAX_FRAMES // DROP_AT_ONCE)
        size_kept = MAX_BYTES - MAX_BYTES // DROP_AT_ONCE
        first, last = 0, len(frames) - 1
        while first < last and (first < len(frames) - kept or size > size_kept):
            size -= len(frames[first].wire)
            first += 1
        self._frames, self._size = frames[first:], size


def _number(frame: Frame) -> int:
    return frame.end.number


def _wake(waiters: Sequence[asyncio.Future[None]]) -> None:
    for waiter in waiters:
        if not waiter.done():
            waiter.set_result(None)
