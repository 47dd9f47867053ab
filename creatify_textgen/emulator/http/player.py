"""Sends the events of streams on time: one timer and one write per chunk, no task.

Knows bytes and times, not what they mean.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable

from .exchange import Stream
from .framing import LAST_CHUNK, frame_chunk

__all__ = ["Player", "reset"]


class Player:
    """Sends the events of one stream, each at its time."""

    def __init__(self, stream: Stream, *, transport: asyncio.Transport) -> None:
        self._stream = stream
        self._transport = transport
        self._events = [frame_chunk(event) for event in stream.events]
        self._loop = asyncio.get_running_loop()
        self._ended: asyncio.Future[None] = self._loop.create_future()
        self._position = 0
        self._reported = False
        self._due = self._loop.time()
        self._timer: asyncio.TimerHandle | None = None
        self._ping_timer: asyncio.TimerHandle | None = None

    async def play(self, head: bytes) -> None:
        """Send everything; returns at the end of the stream."""
        self._transport.write(head)
        # Pings have a timer and do not wait for events: a silent stream sends them, too.
        if self._stream.ping is not None:
            self._ping_timer = self._loop.call_later(self._stream.ping_seconds, self._ping)
        self._tick()
        await self._ended

    def stop(self) -> None:
        """Stop sending: the client has left."""
        self._close()
        self._report(everything=False)

    def _tick(self) -> None:
        last = self._position >= len(self._events) - 1
        if last:
            # Before the write: a client that has the last chunk must find the generation finished.
            self._report(everything=True)
        if self._position < len(self._events):
            self._transport.write(self._events[self._position])
            self._position += 1
        if last:
            self._end()
            return
        # From the last due time and not from now: the delays of a busy loop do not add up.
        self._due += self._stream.interval
        self._timer = self._loop.call_at(self._due, self._tick)

    def _ping(self) -> None:
        if self._stream.ping is not None:
            self._transport.write(frame_chunk(self._stream.ping()))
            self._ping_timer = self._loop.call_later(self._stream.ping_seconds, self._ping)

    def _end(self) -> None:
        # A stream that hangs ends when its reader leaves: `stop` is called then.
        if self._stream.ending != "hang":
            ENDINGS[self._stream.ending](self._transport)
            self._close()

    def _report(self, *, everything: bool) -> None:
        # Once: a reader that leaves after the last event also calls `stop`.
        if not self._reported:
            self._reported = True
            self._stream.on_end(everything=everything)

    def _close(self) -> None:
        for timer in (self._timer, self._ping_timer):
            if timer is not None:
                timer.cancel()
        if not self._ended.done():
            self._ended.set_result(None)


def complete(transport: asyncio.Transport) -> None:
    transport.write(LAST_CHUNK)


def reset(transport: asyncio.Transport) -> None:
    """Make the peer see a reset: with no linger, closing sends RST and not FIN."""
    connection = transport.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


ENDINGS: dict[str, Callable[[asyncio.Transport], None]] = {
    "complete": complete,
    "close": lambda transport: transport.close(),
    "reset": reset,
}
