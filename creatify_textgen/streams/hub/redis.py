"""`redis://`: frames in Redis Streams, so that a worker writes them and any web node reads them.

`StreamWriter` writes and `Mirror` reads. Invariant: no caller waits for Redis while it publishes.
"""

from __future__ import annotations

from collections.abc import Sequence
from threading import Lock
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.connection import parse_url
from redis.retry import Retry

from creatify_textgen.streams.hub.frames import Frame
from creatify_textgen.streams.hub.mirror import BLOCK_SECONDS, Mirror
from creatify_textgen.streams.hub.writer import StreamWriter

__all__ = ["RedisHub"]

MODE_SECONDS = 5.0
"""How long a check may wait for Redis."""

OPTIONS: dict[str, Any] = {
    "protocol": 2,
    "decode_responses": False,
    "encoding": "utf-8",
    "encoding_errors": "strict",
    # The writer must know which frames were sent twice, so the client must not repeat commands.
    "retry": Retry(NoBackoff(), 0),
    "retry_on_timeout": False,
    "retry_on_error": [],
}
"""The threads need these options, so they replace those in the address."""


class RedisHub:
    """Two threads and two connections per process, each started when it is first needed."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._starting = Lock()
        self._writer: StreamWriter | None = None
        self._mirror: Mirror | None = None

    def publish(self, stream: str, frames: Sequence[Frame]) -> None:
        """Queue the next frames of a stream; a thread writes them. Never waits for Redis."""
        (self._writer or self._start_writer()).put(stream, frames)

    def read(self, stream: str, *, after: int, seconds: float) -> list[Frame]:
        """Return the frames after the number `after`, or an empty list after `seconds`.

        The first read of a stream may take one round trip longer.
        """
        mirror = self._mirror or self._start_mirror()
        return mirror.read(stream, after=after, seconds=seconds)

    async def read_async(self, stream: str, *, after: int, seconds: float) -> list[Frame]:
        """Return what `read` returns, without blocking the event loop."""
        mirror = self._mirror or self._start_mirror()
        return await mirror.read_async(stream, after=after, seconds=seconds)

    def mode(self) -> str:
        """Ask Redis what it is: `standalone`, `cluster` or `sentinel`.

        Raises: redis.RedisError if it does not answer.
        """
        with self._client(timeout=MODE_SECONDS) as client:
            facts: dict[str, Any] = client.info("server")
        return str(facts.get("redis_mode", "standalone"))

    def make_connection(self) -> None:
        """Make a connection without opening it. Only then redis-py checks each option.

        Raises: ValueError, TypeError or redis.RedisError for a wrong one.
        """
        with self._client(timeout=MODE_SECONDS) as client:
            client.connection_pool.make_connection()

    def close(self) -> None:
        """Stop the threads, after they have tried once to write the queued frames."""
        # The mirror first: it ends its blocking read by an entry that the writer adds.
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
        # Before the lock, which cannot be taken twice.
        writer = self._writer or self._start_writer()
        with self._starting:
            if self._mirror is None:
                # Longer than Redis holds a read: a stream without frames is not an outage.
                client = self._client(timeout=2 * BLOCK_SECONDS)
                self._mirror = Mirror(client, signal=writer.signal)
            return self._mirror

    def _client(self, *, timeout: float) -> redis.Redis:
        # The driver's default is to wait without limit if Redis stops answering.
        address = {"socket_connect_timeout": 5, **parse_url(self._url)}  # type: ignore[no-untyped-call]
        pool = redis.ConnectionPool(**{**address, **OPTIONS, "socket_timeout": timeout})
        return redis.Redis.from_pool(pool)
