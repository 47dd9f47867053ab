"""`redis://`: frames in Redis Streams, so that any process writes and any web node reads."""

from __future__ import annotations

from collections.abc import Sequence
from threading import Lock
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.connection import parse_url
from redis.retry import Retry

from creatify_textgen.hub.frames import Frame
from creatify_textgen.hub.mirror import BLOCK_SECONDS, Mirror
from creatify_textgen.hub.writer import StreamWriter

__all__ = ["RedisHub"]

OPTIONS: dict[str, Any] = {
    "protocol": 2,
    "decode_responses": False,
    "encoding": "utf-8",
    "encoding_errors": "strict",
    # A frame that was sent twice must be known to be, so the client repeats nothing by itself.
    "retry": Retry(NoBackoff(), 0),
    "retry_on_timeout": False,
    "retry_on_error": [],
}
"""What the threads rely on, whatever the address says."""


class RedisHub:
    """Two threads and two connections a process, each started when it is first needed."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._starting = Lock()
        self._writer: StreamWriter | None = None
        self._mirror: Mirror | None = None

    def publish(self, stream: str, frames: Sequence[Frame]) -> None:
        """Hand on the next frames of a stream; never waits for Redis or a reader."""
        (self._writer or self._start_writer()).put(stream, frames)

    def read(self, stream: str, *, after: int, seconds: float) -> list[Frame]:
        """Return frames behind the number `after`, or none after so many seconds."""
        mirror = self._mirror or self._start_mirror()
        return mirror.read(stream, after=after, seconds=seconds)

    async def read_async(self, stream: str, *, after: int, seconds: float) -> list[Frame]:
        """As `read`, for a coroutine."""
        mirror = self._mirror or self._start_mirror()
        return await mirror.read_async(stream, after=after, seconds=seconds)

    def close(self) -> None:
        """Stop the threads; frames handed on before are still written."""
        if self._mirror is not None:
            self._mirror.close()
        if self._writer is not None:
            self._writer.close()

    def _start_writer(self) -> StreamWriter:
        with self._starting:
            if self._writer is None:
                self._writer = StreamWriter(self._client(timeout=5.0))
            return self._writer

    def _start_mirror(self) -> Mirror:
        writer = self._writer or self._start_writer()
        with self._starting:
            if self._mirror is None:
                client = self._client(timeout=2 * BLOCK_SECONDS)
                self._mirror = Mirror(client, signal=writer.signal)
            return self._mirror

    def _client(self, *, timeout: float) -> redis.Redis:
        address = {"socket_connect_timeout": 5, **parse_url(self._url)}  # type: ignore[no-untyped-call]
        pool = redis.ConnectionPool(**{**address, **OPTIONS, "socket_timeout": timeout})
        return redis.Redis.from_pool(pool)
