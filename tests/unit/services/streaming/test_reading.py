"""What a reader is given next: no gap and no repeat, whatever the hub still has."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from creatify_textgen.hub import END, ERROR, START, Frame, Position, chunk_frame, word_frame
from creatify_textgen.models import Generation, GenerationContent
from creatify_textgen.services.streaming.reading import CallOff, Look, Pause, Reading, Wait
from creatify_textgen.states import Mode, Status

WORDS = ["Once ", "upon ", "", "a ", "time, ", "far ", "away."]


def row(text: str, *, status: Status = Status.RUNNING, **fields: Any) -> Generation:
    now = timezone.now()
    fields = {"next_check_at": now + timedelta(seconds=15), "mode": Mode.STREAM} | fields
    generation = Generation(status=status, created_at=now, **fields)
    generation.content = GenerationContent(generation=generation, response_text=text)
    return generation


def stream_of(words: list[str]) -> list[Frame]:
    frames, here = [], START
    for word in words:
        end = Position(here.number + 1, here.text + len(word))
        raw = json.dumps({"candidates": [{"content": {"parts": [{"text": word}]}}]})
        frames.append(chunk_frame(here, end, raw))
        here = end
    return [*frames, word_frame(here, END, {"status": "done"})]


def text_of(frames: list[Frame]) -> str:
    return "".join(
        part["text"]
        for frame in frames
        if not frame.event
        for candidate in json.loads(frame.data)["candidates"]
        for part in candidate["content"]["parts"]
    )


def drive(reading: Reading, hub: list[list[Frame]], rows: Iterator[Generation]) -> list[Frame]:
    """Answer what the reading asks for; each wait is one further state of the hub."""
    got: list[Frame] = []
    steps = reading.steps()
    answer: Any = None
    states = iter(hub)
    held: list[Frame] = []
    while True:
        try:
            step = steps.send(answer)
        except StopIteration:
            return got
        answer = None
        if isinstance(step, list):
            got += step
        elif isinstance(step, Wait):
            held = next(states, held)
            answer = [frame for frame in held if frame.number > step.after]
        elif isinstance(step, Look | CallOff):
            answer = next(rows)


FRAMES = stream_of(WORDS)
WHOLE = "".join(WORDS)


class TestFollowing:
    def test_hands_frames_on_as_they_come(self) -> None:
        states = [FRAMES[:2], FRAMES[:5], FRAMES]
        got = drive(Reading(row("").pk, after=START), states, iter([row("")]))
        assert got == FRAMES

    def test_goes_on_behind_a_position(self) -> None:
        reading = Reading(row("").pk, after=FRAMES[3].end)
        assert drive(reading, [FRAMES], iter([row("")])) == FRAMES[4:]

    def test_asks_for_no_row_while_there_are_frames(self) -> None:
        assert drive(Reading(row("").pk, after=START), [FRAMES], iter([])) == FRAMES

    def test_waits_for_nothing_before_it_has_seen_the_row(self) -> None:
        steps = Reading(row("").pk, after=START).steps()
        assert next(steps) == Wait(0, 0.0)
        assert isinstance(steps.send([]), Look)
        waiting = steps.send(row(""))
        assert isinstance(waiting, Wait)
        assert waiting.seconds > 0

    def test_waits_at_once_where_the_row_is_at_hand(self) -> None:
        saved = row("", status=Status.QUEUED)
        waiting = next(Reading(saved.pk, after=START, row=saved).steps())
        assert isinstance(waiting, Wait)
        assert 10 < waiting.seconds <= 15

    def test_beats_while_nothing_comes(self) -> None:
        steps = Reading(row("").pk, after=START).steps()
        next(steps)
        steps.send([])
        steps.send(row(""))
        assert isinstance(steps.send([]), Look)
        assert steps.send(row("")) == []


class TestGaps:
    @given(st.integers(0, 6), st.integers(0, 6), st.integers(0, 6))
    def test_are_bridged_from_the_row_without_a_seam(
        self, position: int, first_kept: int, saved: int
    ) -> None:
        """Redis was flushed: frames before one are gone, and the row has some of the text."""
        after = FRAMES[position - 1].end if position else START
        checkpoint = row("".join(WORDS[:saved]))
        rows = iter([checkpoint, checkpoint, *[row(WHOLE, status=Status.DONE)] * 20])
        got = drive(Reading(checkpoint.pk, after=after), [FRAMES[first_kept:]], rows)
        assert text_of(got) == WHOLE[after.text :]
        assert got[-1].event == END

    def test_wait_for_a_checkpoint_that_is_behind(self) -> None:
        steps = Reading(row("").pk, after=START).steps()
        next(steps)
        steps.send(FRAMES[3:])
        assert isinstance(steps.send(row("")), Pause)


class TestFinished:
    def test_is_served_from_the_row_where_frames_are_gone(self) -> None:
        done = row(WHOLE, status=Status.DONE, remote_id="r-1")
        got = drive(Reading(done.pk, after=Position(2, 10)), [[]], iter([done, done]))
        assert text_of(got) == WHOLE[10:]
        assert [frame.event for frame in got] == ["", END]

    def test_is_served_from_frames_where_they_are_there(self) -> None:
        done = row(WHOLE, status=Status.DONE)
        assert drive(Reading(done.pk, after=START), [FRAMES], iter([done])) == FRAMES

    @given(st.integers(0, 60))
    def test_repeats_nothing_from_any_character(self, cut: int) -> None:
        done = row(WHOLE, status=Status.DONE)
        got = drive(Reading(done.pk, after=Position(1, cut)), [[]], iter([done, done]))
        assert text_of(got) == WHOLE[cut:]


class TestBrokenOff:
    """The frames of a stream that broke off end with an error and the status of that moment."""

    HEARD = FRAMES[:3]
    ERROR_FRAME = word_frame(HEARD[-1].end, ERROR, {"code": "stream_interrupted"})
    FRAMES = (*HEARD, ERROR_FRAME, word_frame(ERROR_FRAME.end, END, {"status": "running"}))

    def test_is_told_as_it_was_while_nobody_knows_more(self) -> None:
        running = row(WHOLE[:5])
        got = drive(Reading(running.pk, after=START), [[*self.FRAMES]], iter([running, running]))
        assert got == [*self.FRAMES]

    @pytest.mark.parametrize("found", [Status.DONE, Status.FAILED], ids=str)
    def test_ends_as_its_row_once_that_is_final(self, found: Status) -> None:
        final = row(WHOLE, status=found)
        got = drive(Reading(final.pk, after=START), [[*self.FRAMES]], iter([final, final]))
        assert got[:3] == self.HEARD
        assert text_of(got) == WHOLE
        assert json.loads(got[-1].data)["status"] == found
        assert ("stream_interrupted" in str(got)) is False

    def test_ends_as_its_row_which_came_to_its_end_while_the_reader_read(self) -> None:
        states = [list(self.HEARD), list(self.FRAMES)]
        rows = iter([row(WHOLE, status=Status.DONE)])
        got = drive(Reading(row("").pk, after=START), states, rows)
        assert text_of(got) == WHOLE
        assert json.loads(got[-1].data)["status"] == "done"


class TestNotTakenUp:
    def test_is_called_off_in_time_and_told(self) -> None:
        late = timezone.now() - timedelta(seconds=1)
        queued = row("", status=Status.QUEUED, next_check_at=late)
        cancelled = row(
            "",
            status=Status.CANCELLED,
            finished_at=timezone.now() + timedelta(seconds=16),
        )
        rows = iter([queued, queued, cancelled, cancelled])
        error, end = drive(Reading(queued.pk, after=START), [[]], rows)
        assert "not_taken_up" in error.data
        assert json.loads(end.data)["status"] == "cancelled"
