"""The site's cache, for what may be forgotten at any time.

Invariant: if the cache does not answer, its values are missing and no request fails. Errors of the
database are raised: a cache in it may have broken the transaction that its caller is in.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from django.core.cache import cache
from django.db import Error as DatabaseFault

from creatify_textgen.logs import REQUESTS, warn_of

__all__ = ["count", "recall", "remember"]


def recall(key: str) -> Any:
    """Return what was remembered, or None."""
    return _unless_broken(lambda: cache.get(key))


def remember(key: str, value: object, *, seconds: float) -> None:
    _unless_broken(lambda: cache.set(key, value, seconds))


def count(key: str, *, seconds: float) -> None:
    """Add one to a number, which is forgotten `seconds` after the last time."""

    def add() -> None:
        cache.add(key, 0, seconds)
        # The key is gone again: a full cache has dropped it, or a DummyCache keeps nothing.
        with suppress(ValueError):
            cache.incr(key)
        # Caches in files and in the database set the default timeout when they add.
        cache.touch(key, seconds)

    _unless_broken(add)


def _unless_broken(use: Callable[[], Any]) -> Any:
    try:
        return use()
    except DatabaseFault:
        raise
    except Exception as error:  # noqa: BLE001  each cache has its own errors
        # Its class alone, because its text may have the address of the cache with the password.
        name = type(error).__name__
        warn_of(("cache", name), REQUESTS, "The site's cache does not answer (%s).", name)
        return None
