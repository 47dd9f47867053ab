"""The HTTP server: HTTP/1.1 connections on one event loop.

Knows nothing of generations: an application says what to send, and the server sends it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from typing import cast

from .exchange import Answer, AnyAnswer, Application, Pieces, Request, Reset, Stream
from .framing import (
    LAST_CHUNK,
    ChunkedDecoder,
    FramingError,
    LengthDecoder,
    decoder_for,
    frame_chunk,
    parse_head,
    render_head,
)
from .player import Player, reset

__all__ = ["Server"]

HEAD_LIMIT = 64 * 1024
# What a client may send ahead, before the answer to its last request.
AHEAD_LIMIT = 1024 * 1024
# A benchmark opens hundreds of connections at once, and the default of asyncio is 100.
BACKLOG = 2048
ACCEPT_TURNS = 4
"""Turns of the loop after which a connection accepted just now has called `connection_made`."""

logger = logging.getLogger("creatify_textgen.emulator")


class Server:
    """Listens, and closes every connection when it stops."""

    def __init__(self, application: Application) -> None:
        self._application = application
        self._connections: set[Connection] = set()
        self._server: asyncio.Server | None = None

    async def start(self, *, host: str, port: int) -> int:
        """Listen and return the port."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: Connection(self._application, connections=self._connections),
            host,
            port,
            backlog=BACKLOG,
        )
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Stop listening and drop open connections; return once nothing runs any more."""
        await self._stop_listening()
        tasks = [connection.drop() for connection in list(self._connections)]
        await asyncio.gather(*(task for task in tasks if task), return_exceptions=True)

    async def _stop_listening(self) -> None:
        """Close the listening sockets once every accepted connection is known.

        asyncio would leave a connection open that it accepted in the turn of the close.
        """
        if self._server is None:
            return
        for listening in self._server.sockets:
            asyncio.get_running_loop().remove_reader(listening.fileno())
        for _ in range(ACCEPT_TURNS):
            await asyncio.sleep(0)
        self._server.close()


class Connection(asyncio.Protocol):
    """One connection: reads a request, sends its answer, then reads the next."""

    _transport: asyncio.Transport
    _request: Request

    def __init__(self, application: Application, *, connections: set[Connection]) -> None:
        self._application = application
        self._connections = connections
        self._buffer = bytearray()
        self._decoder: LengthDecoder | ChunkedDecoder | None = None
        self._task: asyncio.Task[None] | None = None
        self._player: Player | None = None
        self._reading: asyncio.TimerHandle | None = None
        self._writable = asyncio.Event()
        self._writable.set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._connections.add(self)

    def connection_lost(self, error: Exception | None) -> None:
        self._connections.discard(self)
        # A paused writer must wake up, or its task would wait for ever.
        self._writable.set()
        self._stop_answering()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def drop(self) -> asyncio.Task[None] | None:
        """Close at once; returns the task that was answering, if any."""
        task = self._task
        self._stop_answering()
        self._transport.abort()
        return task

    def data_received(self, data: bytes) -> None:
        # After a refusal the rest of the request still arrives, and must not be read as another.
        if self._transport.is_closing():
            return
        if self._decoder is not None:
            self._receive_body(data)
        else:
            self._buffer += data
            self._attempt(self._read_head)

    def _attempt(self, read: Callable[[], None]) -> None:
        """Read what was received, or refuse it."""
        try:
            read()
        except FramingError as error:
            self._refuse(400, text=str(error))
        except OverflowError:
            self._refuse(413, text="Request Entity Too Large")

    def _read_head(self) -> None:
        # One request at a time: the next head waits in the buffer until the answer is sent.
        if self._task is not None:
            if len(self._buffer) > AHEAD_LIMIT:
                self._transport.abort()
            return
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            if len(self._buffer) > HEAD_LIMIT:
                raise FramingError("head too long")
            return
        head = parse_head(bytes(self._buffer[:end]))
        following = bytes(self._buffer[end + 4 :])
        self._buffer.clear()
        self._decoder = decoder_for(head.headers)
        self._request = Request(head, self._application.open_body(head))
        # curl asks for it before a large body, and waits a second without this (RFC 9110, 10.1.1).
        if head.headers.get("expect", "").lower() == "100-continue":
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        self._receive_body(following)

    def _receive_body(self, block: bytes) -> None:
        rate = self._application.upload_rate(self._request.head)
        if not rate or not block:
            self._take_body(block)
            return
        # Nothing more is read meanwhile, so that the sender has to wait as on a slow uplink.
        self._transport.pause_reading()
        self._reading = asyncio.get_running_loop().call_later(
            len(block) / rate, self._take_late, block
        )

    def _take_late(self, block: bytes) -> None:
        self._transport.resume_reading()
        self._take_body(block)

    def _take_body(self, block: bytes) -> None:
        self._attempt(partial(self._decode_body, block))

    def _decode_body(self, block: bytes) -> None:
        following = block
        if self._decoder is not None:
            pieces, following = self._decoder.decode(block)
            for piece in pieces:
                self._request.body.feed(piece)
            if not self._decoder.complete:
                return
        self._decoder = None
        self._buffer += following
        # A task, because an answer may wait: for a delay, a sync generation, or a slow reader.
        self._task = asyncio.get_running_loop().create_task(self._answer(self._request))

    def _refuse(self, status: int, *, text: str) -> None:
        """Answer a request that cannot be read, and close."""
        self._write(Answer(status, text.encode(), "text/plain; charset=utf-8"), close=True)
        self._transport.close()

    def _stop_answering(self) -> None:
        if self._player is not None:
            self._player.stop()
        if self._reading is not None:
            self._reading.cancel()
        if self._task is not None:
            self._task.cancel()

    async def _answer(self, request: Request) -> None:
        try:
            answer = await self._application.answer(request)
        except Exception:
            # Only the log distinguishes a bug of the emulator from a 500 that was switched on.
            logger.exception("The emulator itself failed at %s", request.head.path)
            answer = Answer(500, b"Internal Server Error", "text/plain; charset=utf-8")
        open_still = await self._send(answer, close=not request.head.keep_alive)
        self._task = self._player = None
        if not open_still or not request.head.keep_alive:
            self._transport.close()
        elif self._buffer:
            # The next request has arrived already, so no event of the loop will announce it.
            self.data_received(b"")

    async def _send(self, answer: AnyAnswer, *, close: bool) -> bool:
        """Send an answer and return whether the connection may serve another."""
        if isinstance(answer, Answer):
            self._write(answer, close=close)
        elif isinstance(answer, Pieces):
            await self._write_pieces(answer, close=close)
        elif isinstance(answer, Stream):
            return await self._play(answer, close=close)
        elif isinstance(answer, Reset):
            reset(self._transport)
            return False
        return True

    def _write(self, answer: Answer, *, close: bool) -> None:
        head = render_head(
            answer.status,
            content_type=answer.content_type,
            headers={**self._application.date_header(), **answer.headers},
            length=len(answer.body),
            close=close,
        )
        self._transport.write(head + answer.body)

    async def _write_pieces(self, answer: Pieces, *, close: bool) -> None:
        self._transport.write(
            render_head(
                answer.status,
                content_type=answer.content_type,
                headers=self._application.date_header(),
                length=None,
                close=close,
            )
        )
        async for piece in answer.pieces:
            self._transport.write(frame_chunk(piece))
            # A list of some GB must not be in the buffer of a client that reads slowly.
            await self._writable.wait()
        self._transport.write(LAST_CHUNK)

    async def _play(self, stream: Stream, *, close: bool) -> bool:
        head = render_head(
            stream.status,
            content_type="text/event-stream; charset=utf-8",
            headers={
                **self._application.date_header(),
                # The headers of sse-starlette (contract, section 6.2).
                "Cache-Control": "no-store",
                "X-Accel-Buffering": "no",
            },
            length=None,
            close=close,
        )
        self._player = Player(stream, transport=self._transport)
        await self._player.play(head)
        # After any other end the body is unfinished, so nothing may follow on this connection.
        return stream.ending == "complete"
