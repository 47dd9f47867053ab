"""Decides what a reader receives next. No I/O.

A generator yields steps (read frames, read the row, pause) and batches of frames. `follow` carries
the steps out. Frames are fast but may be lost; the row is slow but complete. So a reader takes
frames while they follow its position without a gap, and reads the row

- once, early: the generation may have finished, or no pump may be running;
- if frames are missing: the row has their text a second later at most;
- at intervals, if the row alone shows what happens: without a pump, or before one has started;
- at the end of a stream that broke off: a sweep may have found the result since.

Invariant: the position alone says what a reader has received, so nothing is left out and nothing
is repeated.
"""

from __future__ import annotations

import json
import math
import time
import uuid
from collections.abc import Callable, Generator, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from creatify_textgen import clock
from creatify_textgen.models import Generation
from creatify_textgen.states import TERMINAL, Mode, Status
from creatify_textgen.streams.hub import CHUNK, END, ERROR, Frame, Position
from creatify_textgen.streams.own_frames import bridge, broken_off, rest

__all__ = ["HEARTBEAT_SECONDS", "Batch", "CallOff", "ReadRow", "Pause", "Reading", "Step", "Wait"]

HEARTBEAT_SECONDS = 15.0
"""A reader receives a frame or a heartbeat at least this often."""
WAIT_FOR_ROW_SECONDS = 2.0
"""Between two reads of a row without a pump, because no frame announces a change."""
UNPUMPED_SECONDS = 60.0
"""How long a reader waits for the sweep to settle a stream whose pump is gone."""
LAST_FRAMES_SECONDS = 0.5
"""How long a reader waits for the last frames of a generation whose text is not stored."""
FIRST_GAP_SECONDS, LONGEST_GAP_SECONDS = 0.5, 5.0
"""Between two reads of the row if frames are missing: the first is doubled up to the longest. The
first is also the shortest wait for a row."""

Batch = list[Frame]
"""Frames to hand out; an empty one is a heartbeat."""


class Wait(NamedTuple):
    """Asks for the frames after the number `after`; the answer is a list, empty after `seconds`."""

    after: int
    seconds: float


class ReadRow(NamedTuple):
    """Asks for the row as it is now."""


class CallOff(NamedTuple):
    """Asks to cancel what no pump has claimed; the answer is the row."""


class Pause(NamedTuple):
    """Asks to wait."""

    seconds: float


