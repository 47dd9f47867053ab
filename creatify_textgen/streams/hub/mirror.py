"""Copies frames from Redis into this process, for the streams that readers here watch.

One thread and one blocking connection serve all readers and streams, without pub/sub or polling.
Invariant: a stream that has ended is not copied any more. A stream that nobody has read for
`FORGET_SECONDS` is dropped; the next read copies it again from its beginning.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import redis

from creatify_textgen.logs import STREAMS, warn_of
from creatify_textgen.streams.hub.buffer import Buffer
from creatify_textgen.streams.hub.frames import Frame, Position
from creatify_textgen.streams.hub.writer import stream_key

__all__ = ["Mirror"]

BLOCK_SECONDS = 5.0
"""How long Redis holds a read without new entries; a new stream or `close` ends it earlier."""
FORGET_SECONDS = 40.0
"""Longer than a reader waits between two reads."""
ENTRIES_AT_ONCE = 500
"""The most entries of one stream in one answer."""
GATHER_SECONDS = 0.0002
GATHER_LIMIT_SECONDS = 0.01
"""The pause between two reads of Redis is `GATHER_SECONDS` per stream, and at most the limit.
So one answer brings the frames of several streams, and their readers are woken together."""
RETRY_SECONDS = 0.5
"""The pause after an error of Redis."""


@dataclass(slots=True)
class _Watch:
    buffer: Buffer = field(default_factory=partial(Buffer, is_loaded=False))
    last_id: bytes = b"0"
    read_at: float = 0.0


class Mirror:
    def __init__(self, client: redis.Redis, *, signal: Callable[[str], None]) -> None:
        self._client = client
        self._signal = signal
        # One key per process: an entry in it ends this process's blocking read and no other.
        self._control = f"creatify_textgen:wake:{secrets.token_hex(8)}"
        self._control_id = b"0"
        self._watches: dict[str, _Watch] = {}
        self._lock = threading.Lock()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="textgen-mirror", daemon=True)
        self._thread.start()

    def read(self, stream: str, *, after: int, seconds: float) -> list[Frame]:
        """Return what `RedisHub.read` returns."""
        until = time.monotonic() + seconds
        buffer = self._watch(stream).buffer
        if not buffer.is_loaded:
            # Even with `seconds=0`, frames that Redis has must be found: they take one round trip.
            limit = max(seconds, BLOCK_SECONDS)
            found = buffer.wait(after, seconds=limit, until_loaded=True)
            if found:
                return found
            # While Redis is unreachable nothing is loaded, and that wait was the whole time.
            seconds = max(until - time.monotonic(), 0)
        return buffer.wait(after, seconds=seconds)

    async def read_async(self, stream: str, *, after: int, seconds: float) -> list[Frame]:
        """Return what `read` returns, without blocking the event loop."""
        until = time.monotonic() + seconds
        buffer = self._watch(stream).buffer
        if not buffer.is_loaded:
            limit = max(seconds, BLOCK_SECONDS)
            found = await buffer.wait_async(after, seconds=limit, until_loaded=True)
            if found:
                return found
            seconds = max(until - time.monotonic(), 0)
        return await buffer.wait_async(after, seconds=seconds)

    def close(self) -> None:
        self._closed = True
        self._signal(self._control)
        self._thread.join(timeout=BLOCK_SECONDS)
        with self._lock:
            for watch in self._watches.values():
                watch.buffer.close()

    def _watch(self, stream: str) -> _Watch:
        with self._lock:
            watch = self._watches.get(stream)
            is_new = watch is None
            if watch is None:
                watch = self._watches[stream] = _Watch()
                if self._closed:
                    watch.buffer.close()
            watch.read_at = time.monotonic()
        if is_new:
            # The blocking read began without this stream; an entry in the control key ends it.
            self._signal(self._control)
        return watch

    def _run(self) -> None:
        while not self._closed:
            try:
                watches = self._current()
                self._take_in(self._ask(watches), watches)
            except (redis.RedisError, OSError) as error:
                warn_of(
                    ("redis", "read", type(error)),
                    STREAMS,
                    "Redis did not answer (%s); readers of streams wait until it does.",
                    type(error).__name__,
                )
                self._pause()
            except Exception:  # A bug in one answer must not end this thread, and so all streams.
                STREAMS.exception("An unexpected error: some frames were not read from Redis.")
                self._pause()
            else:
                time.sleep(min(GATHER_SECONDS * len(watches), GATHER_LIMIT_SECONDS))

    def _pause(self) -> None:
        # After a failover the address leads to the new master, but only on a new connection.
        self._client.connection_pool.disconnect()
        time.sleep(RETRY_SECONDS)

    def _current(self) -> dict[bytes, _Watch]:
        oldest = time.monotonic() - FORGET_SECONDS
        with self._lock:
            for stream in [s for s, watch in self._watches.items() if watch.read_at < oldest]:
                del self._watches[stream]
            return {
                stream_key(stream).encode(): watch
                for stream, watch in self._watches.items()
                if not watch.buffer.has_ended
            }

    def _ask(self, watches: dict[bytes, _Watch]) -> list[Any]:
        ids = [watch.last_id for watch in watches.values()]
        # A stream that is not loaded may have no entries. Its readers wait for that answer, so
        # this read must not block.
        is_known = all(watch.buffer.is_loaded for watch in watches.values())
        block = ("BLOCK", int(BLOCK_SECONDS * 1000)) if is_known else ()
        keys = (self._control, *watches)
        answer = self._client.execute_command(  # type: ignore[no-untyped-call]
            "XREAD", "COUNT", ENTRIES_AT_ONCE, *block, "STREAMS", *keys, self._control_id, *ids
        )
        return answer or []

    def _take_in(self, answer: list[Any], watches: dict[bytes, _Watch]) -> None:
        unfinished: set[bytes] = set()
        for key, entries in answer:
            watch = watches.get(key)
            if watch is None:
                self._control_id = entries[-1][0]
                continue
            # Before the entries are parsed: one that cannot be parsed must not come back each time.
            watch.last_id = entries[-1][0]
            watch.buffer.add([_frame(fields) for _, fields in entries])
            if len(entries) >= ENTRIES_AT_ONCE and not watch.buffer.has_ended:
                unfinished.add(key)
        for key, watch in watches.items():
            if not watch.buffer.is_loaded and key not in unfinished:
                watch.buffer.finish_loading()


def _frame(fields: dict[bytes, bytes]) -> Frame:
    event, start, end = fields[b"h"].decode().split("|")
    return Frame(Position.parse(start), Position.parse(end), event, fields[b"w"])
