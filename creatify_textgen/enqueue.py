"""Later, please: publishes a task after commit, by its registered name.

It does not import the tasks, which is how services and tasks avoid a cycle. Invariant: a broker
that is away is logged and never raised; the sweep finds the row.
"""

from __future__ import annotations

import logging
import threading
import uuid
from functools import lru_cache, partial
from typing import Any

from celery import current_app
from django.db import connections, transaction
from kombu import Connection
from kombu.pools import producers

from creatify_textgen.conf import conf

__all__ = ["SUBMIT", "STREAM", "SWEEP", "stream", "submit", "sweep"]

logger = logging.getLogger(__name__)

AT_ONCE = {"max_retries": 0, "socket_connect_timeout": 2, "socket_timeout": 2}
"""A request must not wait for a broker that is away; the last two are of Redis."""

SUBMIT = "creatify_textgen.submit"
STREAM = "creatify_textgen.stream"
SWEEP = "creatify_textgen.sweep"


def submit(generation_id: uuid.UUID) -> None:
    """Have a worker send this generation."""
    _after_commit(SUBMIT, [str(generation_id)], queue=conf.celery_queue)


def stream(generation_id: uuid.UUID) -> None:
    """Have this generation's stream pumped: in a thread with memory streams, else by a worker."""
    if conf.stream_backend.startswith("memory://"):
        transaction.on_commit(partial(_run_in_thread, STREAM, str(generation_id)))
    else:
        _after_commit(STREAM, [str(generation_id)], queue=conf.stream_queue)


def sweep(*, delay_seconds: float = 0) -> None:
    """Have a worker sweep once, so many seconds from now."""
    if current_app.conf.task_always_eager and delay_seconds > 0:
        return  # An eager sweep would arm the next one within itself, without end.
    _after_commit(SWEEP, [], queue=conf.celery_queue, countdown=delay_seconds or None)


def _after_commit(name: str, args: list[str], **options: Any) -> None:
    options = {key: value for key, value in options.items() if value is not None}
    transaction.on_commit(partial(_publish, name, args, options))


def _publish(name: str, args: list[str], options: dict[str, Any]) -> None:
    task = current_app.tasks[name]
    broker = _broker(str(current_app.conf.broker_write_url or current_app.conf.broker_url))
    try:
        with producers[broker].acquire(block=True) as producer:
            task.apply_async(
                args=tuple(args), producer=producer, retry=False, ignore_result=True, **options
            )
    except Exception as error:  # noqa: BLE001  each transport raises what its driver raises
        logger.warning("Could not enqueue %s (%s); a sweep will see to it.", name, type(error))


@lru_cache(maxsize=4)
def _broker(url: str) -> Connection:
    """Return a name for the pool of connections that give up at once, unless the host says else.

    Celery's own would try again for six seconds, and without end where Redis hangs.
    """
    connection = current_app.connection_for_write(url)
    connection.transport_options = {**AT_ONCE, **(connection.transport_options or {})}
    return connection


def _run_in_thread(name: str, generation_id: str) -> None:
    def run() -> None:
        try:
            current_app.tasks[name](generation_id)
        finally:
            connections.close_all()

    threading.Thread(target=run, name=f"textgen-pump-{generation_id}", daemon=True).start()
