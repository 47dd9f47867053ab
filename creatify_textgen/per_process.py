"""Makes an object once per process: thread pools, connections, registries.

A fork copies objects but not their threads, and a lock that another thread held stays locked. So
a child process drops the copies and makes its own. This works with `os.fork`, Celery's prefork
pool, gunicorn with `--preload` and uWSGI, because all of them run Python's hooks after a fork.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from functools import lru_cache, update_wrapper
from typing import Generic, ParamSpec, TypeVar

__all__ = ["per_process"]

P = ParamSpec("P")
T = TypeVar("T")

KEPT = 32
"""The most results kept, one for each set of arguments. A site has fewer accounts and addresses."""


class per_process(Generic[P, T]):  # noqa: N801  used as a decorator
    """Decorate a function that makes its result once per process and set of arguments.

    If two threads make the first call at once, both get the same result.
    """

    def __init__(self, make: Callable[P, T]) -> None:
        self._make = make
        update_wrapper(self, make)
        self.forget()
        os.register_at_fork(after_in_child=self.forget)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> T:
        # The lock is held while the result is made, because `lru_cache` alone may call `make` twice
        # if two threads miss at once. So a function that is decorated must not call itself.
        with self._lock:
            return self._made(*args, **kwargs)

    def forget(self) -> None:
        """Drop all results."""
        # A new lock: in a forked child, the old one may be held by a thread that does not exist.
        self._lock = threading.Lock()
        self._made: Callable[P, T] = lru_cache(maxsize=KEPT)(self._make)
