"""Database work of pumps and readers, in a few threads of its own.

A pump or a reader waits for minutes and touches its row for milliseconds. Invariant: hundreds
of them never hold more database connections than this pool has threads.
"""

from __future__ import annotations

import asyncio
import os
import threading
import uuid
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import lru_cache, partial
from typing import TypeVar

from django.db import close_old_connections, transaction

from creatify_textgen.models import Generation
from creatify_textgen.privacy import without_variables

__all__ = ["load", "run", "run_async", "start"]

T = TypeVar("T")

THREADS = 8
_here = threading.local()

_READ = (
    "id",
    "mode",
    "status",
    "remote_id",
    "credits_used",
    "error_code",
    "finish_reason",
    "model_version",
    "partial",
    "next_check_at",
    "checks",
    "created_at",
    "submitted_at",
    "finished_at",
    "content__response_text",
    "content__response_thoughts",
    "content__response_function_calls",
    "content__failed_reason",
    "content__usage",
    "content__citations",
)


def run(work: Callable[[], T]) -> T:
    """Return what `work` returns, from a thread that may use the database.

    Inside a transaction it is this thread, as no other would see the transaction's rows.
    """
    return start(work).result()


def start(work: Callable[[], T]) -> Future[T]:
    """As `run`, without waiting for it."""
    if not _is_elsewhere():
        done: Future[T] = Future()
        done.set_result(work())
        return done
    return _pool(os.getpid()).submit(_with_connection, work)


async def run_async(work: Callable[[], T]) -> T:
    """As `run`, for a coroutine."""
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(_pool(os.getpid()), partial(_with_connection, work))


def load(generation_id: uuid.UUID) -> Generation:
    """Return the row with all that a reader may be served from it, without what was asked.

    Raises: Generation.DoesNotExist.
    """
    rows = Generation.objects.select_related("content").only(*_READ)
    return rows.get(pk=generation_id)


def _is_elsewhere() -> bool:
    is_pool = getattr(_here, "is_pool", False)
    return not (is_pool or transaction.get_connection().in_atomic_block)


@without_variables
def _with_connection(work: Callable[[], T]) -> T:
    _here.is_pool = True
    close_old_connections()
    try:
        return work()
    finally:
        close_old_connections()


@lru_cache(maxsize=2)
def _pool(process_id: int) -> ThreadPoolExecutor:
    # By process: threads do not survive a fork.
    return ThreadPoolExecutor(THREADS, thread_name_prefix="textgen-rows")
