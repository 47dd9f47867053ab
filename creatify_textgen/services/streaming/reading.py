"""What a reader is to be given next, decided without any I/O.

A generator asks for frames, for the row, for a pause, and hands out batches; `following` does
what it asks, once with threads and once with coroutines. Invariant: what a reader has got is
told by the position alone, so nothing is left out and nothing is repeated.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Generator, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from django.utils import timezone

from creatify_textgen.hub import CHUNK, END, Frame, Position
from creatify_textgen.models import Generation
from creatify_textgen.services.streaming.endings import bridge, rest
from creatify_textgen.states import TERMINAL, Mode, Status

__all__ = ["HEARTBEAT_SECONDS", "Batch", "CallOff", "Look", "Pause", "Reading", "Step", "Wait"]

HEARTBEAT_SECONDS = 15.0
"""A reader hears something at least this often, if only a heartbeat."""
WAIT_FOR_ROW_SECONDS = 2.0
"""Between two looks at a row that has no frames: one that is not streamed."""
WAIT_FOR_CHECKPOINT_SECONDS = 0.5

Batch = list[Frame]
"""Frames to hand out; an empty one is a heartbeat."""


class Wait(NamedTuple):
    """Asks for frames behind `after`; the answer is a list, empty after so many seconds."""

    after: int
    seconds: float


class Look(NamedTuple):
    """Asks for the row as it is now."""


class CallOff(NamedTuple):
    """Asks to cancel what no pump has taken up; the answer is the row."""


class Pause(NamedTuple):
    """Asks to wait."""

    seconds: float


Step = Wait | Look | CallOff | Pause


class Reading:
    """One reader's way through one stream."""

    def __init__(
        self,
        generation_id: uuid.UUID,
        *,
        after: Position,
        heartbeat_seconds: float = HEARTBEAT_SECONDS,
        row: Generation | None = None,
    ) -> None:
        """`row` is the row where it was read or written this moment: it need not be looked at."""
        self.generation_id = generation_id
        self.position = after
        self._heartbeat_seconds = heartbeat_seconds
        self._row = row

    def steps(self) -> Generator[Step | Batch, Any, None]:
        """Yield what is needed, and the batches that come of it, up to the end frame."""
        # Frames first: who finds some there gets them before anybody asks the database.
        row = self._row
        while True:
            frames = yield Wait(self.position.number, self._patience(row))
            ready, has_gap = self._sift(frames)
            if ready and ready[-1].event == END:
                yield from self._end(ready)
                return
            if ready:
                yield ready
            if frames and not has_gap:
                continue
            has_waited = row is not None
            row = yield Look()
            if row.is_final:
                yield rest(row, self.position)
                return
            if has_waited or has_gap:
                row = yield from self._bridge(row, has_gap=has_gap)

    def _end(self, frames: Batch) -> Generator[Step | Batch, Any, None]:
        """Hand out the last frames, or the row's own end where a sweep has found it since."""
        if not _is_open(frames[-1]):
            yield frames
            return
        row: Generation = yield Look()
        if not row.is_final:
            yield frames
            return
        chunks = [frame for frame in frames if frame.event == CHUNK]
        yield [*chunks, *rest(row, self.position)]

    def _bridge(
        self, row: Generation, *, has_gap: bool
    ) -> Generator[Step | Batch, Any, Generation]:
        if not has_gap and _was_not_taken_up(row, now=timezone.now()):
            row = yield CallOff()
            return row
        frames = bridge(row, self.position)
        if frames:
            self.position = frames[-1].end
            yield frames
        elif has_gap:
            yield Pause(WAIT_FOR_CHECKPOINT_SECONDS)
        else:
            yield []
        return row

    def _patience(self, row: Generation | None) -> float:
        if row is None or row.is_final:
            return 0.0
        if row.mode != Mode.STREAM:
            return WAIT_FOR_ROW_SECONDS
        if row.status == Status.QUEUED and row.next_check_at is not None:
            left = (row.next_check_at - timezone.now()).total_seconds()
            return min(max(left, 0.1), self._heartbeat_seconds)
        return self._heartbeat_seconds

    def _sift(self, frames: Sequence[Frame]) -> tuple[Batch, bool]:
        """Return the frames to hand out, and whether something is missing before the others."""
        ready: Batch = []
        for frame in frames:
            if frame.start == self.position:  # as of nearly every frame
                ready.append(frame)
                self.position = frame.end
            elif self._has(frame):
                self.position = self.position._replace(number=frame.number)
            elif self._lacks_before(frame):
                return ready, True
            else:
                ready.append(frame)
                self.position = frame.end
        return ready, False

    def _has(self, frame: Frame) -> bool:
        _, text, thoughts, _ = self.position
        return not frame.event and (frame.start.text < text or frame.start.thoughts < thoughts)

    def _lacks_before(self, frame: Frame) -> bool:
        _, text, thoughts, calls = self.position
        start = frame.start
        return start.text > text or start.thoughts > thoughts or start.calls > calls


def _is_open(end: Frame) -> bool:
    """Whether a stream broke off, so that its end frame could not say how the row would end."""
    return json.loads(end.data).get("status") not in TERMINAL


def _was_not_taken_up(row: Generation, *, now: datetime) -> bool:
    if row.mode != Mode.STREAM or row.status != Status.QUEUED:
        return False
    return row.next_check_at is not None and row.next_check_at <= now
