"""Which run calls a function, for functions that must know for whom they work.

Invariant: known only during the call, and only there: each thread and task has its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from creatify_textgen.chat.runs import Run

__all__ = ["current_run", "during_call"]

# Also known in coroutines that a function awaits: asgiref copies the context into their thread.
_run: ContextVar[Run | None] = ContextVar("creatify_textgen_run", default=None)


def current_run() -> Run:
    """Return the run that calls the function in which this is used; its `owner` is who asked.

    Raises: RuntimeError if no run calls it, such as in a test that calls the function itself, and
    in a thread that the function starts.
    """
    run = _run.get()
    if run is None:
        raise RuntimeError("current_run() is for functions of a run, and no run calls this.")
    return run


@contextmanager
def during_call(run: Run) -> Iterator[None]:
    """Have `current_run` return this run."""
    token = _run.set(run)
    try:
        yield
    finally:
        _run.reset(token)
