"""Many threads that do something at the same moment, each with its own connection."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

from django.db import connections

__all__ = ["all_at_once"]

PATIENCE_SECONDS = 90.0
"""Far above what any of it takes: who is still there then waits for ever."""


def all_at_once(*acts: Callable[[], Any]) -> list[Any]:
    """Do all of these at once and return what each returned; fail if one raised or hangs."""
    gate = threading.Barrier(len(acts))
    results: list[Any] = [None] * len(acts)
    errors: list[BaseException] = []

    def run(index: int, act: Callable[[], Any]) -> None:
        try:
            gate.wait(PATIENCE_SECONDS)
            results[index] = act()
        except BaseException as error:  # noqa: BLE001  shown by the thread that asked
            errors.append(error)
        finally:
            connections.close_all()

    threads = [
        threading.Thread(target=run, args=[index, act], daemon=True)
        for index, act in enumerate(acts)
    ]
    _join(threads)
    assert errors == [], errors
    return results


def _join(threads: Sequence[threading.Thread]) -> None:
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_SECONDS)
    assert not any(thread.is_alive() for thread in threads), "deadlock"
