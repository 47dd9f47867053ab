"""`memory://`: frames in this process, for development and for sites with one process.

Invariant: a stream without new frames is forgotten: after two minutes if it has ended, after an
hour if it has not ended, and after one minute if it has no frame and no reader.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

from creatify_textgen.streams.hub.buffer import Buffer
from creatify_textgen.streams.hub.frames import Frame

__all__ = ["MemoryHub"]

KEEP_SECONDS = 3600.0
"""How long a stream without an end is kept after its last frame."""
KEEP_ENDED_SECONDS = 120.0
"""How long an ended stream is kept; later readers read the row."""
KEEP_EMPTY_SECONDS = 60.0
"""How long a stream without any frame is kept after its last read: longer than a reader waits."""
FORGET_EVERY_SECONDS = 1.0
"""The least time between two searches for old streams, however many are added."""
MAX_ENDED = 1000
"""The most ended streams that are kept; the oldest is forgotten first."""


class MemoryHub:
    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._buffers: dict[str, Buffer] = {}
        self._forgot_at = clock()

    def publish(self, stream: str, frames: Sequence[Frame]) -> None:
        """Append the next frames of a stream and wake its readers; never waits for a reader."""
        buffer = self._buffer(stream)
        buffer.written_at = self._clock()
        buffer.add(frames)

    def read(self, stream: str, *, after: int, seconds: float) -> list[Frame]:
        """Return the frames after the number `after`, or an empty list after `seconds`."""
        buffer = self._read_buffer(stream, seconds)
        return buffer.wait(after, seconds=seconds) if buffer is not None else []

    async def read_async(self, stream: str, *, after: int, seconds: float) -> list[Frame]:
        """Return what `read` returns, without blocking the event loop."""
        buffer = self._read_buffer(stream, seconds)
        return await buffer.wait_async(after, seconds=seconds) if buffer is not None else []

    def mode(self) -> str:
        return "memory"

    def make_connection(self) -> None:
        """Do nothing: this backend has no connection."""

    def close(self) -> None:
        """Forget all streams and wake their waiting readers. May be called twice."""
        with self._lock:
            buffers, self._buffers = self._buffers, {}
        for buffer in buffers.values():
            buffer.close()

    def _read_buffer(self, stream: str, seconds: float) -> Buffer | None:
        """Return the stream's buffer; None if a reader that does not wait would create it.

        So a reader that attaches to a finished generation leaves nothing in memory.
        """
        if seconds <= 0 and stream not in self._buffers:
            return None
        buffer = self._buffer(stream)
        # Each read postpones the end of an empty buffer: the pump's first frames must go to the one
        # in which readers wait.
        if buffer.is_empty:
            buffer.written_at = self._clock()
        return buffer

    def _buffer(self, stream: str) -> Buffer:
        # No lock for the usual case: reading a dict is atomic, and `setdefault` decides a race.
        buffer = self._buffers.get(stream)
        return buffer if buffer is not None else self._new_buffer(stream)

    def _new_buffer(self, stream: str) -> Buffer:
        with self._lock:
            self._forget_old()
            buffer = self._buffers.setdefault(stream, Buffer())
            buffer.written_at = self._clock()
        return buffer

    def _forget_old(self) -> None:
        # Whenever a stream is added, so no timer is needed and an idle process does no work.
        now = self._clock()
        if now < self._forgot_at + FORGET_EVERY_SECONDS:
            return
        self._forgot_at = now
        # A dict keeps the order in which streams began, so the first ones are the oldest.
        ended = [stream for stream, buffer in self._buffers.items() if buffer.has_ended]
        old = [
            stream
            for stream, buffer in self._buffers.items()
            if now - buffer.written_at > _seconds_kept(buffer)
        ]
        for stream in {*old, *ended[: max(len(ended) - MAX_ENDED, 0)]}:
            del self._buffers[stream]


def _seconds_kept(buffer: Buffer) -> float:
    if buffer.is_empty:
        return KEEP_EMPTY_SECONDS
    return KEEP_ENDED_SECONDS if buffer.has_ended else KEEP_SECONDS
