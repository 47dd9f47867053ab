"""Does what a reading asks for: once with threads, once with coroutines. No decisions here."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncGenerator, Callable, Generator
from functools import partial
from typing import Any

from django.utils import timezone

from creatify_textgen import lifecycle
from creatify_textgen.hub import START, Position, get_hub
from creatify_textgen.models import Generation
from creatify_textgen.services.streaming import rows
from creatify_textgen.services.streaming.reading import (
    HEARTBEAT_SECONDS,
    Batch,
    CallOff,
    Pause,
    Reading,
    Step,
    Wait,
)
from creatify_textgen.states import Cause

__all__ = ["follow", "follow_async"]


def follow(
    generation_id: uuid.UUID,
    *,
    after: Position = START,
    heartbeat_seconds: float = HEARTBEAT_SECONDS,
    row: Generation | None = None,
) -> Generator[Batch, None, None]:
    """Yield the frames behind this position as they come, up to the end frame.

    An empty batch is a heartbeat; `row` is as for `Reading`. Raises: Generation.DoesNotExist.
    """
    reading = Reading(generation_id, after=after, heartbeat_seconds=heartbeat_seconds, row=row)
    steps = reading.steps()
    answer: Any = None
    while (step := _next(steps, answer)) is not None:
        if isinstance(step, list):
            yield step
            answer = None
        elif isinstance(step, Wait):
            answer = get_hub().read(str(generation_id), after=step.after, seconds=step.seconds)
        elif isinstance(step, Pause):
            time.sleep(step.seconds)
            answer = None
        else:
            answer = rows.run(_row_work(step, generation_id))


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
    stream, hub = str(generation_id), get_hub()
    while (step := _next(steps, answer)) is not None:
        if isinstance(step, list):
            yield step
            answer = None
        elif isinstance(step, Wait):
            answer = await hub.read_async(stream, after=step.after, seconds=step.seconds)
            if not answer:
                hub = get_hub()  # in case this one was closed
        elif isinstance(step, Pause):
            await asyncio.sleep(step.seconds)
            answer = None
        else:
            answer = await rows.run_async(_row_work(step, generation_id))


def _next(steps: Generator[Step | Batch, Any, None], answer: Any) -> Step | Batch | None:
    try:
        return steps.send(answer)
    except StopIteration:
        return None


def _row_work(step: Step, generation_id: uuid.UUID) -> Callable[[], Generation]:
    return partial(_call_off if isinstance(step, CallOff) else rows.load, generation_id)


def _call_off(generation_id: uuid.UUID) -> Generation:
    lifecycle.mark_cancelled(
        generation_id,
        cause=Cause.SWEEP,
        now=timezone.now(),
        detail="no pump took it up in time",
    )
    return rows.load(generation_id)