Step = Wait | ReadRow | CallOff | Pause


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
        """`row` is the row if the caller has just read or written it: it is not read again."""
        self.generation_id = generation_id
        self.position = after
        self._heartbeat_seconds = heartbeat_seconds
        self._clock = clock
        self._beat_at = clock() + heartbeat_seconds
        self._row: Generation | None = None
        self._kept: Batch = []
        # Only the clock decides when the row is read, so no client can cause more reads.
        self._read_last_at = self._read_at = -math.inf
        self._read_every = 0.0
        self._gap_seconds = FIRST_GAP_SECONDS
        self._unpumped_since = math.inf
        if row is not None:
            self._note(row)

    def steps(self) -> Generator[Step | Batch, Any, None]:
        """Yield steps, and the batches that result from them, up to the end frame."""
        # Frames first: a reader that finds some receives them without a query.
        while True:
            frames = yield Wait(self.position.number, self._until(self._read_at))
            ready, has_gap = self._take(frames)
            if ready and ready[-1].event == END:
                yield from self._end(ready)
                return
            if ready:
                yield self._handed_out(ready)
            if has_gap and self._row is not None:
                yield Pause(self._until(self._read_last_at + self._gap_seconds))
            if self._may_poll(frames, has_gap=has_gap):
                has_ended = yield from self._read_row(frames, has_gap=has_gap)
                if has_ended:
                    return
            if self._clock() >= self._beat_at:
                yield self._handed_out([])

    def _read_row(self, frames: Batch, *, has_gap: bool) -> Generator[Step | Batch, Any, bool]:
        """Read the row and hand out what it has; return whether that was the end."""
        has_waited = self._row is not None
        row: Generation = yield ReadRow()
        self._note(row)
        if _is_settled(row):
            # No frame can come any more that this row does not have. The end frame may be lost.
            return (yield from self._finish(row))
        if has_gap:
            if has_waited:
                self._gap_seconds = min(2 * self._gap_seconds, LONGEST_GAP_SECONDS)
        elif not has_waited:
            return False  # The text on the row may still arrive in frames.
        elif _was_not_taken_up(row, now=clock.known_now()):
            row = yield CallOff()
            self._note(row)
            return False
        found = bridge(row, self.position)
        if found:
            self.position = found[-1].end
            yield self._handed_out(found)
        elif self._is_given_up(frames):
            yield broken_off(row, self.position)
            return True
        return False

    def _finish(self, row: Generation) -> Generator[Step | Batch, Any, bool]:
        """Hand out the rest of a settled row; return False if there are frames to wait for."""
        if row.content_removed_at is not None:
            # Only frames have its text. The last ones were published just before its end was saved.
            ready, _ = self._take((yield Wait(self.position.number, LAST_FRAMES_SECONDS)))
            if ready and ready[-1].event == END:
                yield from self._end(ready)
                return True
            if ready:
                yield self._handed_out(ready)
                return False
        yield rest(row, self.position)
        return True

    def _end(self, frames: Batch) -> Generator[Step | Batch, Any, None]:
        """Hand out the last frames, or the end from the row if a sweep has found the result."""
        if not _is_open(frames[-1]):
            yield frames
            return
        row: Generation = yield ReadRow()
        if not _is_settled(row):
            yield frames
            return
        # The frames' own error and end are left out: the row knows better.
        chunks = [frame for frame in frames if frame.event == CHUNK]
        yield [*chunks, *rest(row, self.position)]

    def _handed_out(self, batch: Batch) -> Batch:
        """Return the batch, and count the waits from it."""
        now = self._clock()
        self._beat_at = now + self._heartbeat_seconds
        if batch:
            self._gap_seconds = FIRST_GAP_SECONDS
            # A stream whose frames arrive is not read from the row, except once at the beginning.
            if self._row is not None:
                self._read_at = now + self._read_every
        return batch

    def _note(self, row: Generation) -> None:
        now = self._clock()
        is_unpumped = (
            row.mode == Mode.STREAM
            and row.status != Status.QUEUED
            and not row.is_pumped(now=clock.known_now())
        )
        # The first time counts, until a pump is seen again: the limit is for the whole wait.
        self._unpumped_since = min(self._unpumped_since, now) if is_unpumped else math.inf
        self._row = row
        self._read_last_at = now
        self._read_every = self._patience(row, is_unpumped=is_unpumped)
        self._read_at = now + self._read_every

    def _patience(self, row: Generation, *, is_unpumped: bool) -> float:
        if _is_settled(row):
            return 0.0
        if row.mode != Mode.STREAM or is_unpumped:
            return WAIT_FOR_ROW_SECONDS
        if row.status == Status.QUEUED and row.due_at is not None:
            # A queued stream is called off at `due_at`, so it is read again just then.
            left = (row.due_at - clock.known_now()).total_seconds()
            return min(max(left, FIRST_GAP_SECONDS), self._heartbeat_seconds)
        return self._heartbeat_seconds

    def _until(self, read_at: float) -> float:
        """Return the seconds until this read or the next heartbeat, whichever is first."""
        return max(min(read_at, self._beat_at) - self._clock(), 0.0)

    def _may_poll(self, frames: Batch, *, has_gap: bool) -> bool:
        if has_gap:
            return self._clock() >= self._read_last_at + self._gap_seconds
        if frames:
            return False
        if self._until(self._read_at) > 0:
            # The wait ended too early: the hub was closed and its frames are lost. Only the row
            # has their text.
            self._read_at = min(self._read_at, self._read_last_at + LONGEST_GAP_SECONDS)
        return self._clock() >= self._read_at

    def _is_given_up(self, frames: Batch) -> bool:
        """Whether what this reader lacks will never come."""
        # An end frame after the gap also counts: the row was written before it.
        has_ended = any(frame.event == END and _is_open(frame) for frame in frames)
        return has_ended or self._clock() - self._unpumped_since >= UNPUMPED_SECONDS

    def _take(self, frames: Sequence[Frame]) -> tuple[Batch, bool]:
        """Do the same as `_sift`, but keep an error frame until the end frame that follows it."""
        # The pump publishes both together, but the hub may return them in two reads. The row may
        # replace both, and a client may need the data of the end before the error.
        found, has_gap = self._sift(frames)
        ready = [*self._kept, *found]
        self._kept = ready[-1:] if ready and ready[-1].event == ERROR else []
        return (ready[:-1] if self._kept else ready), has_gap

    def _sift(self, frames: Sequence[Frame]) -> tuple[Batch, bool]:
        """Return the frames to hand out, and whether something is missing before the others."""
        ready: Batch = []
        for frame in frames:
            if frame.start == self.position:  # True for nearly every frame.
                ready.append(frame)
                self.position = frame.end
            elif self._has(frame):
                # Its text came from the row before. Only the number of the frame is new.
                self.position = self.position._replace(number=frame.number)
            elif self._lacks_before(frame):
                return ready, True
            else:
                # Another number, but no text is missing: what was lost were chunks without any.
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
    """Whether the stream broke off: its end frame was sent before the result was known."""
    return json.loads(end.data).get("status") not in TERMINAL


def _is_settled(row: Generation) -> bool:
    """Whether readers need not wait any more. An expired row may still finish, but much later."""
    return row.is_final or row.status == Status.EXPIRED


def _was_not_taken_up(row: Generation, *, now: datetime) -> bool:
    if row.mode != Mode.STREAM or row.status != Status.QUEUED:
        return False
    return row.due_at is not None and row.due_at <= now
