"""Frames for readers: written by the pump, read from any place, in memory or in Redis.

The hub knows frames, not generations: no rows, no chunks. Invariant: writing never waits for a
reader, and a reader costs a writer nothing.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from functools import lru_cache
from typing import Protocol

from django.core.exceptions import ImproperlyConfigured

from creatify_textgen.conf import conf
from creatify_textgen.hub.frames import (
    CHUNK,
    END,
    ERROR,
    START,
    Frame,
    Position,
    chunk_frame,
    word_frame,
)
from creatify_textgen.hub.memory import MemoryHub
from creatify_textgen.hub.redis import RedisHub

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
    "word_frame",
]

_REDIS_SCHEMES = ("redis", "rediss", "unix")


class Hub(Protocol):
    """What every backend offers."""

    def publish(self, stream: str, frames: Sequence[Frame]) -> None: ...
    def read(self, stream: str, *, after: int, seconds: float) -> list[Frame]: ...
    async def read_async(self, stream: str, *, after: int, seconds: float) -> list[Frame]: ...
    def close(self) -> None: ...


def get_hub() -> Hub:
    """Return this process's hub for `STREAM_BACKEND`.

    Raises: ImproperlyConfigured for an address that is neither memory:// nor Redis.
    """
    url = conf.stream_backend
    # Two first callers at once would get a hub each, and readers of one miss the other's frames.
    with _making:
        return _hub(url)


@lru_cache(maxsize=8)
def _hub(url: str) -> Hub:
    scheme = url.partition("://")[0]
    if scheme == "memory":
        return MemoryHub()
    if scheme in _REDIS_SCHEMES:
        return RedisHub(url)
    raise ImproperlyConfigured("STREAM_BACKEND must be memory:// or a redis:// address.")


def _start_anew() -> None:
    """Forget what a fork has copied: threads do not survive it, and who held the lock is gone."""
    global _making
    _making = threading.Lock()
    _hub.cache_clear()


_making = threading.Lock()
os.register_at_fork(after_in_child=_start_anew)
