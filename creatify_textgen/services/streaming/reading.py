"""What a reader is to be given next, decided without any I/O.

A generator asks for frames, for the row, for a pause, and hands out batches; `following` does
what it asks, once with threads and once with coroutines. Invariant: what a reader has got is
told by the position alone, so nothing is left out and nothing is repeated.
"""

from __future__ import annotations

import json
import math
import time
import uuid
from collections.abc import Callable, Generator, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from django.utils import timezone

from creatify_textgen.hub import CHUNK, END, Frame, Position
from creatify_textgen.models import Generation
from creatify_textgen.services.streaming.checkpoints import is_pumped
from creatify_textgen.services.streaming.endings import bridge, broken_off, rest
from creatify_textgen.states import TERMINAL, Mode, Status

__all__ = ["HEARTBEAT_SECONDS", "Batch", "CallOff", "Look", "Pause", "Reading", "Step", "Wait"]

HEARTBEAT_SECONDS = 15.0
"""A reader hears something at least this often, if only a heartbeat."""
WAIT_FOR_ROW_SECONDS = 2.0
"""Between two looks at a row that nobody pumps: the row alone tells how it goes on."""
UNPUMPED_SECONDS = 60.0
"""How long a reader waits for the sweep to settle a stream that nobody pumps any more."""
FIRST_GAP_SECONDS = 0.5
LONGEST_GAP_SECONDS = 5.0
"""Between two looks where frames are gone; the first is also the least between any two."""

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
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`row` is the row where it was read or written this moment: it need not be looked at."""
        self.generation_id = generation_id
        self.position = after
        self._heartbeat_seconds = heartbeat_seconds
        self._clock = clock
        self._beat_at = clock() + heartbeat_seconds
        self._row: Generation | None = None
        # By the clock alone, whatever a reader sends and however often frames wake it.
        self._looked_at = self._look_at = -math.inf
        self._look_every = 0.0
        self._gap_seconds = FIRST_GAP_SECONDS
        self._unpumped_since = math.inf
        if row is not None:
            self._note(row)

    def steps(self) -> Generator[Step | Batch, Any, None]:
        """Yield what is needed, and the batches that come of it, up to the end frame."""
        # Frames first: who finds some there gets them before anybody asks the database.
        while True:
            frames = yield Wait(self.position.number, self._until(self._look_at))
            ready, has_gap = self._sift(frames)
            if ready and ready[-1].event == END:
                yield from self._end(ready)
                return
            if ready:
                yield self._told(ready)
            if has_gap and self._row is not None:
                yield Pause(self._until(self._looked_at + self._gap_seconds))
            if self._may_look(frames, has_gap=has_gap):
                has_ended = yield from self._look(frames, has_gap=has_gap)
                if has_ended:
                    return
            if self._clock() >= self._beat_at:
                yield self._told([])

    def _look(self, frames: Batch, *, has_gap: bool) -> Generator[Step | Batch, Any, bool]:
        """Look at the row and hand out what it has; return whether that was the end."""
        has_waited = self._row is not None
        row: Generation = yield Look()
        self._note(row)
        if _is_settled(row):
            yield rest(row, self.position)
            return True
        if has_gap:
            if has_waited:
                self._gap_seconds = min(2 * self._gap_seconds, LONGEST_GAP_SECONDS)
        elif not has_waited:
            return False  # what the row has may be on its way in frames
        elif _was_not_taken_up(row, now=timezone.now()):
            row = yield CallOff()
            self._note(row)
            return False
        found = bridge(row, self.position)
        if found:
            self.position = found[-1].end
            yield self._told(found)
        elif self._is_given_up(frames):
            yield broken_off(row, self.position)
            return True
        return False

    def _end(self, frames: Batch) -> Generator[Step | Batch, Any, None]:
        """Hand out the last frames, or the row's own end where a sweep has found it since."""
        if not _is_open(frames[-1]):
            yield frames
            return
        row: Generation = yield Look()
        if not _is_settled(row):
            yield frames
            return
        chunks = [frame for frame in frames if frame.event == CHUNK]
        yield [*chunks, *rest(row, self.position)]

    def _told(self, batch: Batch) -> Batch:
        now = self._clock()
        self._beat_at = now + self._heartbeat_seconds
        if batch:
            self._gap_seconds = FIRST_GAP_SECONDS
            if self._row is not None:
                self._look_at = now + self._look_every
        return batch

    def _note(self, row: Generation) -> None:
        now = self._clock()
        is_unpumped = (
            row.mode == Mode.STREAM
            and row.status != Status.QUEUED
            and not is_pumped(row, now=timezone.now())
        )
        self._unpumped_since = min(self._unpumped_since, now) if is_unpumped else math.inf
        self._row = row
        self._looked_at = now
        self._look_every = self._patience(row, is_unpumped=is_unpumped)
        self._look_at = now + self._look_every

    def _patience(self, row: Generation, *, is_unpumped: bool) -> float:
        if _is_settled(row):
            return 0.0
        if row.mode != Mode.STREAM or is_unpumped:
            return WAIT_FOR_ROW_SECONDS
        if row.status == Status.QUEUED and row.next_check_at is not None:
            left = (row.next_check_at - timezone.now()).total_seconds()
            return min(max(left, FIRST_GAP_SECONDS), self._heartbeat_seconds)
        return self._heartbeat_seconds

    def _until(self, look_at: float) -> float:
        """Return the seconds until this look or the next heartbeat, whichever comes first."""
        return max(min(look_at, self._beat_at) - self._clock(), 0.0)

    def _may_look(self, frames: Batch, *, has_gap: bool) -> bool:
        if has_gap:
            return self._clock() >= self._looked_at + self._gap_seconds
        if frames:
            return False
        if self._until(self._look_at) > 0:
            # The hub lets go before time where it is closed, and its frames are gone with it.
            self._look_at = min(self._look_at, self._looked_at + LONGEST_GAP_SECONDS)
        return self._clock() >= self._look_at

    def _is_given_up(self, frames: Batch) -> bool:
        """Whether nobody will bring what this reader still lacks."""
        # Behind a gap the end may be at hand, and was written on the row before it was told.
        has_ended = any(frame.event == END and _is_open(frame) for frame in frames)
        return has_ended or self._clock() - self._unpumped_since >= UNPUMPED_SECONDS

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
        _, text, thoughts, calls = self.position
        start = frame.start
        return not frame.event and (
            start.text < text or start.thoughts < thoughts or start.calls < calls
        )

    def _lacks_before(self, frame: Frame) -> bool:
        _, text, thoughts, calls = self.position
        start = frame.start
        return start.text > text or start.thoughts > thoughts or start.calls > calls


def _is_open(end: Frame) -> bool:
    """Whether a stream broke off, so that its end frame could not say how the row would end."""
    return json.loads(end.data).get("status") not in TERMINAL


def _is_settled(row: Generation) -> bool:
    """Whether the row tells an end: what is expired may still be found, but nobody knows when."""
    return row.is_final or row.status == Status.EXPIRED


def _was_not_taken_up(row: Generation, *, now: datetime) -> bool:
    if row.mode != Mode.STREAM or row.status != Status.QUEUED:
        return False
    return row.next_check_at is not None and row.next_check_at <= now
