"""Delays Ctrl-C while a piece of text is printed, so that the printed position is right."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self

__all__ = ["Interrupts"]


class Interrupts:
    """A context manager in which Ctrl-C raises KeyboardInterrupt, except inside `held_back`."""

    def __init__(self) -> None:
        self._is_held = False
        self._was_pressed = False
        self._previous: Any = None

    def __enter__(self) -> Self:
        # Python allows this only in the main thread, and only that thread receives Ctrl-C.
        if threading.current_thread() is threading.main_thread():
            self._previous = signal.signal(signal.SIGINT, self._handle)
        return self

    def __exit__(self, *error: object) -> None:
        # `signal.signal` returns None for a handler that Python did not install, and
        # cannot restore that one.
        if self._previous is not None:
            signal.signal(signal.SIGINT, self._previous)

    @contextmanager
    def held_back(self) -> Iterator[None]:
        """Finish the block first. Raises: KeyboardInterrupt after it, if Ctrl-C was pressed."""
        self._is_held = True
        try:
            yield
        finally:
            # First: a Ctrl-C between this line and the question raises by itself.
            self._is_held = False
        if self._was_pressed:
            raise KeyboardInterrupt

    def _handle(self, *_: object) -> None:
        if not self._is_held:
            raise KeyboardInterrupt
        self._was_pressed = True
