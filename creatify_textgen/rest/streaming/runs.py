"""A run as one UI message: all of its steps, and the results of the functions between them.

`RunReading` decides what comes next, and the readers carry it out: one for WSGI, one for ASGI. Each
stream begins with the first step, so a reader that resumes receives the whole message. Invariants:
the last event is `[DONE]`; the result of a call comes once, after the call.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Generator, Iterator
from contextlib import aclosing, closing
from functools import partial
from typing import Any, NamedTuple

from django.core.handlers.asgi import ASGIRequest
from django.http import HttpResponseBase
from rest_framework.request import Request

from creatify_textgen.chat import Run, ToolCall
from creatify_textgen.chat.progress import CallProgress, Progress, read_progress
from creatify_textgen.models import Generation
from creatify_textgen.rest.serializers import decimal_text
from creatify_textgen.rest.streaming.limits import Slot
from creatify_textgen.rest.streaming.readers import HEARTBEAT, let_thread_go
from creatify_textgen.rest.streaming.ui_messages import Part, UIMessages, encode
from creatify_textgen.rest.streaming.views import HEADERS, let_connections_go, respond
from creatify_textgen.streams.follow import (
    follow,
    follow_async,
    next_step,
    read_patiently,
    read_patiently_async,
)
from creatify_textgen.streams.hub import END, ERROR, START, Frame, Position

__all__ = ["stream_run"]

FIRST_PAUSE, LONGEST_PAUSE = 0.2, 15.0
"""Seconds between two reads of a run that has nothing new. Each pause is a tenth longer than the
last one, so a result is shown late by at most a tenth of the time that it took."""
BROKEN_OFF = "The stream broke off: resume it in a moment."


class ReadRun(NamedTuple):
    """Asks for the run as it is now; the answer is None if it cannot be read."""

    calls_of: uuid.UUID | None


class Watch(NamedTuple):
    """Asks for the frames of a step after this position: each batch goes to `render`."""

    generation_id: uuid.UUID
    after: Position


class Pause(NamedTuple):
    """Asks to wait."""

    seconds: float


RunStep = bytes | ReadRun | Watch | Pause


class RunReading:
    """One reader's way through a run."""

    def __init__(self, run_id: uuid.UUID) -> None:
        self.run_id = run_id
        self._shown: list[uuid.UUID] = []
        """The generations of the steps that were shown; what follows is of the last of them."""
        self._messages, self._position = UIMessages(""), START
        self._call_ids: list[str] = []
        """The SDK's ids of its calls."""
        self._answered: set[uuid.UUID] = set()
        """Its calls whose result was shown."""
        self._has_ended = True
        """Whether its end is known."""
        self._pause = FIRST_PAUSE
        self._failure, self._is_stopped, self._reason = "", False, "other"

    def steps(self) -> Generator[RunStep, Any, None]:
        """Yield bytes for the client, and what is needed for the next ones, up to `[DONE]`."""
        while True:
            last = self._shown[-1] if self._shown else None
            run: Progress | None = yield ReadRun(last)
            if run is None:
                error = {"type": "error", "errorText": BROKEN_OFF}
                yield encode([*self._messages.close(), error], is_end=True)
                return
            # First the results: the SDK must have them before the next step begins.
            if results := encode(list(self._results(run))):
                yield results
                self._pause = FIRST_PAUSE
            is_awaited = not self._has_ended and run.state != Run.State.STOPPED
            if last in run.generations and is_awaited:
                # Its process died: a sweep finds the answer, or another process takes the run over.
                yield from self._wait()
                yield Watch(last, self._position)
            elif new := [one for one in run.generations if one not in self._shown]:
                # One at a time, also for a reader that comes late: each is read to its end.
                yield self._begin_step(new[0])
            elif run.state != Run.State.RUNNING:
                yield encode(list(self._end(run)), is_end=True)
                return
            else:
                yield from self._wait()

    def _wait(self) -> Iterator[RunStep]:
        yield Pause(self._pause)
        # A function may work for minutes, and proxies close a connection that is silent.
        yield HEARTBEAT
        self._pause = min(1.1 * self._pause, LONGEST_PAUSE)

    def render(self, batch: list[Frame]) -> bytes:
        """Return the bytes of these frames of the step that is watched."""
        if any(frame.is_last for frame in batch):
            self._has_ended = True
        else:
            # If there is an end, the stream broke off, and its row is still open.
            batch = [frame for frame in batch if frame.event not in (ERROR, END)]
        for frame in batch:
            self._position = frame.end
        return encode(
            [one for part in self._messages.parts_of(batch) for one in self._of_run(part)]
        )

    def _begin_step(self, generation_id: uuid.UUID) -> Watch:
        self._shown.append(generation_id)
        self._messages, self._position = UIMessages(str(generation_id)), START
        self._call_ids, self._answered = [], set()
        self._has_ended, self._is_stopped = False, False
        self._pause = FIRST_PAUSE
        return Watch(generation_id, START)

    def _of_run(self, part: Part) -> Iterator[Part]:
        """Yield what a part of a step is in the message of its run."""
        match part["type"]:
            case "start" if len(self._shown) == 1:
                yield {**part, "messageMetadata": self._metadata(part["messageMetadata"])}
            case "start":
                yield self._noted(part["messageMetadata"])
            case "finish":
                self._reason = part["finishReason"]
                yield self._noted(part["messageMetadata"])
            case "error":  # useChat would read nothing after it.
                self._failure = part["errorText"]
            case "abort":
                self._is_stopped = True
                yield {"type": "finish-step"}
            case "tool-input-available":
                self._call_ids.append(part["toolCallId"])
                yield {**part, "providerExecuted": True}
            case _:
                yield part

    def _results(self, run: Progress) -> Iterator[Part]:
        for call in run.calls:
            response, identifier = call.response, self._call_id(call)
            if response is None or not identifier or call.id in self._answered:
                continue
            self._answered.add(call.id)
            part = {"toolCallId": identifier, "providerExecuted": True}
            if call.state == ToolCall.State.DONE:
                yield {"type": "tool-output-available", **part, "output": response}
            else:
                error = str(response.get("error") or call.state)
                yield {"type": "tool-output-error", **part, "errorText": error}

    def _end(self, run: Progress) -> Iterator[Part]:
        """Yield the end of the message; `waiting` names the calls that a person decides about."""
        # A run that was stopped leaves its calls in their state, and nobody can decide any more.
        waiting = [
            {"id": str(call.id), "toolCallId": self._call_id(call), "name": call.name}
            for call in run.calls
            if call.state == ToolCall.State.WAITING and run.state == Run.State.WAITING
        ]
        end = {
            "state": run.state,
            "error_code": run.error_code,
            "credits_used": decimal_text(run.credits_used),
            "waiting": waiting,
        }
        yield from self._messages.close()
        yield self._noted(end)
        if run.state == Run.State.FAILED:
            yield {"type": "error", "errorText": self._failure or run.error_code}
        elif self._is_stopped or run.state == Run.State.STOPPED:
            yield {"type": "abort"}
        else:
            yield {"type": "finish", "finishReason": self._reason}

    def _call_id(self, call: CallProgress) -> str:
        """Return the SDK's id of a call, or "" while the call was not shown."""
        return self._call_ids[call.position] if call.position < len(self._call_ids) else ""

    def _noted(self, metadata: Part) -> Part:
        return {"type": "message-metadata", "messageMetadata": self._metadata(metadata)}

    def _metadata(self, metadata: Part) -> Part:
        return {"run": str(self.run_id), **metadata}


