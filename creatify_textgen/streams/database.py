"""Runs the database work of pumps and readers in a small pool of threads.

A pump or a reader waits for minutes and uses its row for milliseconds. Invariant: together they
hold no more database connections than this pool has threads.
"""

from __future__ import annotations

import asyncio
import threading
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from django.db import Error as DatabaseFault
from django.db import close_old_connections

from creatify_textgen import clock, databases
from creatify_textgen.logs import STREAMS, warn_of
from creatify_textgen.models import Generation
from creatify_textgen.per_process import per_process
from creatify_textgen.privacy import without_variables
from creatify_textgen.states import Status

__all__ = ["load", "refuse_uncommitted", "run", "run_async", "run_patiently", "start"]

T = TypeVar("T")

THREADS = 8
"""Each holds at most one connection. A read takes milliseconds, so many readers share them."""
_here = threading.local()

# Without the request: its messages may be many megabytes, and no reader receives them.
_READ = (
    "id",
    "mode",
    "status",
    "remote_id",
    "credits_used",
    "error_code",
    "finish_reason",
    "model_version",
    "last_frame",
    "partial",
    "due_at",
    "polls",
    "created_at",
    "submitted_at",
    "finished_at",
    "content_removed_at",
    "content__response_text",
    "content__response_thoughts",
    "content__response_function_calls",
    "content__failed_reason",
    "content__usage",
    "content__citations",
)


def run(work: Callable[[], T]) -> T:
    """Run `work` in a thread that may use the database, and return what it returns.

    Inside a transaction it is this thread, because other threads do not see its rows.
    """
    return start(work).result()


def run_patiently(work: Callable[[], T], *, pauses: Sequence[float], key: uuid.UUID) -> T:
    """As `run`, and again after each of `pauses`, in seconds, while the database is unreachable."""

    def warn(error: BaseException) -> None:
        # Only the type: a database error may quote the answer.
        name = type(error).__name__
        text = "The stream %s waits for the database (%s)."
        warn_of(("stream waits", name), STREAMS, text, key, name)

    return databases.patiently(partial(run, work), pauses=pauses, waits=warn)


def start(work: Callable[[], T]) -> Future[T]:
    """As `run`, without waiting for it."""
    if not _is_elsewhere():
        done: Future[T] = Future()
        done.set_result(work())
        return done
    return _pool().submit(_with_connection, work)


async def run_async(work: Callable[[], T]) -> T:
    """As `run`, for a coroutine."""
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(_pool(), partial(_with_connection, work))


def load(generation_id: uuid.UUID) -> Generation:
    """Return the row with everything that a reader may receive; the request is not loaded.

    Raises: Generation.DoesNotExist.
    """
    clock.now()  # Readers use this time as `clock.known_now()`: they must not query it.
    rows = Generation.objects.select_related("content").only(*_READ)
    return rows.get(pk=generation_id)


def _is_elsewhere() -> bool:
    # Work in the pool may call `run` again. Waiting for another thread of a full pool would never
    # end, so it runs in the thread that it is in.
    is_pool = getattr(_here, "is_pool", False)
    return not (is_pool or databases.connection().in_atomic_block)


@without_variables
def _with_connection(work: Callable[[], T]) -> T:
    _here.is_pool = True
    # Django does this at the beginning and the end of each request, and this thread has none. So
    # CONN_MAX_AGE and CONN_HEALTH_CHECKS hold here, too.
    close_old_connections()
    try:
        return work()
    except DatabaseFault as error:
        if databases.is_outage(error):
            databases.drop_connection()
        raise
    finally:
        close_old_connections()


@per_process
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(THREADS, thread_name_prefix="textgen-rows")


def refuse_uncommitted(generation: Generation) -> None:
    """Raise inside the transaction of a test: no pump can see the row, and a reader would wait."""
    if not databases.connection().in_atomic_block:
        return
    if Generation.objects.filter(pk=generation.pk, status=Status.QUEUED).exists():
        raise RuntimeError(
            "This stream cannot begin, because the transaction of a TestCase is never committed. "
            "Use creatify_stub or StubMixin (docs/how-to/testing.md), or a TransactionTestCase."
        )
