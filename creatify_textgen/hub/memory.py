"""`memory://`: frames in this process, for development and for sites of one process.

Invariant: what nobody writes to any more is forgotten after a while.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

from creatify_textgen.hub.buffer import Buffer
from creatify_textgen.hub.frames import Frame

__all__ = ["MemoryHub"]

KEEP_SECONDS = 3600.0
"""How long a stream without an end is kept after its last frame."""
KEEP_ENDED_SECONDS = 120.0
"""How long an ended one is kept; later readers are served from the row."""
MAX_ENDED = 1000


class MemoryHub:
    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._buffers: dict[str, Buffer] = {}

    def publish(self, stream: str, frames: Sequence[Frame]) -> None:
        """Hand on the next frames of a stream; never waits for a reader."""
        buffer = self._buffer(stream)
        buffer.written_at = self._clock()
        buffer.add(frames)

    def read(self, stream: str, *, after: int, seconds: float) -> list[Frame]:
        """Return frames behind the number `after`, or none after so many seconds."""
        return self._buffer(stream).wait(after, seconds=seconds)

    async def read_async(self, stream: str, *, after: int, seconds: float) -> list[Frame]:
        """As `read`, for a coroutine."""
        return await self._buffer(stream).wait_async(after, seconds=seconds)

    def close(self) -> None:
        """Forget everything and wake whoever waits for it."""
        with self._lock:
            buffers, self._buffers = self._buffers, {}
        for buffer in buffers.values():
            buffer.close()

    def _buffer(self, stream: str) -> Buffer:
        buffer = self._buffers.get(stream)
        return buffer if buffer is not None else self._new_buffer(stream)

    def _new_buffer(self, stream: str) -> Buffer:
        with self._lock:
            self._forget_old()
            buffer = self._buffers.setdefault(stream, Buffer())
            buffer.written_at = self._clock()
        return buffer

    def _forget_old(self) -> None:
        now = self._clock()
        ended = [stream for stream, buffer in self._buffers.items() if buffer.has_ended]
        old = [
            stream
            for stream, buffer in self._buffers.items()
            if now - buffer.written_at > (KEEP_ENDED_SECONDS if buffer.has_ended else KEEP_SECONDS)
        ]
        for stream in {*old, *ended[: max(len(ended) - MAX_ENDED, 0)]}:
            del self._buffers[stream]