class _Reader:
    def __init__(self, reading: RunReading, slot: Slot) -> None:
        self._reading, self._slot = reading, slot

    def close(self) -> None:
        """Give the slot back. Django calls it when the response ends or the client disconnects."""
        self._slot.release()


class SyncRunReader(_Reader):
    def __iter__(self) -> Iterator[bytes]:
        self._slot.start()
        steps, answer = self._reading.steps(), None
        while (step := next_step(steps, answer)) is not None:
            answer = None
            if isinstance(step, bytes):
                yield step
            elif isinstance(step, Pause):
                time.sleep(step.seconds)
            elif isinstance(step, ReadRun):
                answer = read_patiently(partial(_read_run, self._reading.run_id, step))
            else:
                try:
                    with closing(follow(step.generation_id, after=step.after)) as batches:
                        for batch in batches:
                            yield self._reading.render(batch) or HEARTBEAT
                except Generation.DoesNotExist:
                    pass  # It was deleted, which has ended the run.


class AsyncRunReader(_Reader):
    async def __aiter__(self) -> AsyncIterator[bytes]:
        self._slot.start()
        let_thread_go()
        steps, answer = self._reading.steps(), None
        while (step := next_step(steps, answer)) is not None:
            answer = None
            if isinstance(step, bytes):
                yield step
            elif isinstance(step, Pause):
                await asyncio.sleep(step.seconds)
            elif isinstance(step, ReadRun):
                read = partial(_read_run, self._reading.run_id, step)
                answer = await read_patiently_async(read)
            else:
                try:
                    reading = follow_async(step.generation_id, after=step.after)
                    async with aclosing(reading) as batches:
                        async for batch in batches:
                            yield self._reading.render(batch) or HEARTBEAT
                except Generation.DoesNotExist:
                    pass  # As above.


def _read_run(run_id: uuid.UUID, step: ReadRun) -> Progress | None:
    try:
        return read_progress(run_id, calls_of=step.calls_of)
    except Run.DoesNotExist:
        # Deleted while it was read: as for an outage, the reader receives an error and the end.
        return None


def stream_run(request: Request, run_id: uuid.UUID, *, slot: Slot) -> HttpResponseBase:
    """Return the response that streams a run from its beginning, until it ends or waits."""
    is_asgi = isinstance(request._request, ASGIRequest)
    reader = (AsyncRunReader if is_asgi else SyncRunReader)(RunReading(run_id), slot)
    let_connections_go(request)
    headers = {**HEADERS, **UIMessages.headers, "X-Run-Id": str(run_id)}
    return respond(request, reader, slot=slot, headers=headers)
