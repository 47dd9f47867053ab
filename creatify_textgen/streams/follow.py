"""Carries out the steps of a `Reading`: once with threads, once with coroutines.

It decides nothing: `reader_plan` does. Invariant: both forms differ only in how they wait.
"""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import AsyncGenerator, Callable, Generator, Iterator
from functools import partial
from typing import Any, TypeVar

from django.db import InterfaceError, OperationalError

from creatify_textgen import clock
from creatify_textgen.dispatch.turns import call_off_stream
from creatify_textgen.logs import STREAMS, warn_of
from creatify_textgen.models import Generation
from creatify_textgen.streams import database
from creatify_textgen.streams.hub import START, Position, get_hub
from creatify_textgen.streams.own_frames import no_database
from creatify_textgen.streams.reader_plan import (
    HEARTBEAT_SECONDS,
    Batch,
    CallOff,
    Pause,
    Reading,
    Step,
    Wait,
)

__all__ = ["follow", "follow_async", "next_step", "read_patiently", "read_patiently_async"]

T = TypeVar("T")

OUTAGES = (OperationalError, InterfaceError)
ROW_PAUSES = (0.1, 0.5, 1.0, 2.0, 4.0)
"""Seconds between tries to read a row. Each opens a new connection, so after a cut the first try
helps; the sum is what a reader waits during an outage before it gets an error frame."""


def follow(
    generation_id: uuid.UUID,
    *,
    after: Position = START,
    heartbeat_seconds: float = HEARTBEAT_SECONDS,
    row: Generation | None = None,
) -> Generator[Batch, None, None]:
    """Yield the frames after this position as they arrive, up to the end frame.

    An empty batch is a heartbeat; `row` is as for `Reading`. If the database does not answer, the
    last batch is an error frame without an end frame: a reader may reconnect with its last id.

    Raises: Generation.DoesNotExist.
    """
    reading = Reading(generation_id, after=after, heartbeat_seconds=heartbeat_seconds, row=row)
    steps = reading.steps()
    answer: Any = None
    while (step := next_step(steps, answer)) is not None:
        if isinstance(step, list):
            yield step
            answer = None
        elif isinstance(step, Wait):
            # Asked for each time: after a reload or a fork the old hub receives no more frames.
            answer = get_hub().read(str(generation_id), after=step.after, seconds=step.seconds)
        elif isinstance(step, Pause):
            time.sleep(step.seconds)
            answer = None
        else:
            answer = read_patiently(_row_work(step, generation_id))
            if answer is None:
                yield [no_database(reading.position)]
                return


async def follow_async(
    generation_id: uuid.UUID,
    *,
    after: Position = START,
    heartbeat_seconds: float = HEARTBEAT_SECONDS,
) -> AsyncGenerator[Batch, None]:
    """As `follow`, for a coroutine."""
    reading = Reading(generation_id, after=after, heartbeat_seconds=heartbeat_seconds)
    steps = reading.steps()
    answer: Any = None
    # Kept while it has frames: `get_hub` takes a lock, and thousands of readers share one thread.
    stream, hub = str(generation_id), get_hub()
    while (step := next_step(steps, answer)) is not None:
        if isinstance(step, list):
            yield step
            answer = None
        elif isinstance(step, Wait):
            answer = await hub.read_async(stream, after=step.after, seconds=step.seconds)
            if not answer:
                hub = get_hub()  # The old one may have been closed, for example by a reload.
        elif isinstance(step, Pause):
            await asyncio.sleep(step.seconds)
            answer = None
        else:
            answer = await read_patiently_async(_row_work(step, generation_id))
            if answer is None:
                yield [no_database(reading.position)]
                return


def read_patiently(work: Callable[[], T]) -> T | None:
    """Return what `work` reads, or None if the database does not answer after the last pause."""
    pauses = iter(ROW_PAUSES)
    while True:
        try:
            return database.run(work)
        except OUTAGES as error:
            pause = _pause_after(error, pauses)
        if pause is None:
            return None
        time.sleep(pause)


async def read_patiently_async(work: Callable[[], T]) -> T | None:
    """As `read_patiently`, for a coroutine."""
    pauses = iter(ROW_PAUSES)
    while True:
        try:
            return await database.run_async(work)
        except OUTAGES as error:
            pause = _pause_after(error, pauses)
        if pause is None:
            return None
        await asyncio.sleep(pause)


def _pause_after(error: Exception, pauses: Iterator[float]) -> float | None:
    """Return the seconds until the next try, or None after the last one."""
    pause = next(pauses, None)
    level = logging.ERROR if pause is None else logging.WARNING
    name = type(error).__name__
    warn_of((level, name), STREAMS, "A reader could not read its row (%s).", name, level=level)
    return pause


def next_step(steps: Generator[T, Any, None], answer: Any) -> T | None:
    """Return the step that follows this answer, or None after the last one."""
    try:
        return steps.send(answer)
    except StopIteration:
        return None


def _row_work(step: Step, generation_id: uuid.UUID) -> Callable[[], Generation]:
    return partial(_call_off if isinstance(step, CallOff) else database.load, generation_id)


def _call_off(generation_id: uuid.UUID) -> Generation:
    # All readers of the stream come here at the same time. The conditional UPDATE has one winner,
    # and if a pump was faster there is none: then the row is `submitting`, and reading goes on.
    won = call_off_stream(generation_id, now=clock.now())
    row = database.load(generation_id)
    if won:
        warn_of(
            ("no stream worker", row.account),
            STREAMS,
            "No worker started the stream of generation %s in time: start a worker for "
            "STREAM_QUEUE, or raise its number of threads.",
            generation_id,
        )
    return row
