"""What a reader is given next: no gap and no repeat, whatever the hub still has."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from datetime import timedelta
from itertools import count, pairwise, repeat
from typing import Any, ClassVar
from uuid import uuid4

import pytest
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from creatify_textgen.models import Generation, GenerationContent
from creatify_textgen.states import Mode, Status
from creatify_textgen.streams.hub import END, ERROR, START, Frame, Position, chunk_frame, word_frame
from creatify_textgen.streams.reader_plan import (
    UNPUMPED_SECONDS,
    Batch,
    CallOff,
    Pause,
    Reading,
    ReadRow,
    Step,
    Wait,
)

WORDS = ["Once ", "upon ", "", "a ", "time, ", "far ", "away."]


def row(
    text: str,
    *,
    status: Status = Status.RUNNING,
    calls: list[dict[str, Any]] | None = None,
    **fields: Any,
) -> Generation:
    now = timezone.now()
    fields = {"due_at": now + timedelta(seconds=15), "mode": Mode.STREAM} | fields
    generation = Generation(status=status, created_at=now, **fields)
    generation.content = GenerationContent(
        generation=generation, response_text=text, response_function_calls=calls or []
    )
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


def drive(after: Position, hub: list[list[Frame]], rows: Iterator[Generation]) -> list[Frame]:
    """Answer what a reading asks for; each wait is one further state of the hub, 15 seconds on."""
    got: list[Frame] = []
    steps = Reading(uuid4(), after=after, clock=count(step=15).__next__).steps()
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
        elif isinstance(step, ReadRow | CallOff):
            answer = next(rows)


class Site:
    """One reader of one stream, with a clock that runs only while the reader waits."""

    def __init__(self, *, after: Position, row: Generation, frames: Sequence[Frame] = ()) -> None:
        self.now = 0.0
        self.row = row
        self.frames = list(frames)
        self.wakes_every = math.inf
        """How often the hub lets a waiting reader go without a frame for it."""
        self.reads: list[float] = []
        self.received: list[tuple[float, Batch]] = []
        self.has_ended = False
        self._steps = Reading(row.pk, after=after, clock=lambda: self.now).steps()
        self._answer: Any = None

    def read_until(self, until: float) -> None:
        while self.now < until and not self.has_ended:
            try:
                step = self._steps.send(self._answer)
            except StopIteration:
                self.has_ended = True
            else:
                self._answer = self._do(step)

    def silences(self) -> list[float]:
        times = [0.0, *(at for at, _ in self.received), self.now]
        return [later - earlier for earlier, later in pairwise(times)]

    def _do(self, step: Step | Batch) -> Any:
        if isinstance(step, list):
            self.received.append((self.now, step))
        elif isinstance(step, Wait):
            found = [frame for frame in self.frames if frame.number > step.after]
            self.now += 0.0 if found else min(step.seconds, self.wakes_every)
            return found
        elif isinstance(step, Pause):
            self.now += step.seconds
        else:
            self.reads.append(self.now)
            return self.row
        return None


FRAMES = stream_of(WORDS)
WHOLE = "".join(WORDS)


class TestLastChunk:
    """The pump writes the row first and the end frame then: readers see the moment between."""

    def test_is_not_repeated_where_the_row_is_final_before_the_end_frame(self) -> None:
        last = FRAMES[-2].end
        final = row(WHOLE, status=Status.DONE, last_frame=last.number)
        got = drive(START, [FRAMES[:-1]], iter([final]))
        assert (got[:-1], got[-1].event) == (FRAMES[:-1], END)

    def test_is_not_repeated_where_the_hub_has_forgotten_the_stream(self) -> None:
        last = FRAMES[-2].end
        final = row(WHOLE, status=Status.DONE, last_frame=last.number)
        assert [frame.event for frame in drive(last, [], iter([final]))] == [END]

    def test_comes_after_an_open_end_that_a_sweep_has_closed(self) -> None:
        here = FRAMES[2].end
        error = word_frame(here, ERROR, {"code": "stream_interrupted", "message": ""})
        end = word_frame(error.end, END, {"status": "running"}, is_last=False)
        final = row(WHOLE, status=Status.DONE, last_frame=end.number + 1)
        got = drive(START, [[*FRAMES[:3], error, end]], iter([final]))
        assert (got[:3], text_of(got), got[-1].event) == (FRAMES[:3], WHOLE, END)


class TestUnstoredText:
    """Of a row that keeps no content, only frames have the text."""

    def test_is_not_lost_where_the_row_is_final_before_its_last_frames_are_read(self) -> None:
        frames = stream_of(WORDS)
        final = row("", status=Status.DONE, content_removed_at=timezone.now(), last_frame=7)
        got = drive(START, [frames[:3], [], frames[:5], frames], repeat(final))
        assert (text_of(got), got[-1].event) == ("".join(WORDS), END)
        assert not any(frame.event == ERROR for frame in got)

    def test_is_reported_as_gone_to_a_reader_who_comes_late(self) -> None:
        final = row("", status=Status.DONE, content_removed_at=timezone.now(), last_frame=7)
        got = drive(START, [[]], repeat(final))
        assert [frame.event for frame in got if frame.event] == [ERROR, END]
        assert json.loads(got[0].data)["code"] == "content_removed"


class TestFollowing:
    def test_hands_frames_on_as_they_come(self) -> None:
        states = [FRAMES[:2], FRAMES[:5], FRAMES]
        got = drive(START, states, iter([row("")]))
        assert got == FRAMES

    def test_goes_on_behind_a_position(self) -> None:
        assert drive(FRAMES[3].end, [FRAMES], iter([row("")])) == FRAMES[4:]

    def test_asks_for_no_row_while_there_are_frames(self) -> None:
        assert drive(START, [FRAMES], iter([])) == FRAMES

    def test_waits_for_nothing_before_it_has_seen_the_row(self) -> None:
        steps = Reading(row("").pk, after=START).steps()
        assert next(steps) == Wait(0, 0.0)
        assert isinstance(steps.send([]), ReadRow)
        waiting = steps.send(row(""))
        assert isinstance(waiting, Wait)
        assert waiting.seconds > 0

    def test_waits_at_once_where_the_row_is_at_hand(self) -> None:
        saved = row("", status=Status.QUEUED)
        waiting = next(Reading(saved.pk, after=START, row=saved).steps())
        assert isinstance(waiting, Wait)
        assert 10 < waiting.seconds <= 15

    def test_beats_while_nothing_comes(self) -> None:
        site = Site(after=START, row=row(""))
        site.read_until(61)
        assert site.received == [(15, []), (30, []), (45, []), (60, [])]
        assert len(site.reads) <= 5

    def test_beats_while_all_that_comes_is_known(self) -> None:
        site = Site(after=Position(0, 10**6), row=row(""))
        steps = site._steps
        next(steps)
        here = START
        for _ in range(20):
            site.now += 1
            frame = stream_of(["word"])[0]._replace(end=Position(here.number + 1, 4))
            here = frame.end
            step = steps.send([frame])
            if isinstance(step, list):
                break
        assert (site.now, step) == (15, [])

    def test_looks_at_the_row_by_the_clock_however_often_it_is_woken(self) -> None:
        """A position that was made up lets each frame wake its reader for nothing."""
        site = Site(after=Position(999_999_999, 10**12 - 1), row=row(""))
        site.wakes_every = 0.01
        site.read_until(60)
        assert len(site.reads) <= 13
        assert max(site.silences()) <= 15.1

    def test_looks_soon_where_it_is_let_go_because_the_hub_closed(self) -> None:
        site = Site(after=START, row=row("one "))
        site.wakes_every = 0.5
        site.read_until(1)
        site.row = row("one two", status=Status.DONE)
        site.read_until(6)
        assert text_of([frame for _, batch in site.received for frame in batch]) == "one two"

    def test_looks_no_more_often_where_nobody_can_call_it_off(self) -> None:
        late = timezone.now() - timedelta(hours=1)
        site = Site(after=START, row=row("", status=Status.QUEUED, due_at=late))
        site.read_until(60)
        assert len(site.reads) <= 2 * 120


class TestGaps:
    @given(st.integers(0, 6), st.integers(0, 6), st.integers(0, 6))
    def test_are_bridged_from_the_row_without_a_seam(
        self, position: int, first_kept: int, saved: int
    ) -> None:
        """Redis was flushed: frames before one are gone, and the row has some of the text."""
        after = FRAMES[position - 1].end if position else START
        checkpoint = row("".join(WORDS[:saved]))
        rows = iter([checkpoint, checkpoint, *[row(WHOLE, status=Status.DONE)] * 20])
        got = drive(after, [FRAMES[first_kept:]], rows)
        assert text_of(got) == WHOLE[after.text :]
        assert got[-1].event == END

    def test_wait_for_a_checkpoint_that_is_behind(self) -> None:
        site = Site(after=START, row=row(""), frames=FRAMES[3:6])
        site.read_until(3)
        assert site.received == []
        site.row = row("".join(WORDS[:4]))
        site.read_until(8)
        assert text_of([frame for _, batch in site.received for frame in batch]) == "".join(
            WORDS[:6]
        )

    def test_are_looked_into_less_and_less_often(self) -> None:
        site = Site(after=START, row=row(""), frames=FRAMES[3:])
        site.read_until(60)
        assert site.reads[:5] == [0, 0.5, 1.5, 3.5, 7.5]
        assert len(site.reads) <= 16
        assert max(site.silences()) <= 15


class TestLostCall:
    """A function call whose frame is gone: no checkpoint has it before the pump has ended."""

    CALL: ClassVar = {"name": "wave", "args": {}}
    LAST = chunk_frame(
        Position(2, 4, 0, 1),
        Position(3, 7, 0, 1),
        '{"candidates":[{"content":{"parts":[{"text":"end"}]}}]}',
    )
    OPEN_END = word_frame(LAST.end, END, {"status": "running"})

    def test_is_waited_for_with_heartbeats(self) -> None:
        site = Site(after=START, row=row("one end"), frames=[self.LAST])
        site.read_until(65)
        assert [batch for _, batch in site.received[1:]] == [[]] * 4
        assert max(site.silences()) <= 15

    def test_comes_from_the_row_once_that_has_it(self) -> None:
        site = Site(after=START, row=row("one end"), frames=[self.LAST])
        site.read_until(1)
        site.row = row("one end", calls=[self.CALL])
        site.frames.append(self.OPEN_END)
        site.read_until(60)
        frames = [frame for _, batch in site.received for frame in batch]
        assert json.loads(frames[1].data)["candidates"][0]["content"]["parts"] == [
            {"functionCall": self.CALL}
        ]
        assert [text_of([frames[0]]), frames[-1]] == ["one end", self.OPEN_END]

    def test_that_the_row_never_gets_does_not_keep_the_end_away(self) -> None:
        site = Site(after=START, row=row("one end"), frames=[self.LAST, self.OPEN_END])
        site.read_until(10)
        error, end = site.received[-1][1]
        assert site.has_ended
        assert "stream_interrupted" in error.data
        assert json.loads(end.data)["status"] == "running"
        # Nothing behind the gap was handed out: who comes again gets all of it.
        assert end.start._replace(number=0) == Position(0, 7, 0, 0)


class TestNobodyPumps:
    """A stream that was interrupted and whose end frame is gone."""

    UNPUMPED: ClassVar = [
        {"status": Status.RUNNING, "polls": 3},
        {"status": Status.RUNNING, "due_at": timezone.now() - timedelta(hours=1)},
        {"status": Status.RUNNING, "remote_id": "r-1"},
        {"status": Status.UNCONFIRMED},
    ]

    @pytest.mark.parametrize(
        "fields", UNPUMPED, ids=["polled", "overdue", "remote id", "unconfirmed"]
    )
    def test_ends_after_a_while(self, fields: dict[str, Any]) -> None:
        site = Site(after=START, row=row("Once ", **fields))
        site.read_until(600)
        *_, (ended_at, (error, end)) = site.received
        assert UNPUMPED_SECONDS <= ended_at <= UNPUMPED_SECONDS + 15
        assert "stream_interrupted" in error.data
        assert json.loads(end.data)["status"] == fields["status"]
        assert text_of([frame for _, batch in site.received for frame in batch]) == "Once "

    def test_ends_as_its_row_where_the_sweep_settles_it_first(self) -> None:
        site = Site(after=START, row=row("Once ", polls=1))
        site.read_until(30)
        site.row = row(WHOLE, status=Status.DONE)
        site.read_until(40)
        frames = [frame for _, batch in site.received for frame in batch]
        assert text_of(frames) == WHOLE
        assert json.loads(frames[-1].data)["status"] == "done"

    def test_is_waited_for_while_its_pump_gives_signs_of_life(self) -> None:
        site = Site(after=START, row=row("Once "))
        site.read_until(3600)
        assert not site.has_ended


class TestExpired:
    @pytest.mark.parametrize("mode", Mode, ids=str)
    def test_ends_with_what_is_known(self, mode: Mode) -> None:
        site = Site(after=START, row=row("Once ", status=Status.EXPIRED, mode=mode, remote_id="r"))
        site.read_until(5)
        (_, (chunk, error, end)) = site.received[-1]
        assert text_of([chunk]) == "Once "
        assert "creatify" not in chunk.data
        assert json.loads(error.data)["code"] == "expired"
        assert json.loads(end.data)["status"] == "expired"

    def test_ends_so_for_a_reader_who_has_an_open_end_in_frames(self) -> None:
        open_end = word_frame(FRAMES[2].end, END, {"status": "running"})
        expired = row("".join(WORDS[:3]), status=Status.EXPIRED)
        site = Site(after=START, row=expired, frames=[*FRAMES[:3], open_end])
        site.read_until(5)
        assert json.loads(site.received[-1][1][-1].data)["status"] == "expired"


class TestFinished:
    def test_is_served_from_the_row_where_frames_are_gone(self) -> None:
        done = row(WHOLE, status=Status.DONE, remote_id="r-1")
        got = drive(Position(2, 10), [[]], iter([done, done]))
        assert text_of(got) == WHOLE[10:]
        assert [frame.event for frame in got] == ["", END]

    def test_is_served_from_frames_where_they_are_there(self) -> None:
        done = row(WHOLE, status=Status.DONE)
        assert drive(START, [FRAMES], iter([done])) == FRAMES

    @given(st.integers(0, 60))
    def test_repeats_nothing_from_any_character(self, cut: int) -> None:
        done = row(WHOLE, status=Status.DONE)
        got = drive(Position(1, cut), [[]], iter([done, done]))
        assert text_of(got) == WHOLE[cut:]


class TestBrokenOff:
    """The frames of a stream that broke off end with an error and the status of that moment."""

    HEARD = FRAMES[:3]
    ERROR_FRAME = word_frame(HEARD[-1].end, ERROR, {"code": "stream_interrupted"})
    FRAMES = (*HEARD, ERROR_FRAME, word_frame(ERROR_FRAME.end, END, {"status": "running"}))

    def test_is_told_as_it_was_while_nobody_knows_more(self) -> None:
        running = row(WHOLE[:5])
        got = drive(START, [[*self.FRAMES]], iter([running, running]))
        assert got == [*self.FRAMES]

    @pytest.mark.parametrize("found", [Status.DONE, Status.FAILED], ids=str)
    def test_ends_as_its_row_once_that_is_final(self, found: Status) -> None:
        final = row(WHOLE, status=found)
        got = drive(START, [[*self.FRAMES]], iter([final, final]))
        assert got[:3] == self.HEARD
        assert text_of(got) == WHOLE
        assert json.loads(got[-1].data)["status"] == found
        assert ("stream_interrupted" in str(got)) is False

    def test_ends_as_its_row_if_the_hub_returns_the_error_before_the_end(self) -> None:
        states = [list(self.FRAMES[:-1]), list(self.FRAMES)]
        got = drive(START, states, iter([row(WHOLE, status=Status.DONE)]))
        assert (text_of(got), [frame.event for frame in got if frame.event]) == (WHOLE, [END])

    def test_hands_out_the_error_with_the_end_if_the_hub_returns_them_one_by_one(self) -> None:
        hub = Site(after=START, row=row(WHOLE[:5]), frames=self.FRAMES[:-1])
        hub.read_until(1)
        hub.frames = list(self.FRAMES)
        hub.read_until(30)
        batches = [[frame.event for frame in batch] for _, batch in hub.received if batch]
        assert batches == [["", "", ""], [ERROR, END]]

    def test_ends_as_its_row_which_came_to_its_end_while_the_reader_read(self) -> None:
        states = [list(self.HEARD), list(self.FRAMES)]
        rows = iter([row(WHOLE, status=Status.DONE)])
        got = drive(START, states, rows)
        assert text_of(got) == WHOLE
        assert json.loads(got[-1].data)["status"] == "done"


class TestNotTakenUp:
    def test_is_called_off_in_time_and_told(self) -> None:
        late = timezone.now() - timedelta(seconds=1)
        queued = row("", status=Status.QUEUED, due_at=late)
        cancelled = row(
            "",
            status=Status.CANCELLED,
            error_code="not_taken_up",
            finished_at=timezone.now() + timedelta(seconds=16),
        )
        rows = iter([queued, queued, cancelled, cancelled])
        error, end = drive(START, [[]], rows)
        assert "not_taken_up" in error.data
        assert json.loads(end.data)["status"] == "cancelled"
