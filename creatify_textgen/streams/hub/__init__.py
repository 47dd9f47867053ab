"""Keeps the frames of running streams: the pump writes them, readers in any process read them.

The hub knows frames, not generations: no rows, no chunks. `Hub` explains what can go wrong and
why no reader loses text. Invariant: a writer never waits for a reader or for Redis.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Protocol, cast

from django.core.exceptions import ImproperlyConfigured

from creatify_textgen.conf import conf
from creatify_textgen.per_process import per_process
from creatify_textgen.streams.hub.frames import (
    CHUNK,
    END,
    ERROR,
    START,
    Frame,
    Position,
    chunk_frame,
    word_frame,
)
from creatify_textgen.streams.hub.memory import MemoryHub

__all__ = [
    "CHUNK",
    "END",
    "ERROR",
    "START",
    "Frame",
    "Hub",
    "Position",
    "chunk_frame",
    "get_hub",
    "try_address",
    "word_frame",
]

_REDIS_SCHEMES = ("redis", "rediss", "unix")


class Hub(Protocol):
    """What every backend offers, and why no reader loses text.

    1. The pump numbers the frames of a stream 1, 2, 3 … and calls `publish`, which never waits.
       One pump at a time has the lease of a stream, so a stream has one writer.
    2. A reader calls `read(after=17)` and receives frames from 18 on. If there are none, it waits,
       and receives an empty list after `seconds`. The hub keeps nothing about a reader, so a
       reader can continue at any process that has the same backend.
    3. Frames may be missing: the buffer is full, Redis was restarted, this process was restarted.
       Then the first frame that a reader receives has a number above `after + 1`. The reader sees
       the gap and takes the missing text from the row: the position in each frame says how many
       characters came before it.
    4. The pump saves the row before it publishes the end frame. A reader that has the end can
       read the whole answer from the row. If the pump dies, no end frame comes: the reader finds
       the result in the row, and the hub forgets the stream after an hour.

    So a backend must keep the order of frames, and need not keep every frame.
    """

    # `stream` is the id of a generation as text; `after` is the number of a frame, or 0.
    def publish(self, stream: str, frames: Sequence[Frame]) -> None: ...
    def read(self, stream: str, *, after: int, seconds: float) -> list[Frame]: ...
    async def read_async(self, stream: str, *, after: int, seconds: float) -> list[Frame]: ...
    def mode(self) -> str: ...
    def make_connection(self) -> None: ...
    def close(self) -> None: ...


def get_hub() -> Hub:
    """Return this process's hub for `STREAM_BACKEND`.

    Raises: ImproperlyConfigured for an address that is neither memory:// nor Redis.
    """
    return _hub(conf.stream_backend)


def try_address() -> None:
    """Make a connection to the Redis of `STREAM_BACKEND`, if it is one, without connecting.

    Raises: ValueError, TypeError or redis.RedisError for an option that the driver does not take.
    """
    get_hub().make_connection()


# By address, so that a changed setting gets another hub. The old one stays, for its readers.
@per_process
def _hub(url: str) -> Hub:
    scheme = url.partition("://")[0]
    if scheme == "memory":
        return MemoryHub()
    if scheme in _REDIS_SCHEMES:
        # Importing redis-py takes as long as the rest of this app, and other sites do not need it.
        return cast("Hub", import_module("creatify_textgen.streams.hub.redis").RedisHub(url))
    raise ImproperlyConfigured("STREAM_BACKEND must be memory:// or a redis:// address.")
