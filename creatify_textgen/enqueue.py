"""Publishes a Celery task by its registered name, after the transaction has committed.

It does not import the tasks, so services and tasks have no import cycle. Invariant: an
unreachable broker is logged and never raises; a later sweep finds the row.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any

from celery import current_app
from django.db import connections, transaction
from kombu import Connection
from kombu.pools import producers

from creatify_textgen import databases
from creatify_textgen.conf import conf
from creatify_textgen.logs import SENDING, warn_of

__all__ = [
    "BULK",
    "RUN",
    "STREAM",
    "SUBMIT",
    "SWEEP",
    "bulk",
    "ping_broker",
    "run",
    "stream",
    "submit",
    "sweep",
]

AT_ONCE = {"max_retries": 0, "socket_connect_timeout": 2, "socket_timeout": 2}
"""A web request must not wait for an unreachable broker. The last two options are Redis's."""

SUBMIT = "creatify_textgen.submit"
STREAM = "creatify_textgen.stream"
SWEEP = "creatify_textgen.sweep"
RUN = "creatify_textgen.run"
BULK = "creatify_textgen.bulk"


def submit(generation_id: uuid.UUID) -> None:
    """Ask a worker to send this generation. May be called twice: the task sends it once."""
    _after_commit(SUBMIT, [str(generation_id)], queue=conf.celery_queue)


def stream(generation_id: uuid.UUID) -> None:
    """Start the pump of this generation: in a thread for `memory://`, else in a worker.

    May be called twice: a lease lets only one pump run.
    """
    # Frames in memory are seen only by readers in this process, so its thread must pump.
    if conf.stream_backend.startswith("memory://"):
        _on_commit(partial(_run_in_thread, STREAM, str(generation_id)))
    else:
        _after_commit(STREAM, [str(generation_id)], queue=conf.stream_queue)


def run(run_id: uuid.UUID, *, is_streamed: bool = False, delay_seconds: float = 0) -> None:
    """Ask a worker to go on with this run, after `delay_seconds`.

    If this is longer than `POLL_MAX_INTERVAL`, nothing is published: a sweep finds the run. May be
    called twice: a claim lets one work on it.
    """
    # A streamed run is as long as its streams, which are in that queue.
    queue = conf.stream_queue if is_streamed else conf.celery_queue
    _after_commit(RUN, [str(run_id)], queue=queue, delay_seconds=delay_seconds)


def bulk(job_id: uuid.UUID, *, delay_seconds: float = 0) -> None:
    """Ask a worker to go on with this job, after `delay_seconds`; otherwise as `run`."""
    _after_commit(BULK, [str(job_id)], queue=conf.celery_queue, delay_seconds=delay_seconds)


def sweep(*, delay_seconds: float = 0) -> None:
    """Ask a worker to sweep once, after `delay_seconds`."""
    _after_commit(SWEEP, [], queue=conf.celery_queue, delay_seconds=delay_seconds)


def ping_broker() -> str:
    """Connect to the broker and return its kind, such as `redis`. Waits at most two seconds.

    Returns "" if the project has no Celery app, and so no broker.
    Raises: the exceptions of the transport's driver.
    """
    if current_app.main == "default":
        return ""
    with _connection(_write_url()) as connection:
        connection.ensure_connection(max_retries=1, interval_start=0, timeout=2)
        return str(connection.transport.driver_type)


def _write_url() -> str:
    return str(current_app.conf.broker_write_url or current_app.conf.broker_url)


def _after_commit(
    name: str, args: list[str], *, queue: str | None, delay_seconds: float = 0
) -> None:
    # Redis delivers a message again after its visibility timeout, and RabbitMQ closes the channel
    # of a worker that holds one for 30 minutes. So what waits for longer is found by a sweep. A
    # second more, because rounding may add to the delay of a sweep.
    if delay_seconds > conf.poll_max_interval + 1:
        return
    if delay_seconds > 0 and current_app.conf.task_always_eager:
        return  # An eager task ignores the delay: each sweep would run the next one inside itself.
    # None is left out: it would replace a `queue` that the host sets by `task_annotations`.
    wanted = {"queue": queue, "countdown": delay_seconds or None}
    options = {key: value for key, value in wanted.items() if value is not None}
    # Before the commit a worker would not find the row; after a rollback there is none.
    _on_commit(partial(_publish, name, args, options))


def _on_commit(call: Callable[[], None]) -> None:
    transaction.on_commit(call, using=databases.alias())


def _publish(name: str, args: list[str], options: dict[str, Any]) -> None:
    task = current_app.tasks[name]
    broker = _broker(_write_url())
    try:
        with producers[broker].acquire(block=True) as producer:
            task.apply_async(
                args=tuple(args), producer=producer, retry=False, ignore_result=True, **options
            )
    except Exception as error:  # noqa: BLE001  each transport raises its driver's exceptions
        warn_of(
            ("broker", name, type(error)),
            SENDING,
            "Could not enqueue %s (%s); a later sweep processes what is due.",
            name,
            type(error).__name__,
        )


@lru_cache(maxsize=4)
def _broker(url: str) -> Connection:
    """Return the connection that identifies kombu's pool of producers for this broker.

    A connection to another broker has another pool.
    """
    return _connection(url)


def _connection(url: str) -> Connection:
    """Return a connection that gives up at once.

    Celery's default tries for six seconds, and waits without limit if Redis stops answering. The
    host's transport options have precedence.
    """
    connection = current_app.connection_for_write(url)
    connection.transport_options = {**AT_ONCE, **(connection.transport_options or {})}
    return connection


def _run_in_thread(name: str, generation_id: str) -> None:
    def run() -> None:
        try:
            current_app.tasks[name](generation_id)
        finally:
            # Django closes connections at the end of a request, and this thread has none.
            connections.close_all()

    threading.Thread(target=run, name=f"textgen-pump-{generation_id}", daemon=True).start()
