"""Ctrl-C, held back while a piece is written: what was shown and what is told then agree."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self

__all__ = ["Interrupts"]


class Interrupts:
    """A context manager; inside it Ctrl-C raises KeyboardInterrupt, but not in `held_back`."""

    def __init__(self) -> None:
        self._is_held = False
        self._came = False
        self._earlier: Any = None

    def __enter__(self) -> Self:
        # Only the main thread may; elsewhere nobody presses Ctrl-C.
        if threading.current_thread() is threading.main_thread():
            self._earlier = signal.signal(signal.SIGINT, self._handle)
        return self

    def __exit__(self, *error: object) -> None:
        if self._earlier is not None:
            signal.signal(signal.SIGINT, self._earlier)

    @contextmanager
    def held_back(self) -> Iterator[None]:
        """Let the block end first. Raises: KeyboardInterrupt after it, where Ctrl-C came."""
        self._is_held = True
        try:
            yield
        finally:
            self._is_held = False
        if self._came:
            raise KeyboardInterrupt

    def _handle(self, *_: object) -> None:
        if not self._is_held:
            raise KeyboardInterrupt
        self._came = True
