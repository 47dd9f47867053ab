"""What each move writes, to the column: row, timeline and the object that was given."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import DatabaseError, IntegrityError

from creatify_textgen import lifecycle
from creatify_textgen.exceptions import TransitionError
from creatify_textgen.lifecycle import Arrival, Outcome, moves
from creatify_textgen.models import Generation
from creatify_textgen.states import Cause, Status
from tests.factories import NOW, make_generation

pytestmark = pytest.mark.django_db

SOON = NOW + timedelta(seconds=5)
LEASE = NOW + timedelta(seconds=50)
COLUMNS = ("due_at", "lease_until", "finished_at", "partial", "credits_used", "error_code")

Mark = Callable[[Generation], bool]


def submitting(row: Generation) -> bool:
    return lifecycle.mark_submitting(row, now=NOW, lease_seconds=50)


def pending(row: Generation) -> bool:
    arrival = Arrival(Outcome(remote_id="r1"), SOON, "accepted")
    arrivals = {row.pk: arrival}
    return bool(lifecycle.mark_arrived(arrivals, to=Status.PENDING, cause=Cause.SUBMIT, now=NOW))


def running(row: Generation) -> bool:
    arrival = Arrival(due_at=SOON, detail="it runs")
    return lifecycle.mark_running(row.pk, cause=Cause.STREAM, now=NOW, arrival=arrival)


def done(row: Generation) -> bool:
    outcome = Outcome(credits_used=Decimal(2))
    return lifecycle.mark_done(
        row.pk, cause=Cause.POLL, now=NOW, outcome=outcome, detail="with a text"
    )


def done_in_silence(row: Generation) -> bool:
    outcome = Outcome(partial=True)
    return lifecycle.mark_done(row.pk, cause=Cause.POLL, now=NOW, outcome=outcome)


def failed(row: Generation) -> bool:
    outcome = Outcome(error_code="blocked", credits_used=Decimal())
    return lifecycle.mark_failed(row.pk, cause=Cause.WEBHOOK, now=NOW, outcome=outcome)


def failed_in_silence(row: Generation) -> bool:
    return lifecycle.mark_failed(row.pk, cause=Cause.WEBHOOK, now=NOW, outcome=Outcome())


def failed_with_detail(row: Generation) -> bool:
    outcome = Outcome(error_code="blocked")
    return lifecycle.mark_failed(
        row.pk, cause=Cause.POLL, now=NOW, outcome=outcome, detail="more to say"
    )


def queued(row: Generation) -> bool:
    return lifecycle.mark_queued(
        row.pk, cause=Cause.SUBMIT, now=NOW, retry_at=SOON, detail="503", attempt=3
    )


def unconfirmed(row: Generation) -> bool:
    return lifecycle.mark_unconfirmed(
        row.pk, cause=Cause.SWEEP, now=NOW, due_at=SOON, detail="reset", attempt=3
    )


def expired(row: Generation) -> bool:
    arrivals = {row.pk: Arrival(due_at=SOON, detail="no result in time")}
    return bool(lifecycle.mark_arrived(arrivals, to=Status.EXPIRED, cause=Cause.SWEEP, now=NOW))


def cancelled(row: Generation) -> bool:
    return lifecycle.mark_cancelled(row.pk, cause=Cause.OPERATOR, now=NOW, detail="by Ada")


def cancelled_in_silence(row: Generation) -> bool:
    return lifecycle.mark_cancelled(row.pk, cause=Cause.OPERATOR, now=NOW)


MARKS: list[Any] = [
    (submitting, "queued", (LEASE, LEASE, None, False, None, ""), ("submit", "")),
    (pending, "submitting", (SOON, None, None, False, None, ""), ("submit", "accepted")),
    (running, "pending", (SOON, None, None, False, None, ""), ("stream", "it runs")),
    (done, "running", (None, None, NOW, False, 2, ""), ("poll", "with a text")),
    (done_in_silence, "running", (None, None, NOW, True, None, ""), ("poll", "")),
    (failed, "pending", (None, None, NOW, False, 0, "blocked"), ("webhook", "blocked")),
    (failed_in_silence, "pending", (None, None, NOW, False, None, ""), ("webhook", "")),
    (
        failed_with_detail,
        "pending",
        (None, None, NOW, False, None, "blocked"),
        ("poll", "more to say"),
    ),
    (queued, "submitting", (SOON, None, None, False, None, ""), ("submit", "503")),
    (unconfirmed, "submitting", (SOON, None, None, False, None, ""), ("sweep", "reset")),
    (expired, "running", (SOON, None, None, False, None, ""), ("sweep", "no result in time")),
    (cancelled, "queued", (None, None, NOW, False, 0, ""), ("operator", "by Ada")),
    (cancelled_in_silence, "queued", (None, None, NOW, False, 0, ""), ("operator", "")),
]


@pytest.mark.parametrize(
    ("mark", "source", "row", "event"), MARKS, ids=[case[0].__name__ for case in MARKS]
)
class TestMark:
    def test_writes_its_columns(
        self, mark: Mark, source: str, row: tuple[Any, ...], event: tuple[str, str]
    ) -> None:
        before = NOW - timedelta(hours=1)
        generation = make_generation(status=source, lease_until=before, attempts=3, polls=7)
        assert mark(generation)
        written = Generation.objects.get()
        assert tuple(getattr(written, name) for name in COLUMNS) == row
        assert (written.polls, written.updated_at) == (0, NOW)

    def test_adds_one_line_to_the_timeline(
        self, mark: Mark, source: str, row: tuple[Any, ...], event: tuple[str, str]
    ) -> None:
        generation = make_generation(status=source, attempts=3)
        mark(generation)
        (line,) = generation.events.all()
        assert (line.cause, line.detail) == event
        assert (line.at, line.status) == (NOW, Generation.objects.get().status)

    def test_touches_no_other_row(
        self, mark: Mark, source: str, row: tuple[Any, ...], event: tuple[str, str]
    ) -> None:
        other = make_generation(status=source, attempts=3)
        before = Generation.objects.filter(pk=other.pk).values().get()
        mark(make_generation(status=source, attempts=3))
        assert Generation.objects.filter(pk=other.pk).values().get() == before
        assert not other.events.exists()


class TestLease:
    def test_is_told_to_the_object_that_asked(self) -> None:
        generation = make_generation(attempts=2)
        submitting(generation)
        written = Generation.objects.get()
        names = ("status", "attempts", "lease_until", "due_at", "submitted_at")
        reported = [getattr(generation, name) for name in names]
        assert reported == [getattr(written, name) for name in names]
        assert reported == ["submitting", 3, LEASE, LEASE, NOW]

    @pytest.mark.parametrize(
        "meanwhile", [{"attempts": 1}, {"unverified_remote_id": "r1"}], ids=["a send", "a delivery"]
    )
    def test_is_lost_to_what_came_meanwhile(self, meanwhile: dict[str, Any]) -> None:
        generation = make_generation()
        Generation.objects.update(**meanwhile)
        assert not submitting(generation)
        assert generation.status == Status.QUEUED


class TestNumberOfTheSend:
    @pytest.mark.parametrize("mark", [queued, unconfirmed])
    def test_keeps_a_late_word_from_a_later_send(self, mark: Mark) -> None:
        assert not mark(make_generation(status=Status.SUBMITTING, attempts=4))

    @pytest.mark.parametrize(("attempt", "won"), [(3, True), (4, False), (None, True)])
    def test_narrows_a_failure_where_it_is_given(self, attempt: int | None, won: bool) -> None:
        row = make_generation(status=Status.SUBMITTING, attempts=3)
        reported = lifecycle.mark_failed(
            row.pk, cause=Cause.SUBMIT, now=NOW, outcome=Outcome(), attempt=attempt
        )
        assert reported is won


class TestPartialText:
    @pytest.mark.parametrize(("mark", "partial"), [(done, False), (failed, True)])
    def test_is_whole_only_once_it_is_done(self, mark: Mark, *, partial: bool) -> None:
        mark(make_generation(status=Status.RUNNING, partial=True))
        assert Generation.objects.get().partial is partial


class TestArrivals:
    def test_are_written_each_with_its_own(self) -> None:
        rows = [make_generation(status=Status.PENDING) for _ in range(2)]
        arrivals = {
            row.pk: Arrival(Outcome(), NOW + timedelta(seconds=number), f"detail {number}")
            for number, row in enumerate(rows)
        }
        lifecycle.mark_arrived(arrivals, to=Status.RUNNING, cause=Cause.POLL, now=NOW)
        for number, row in enumerate(rows):
            row.refresh_from_db()
            assert row.due_at == NOW + timedelta(seconds=number)
            assert [event.detail for event in row.events.all()] == [f"detail {number}"]

    def test_without_a_time_are_due_now(self) -> None:
        row = make_generation(status=Status.PENDING)
        lifecycle.mark_arrived({row.pk: Arrival()}, to=Status.RUNNING, cause=Cause.POLL, now=NOW)
        row.refresh_from_db()
        assert row.due_at == NOW

    def test_of_none_ask_the_database_nothing(self, django_assert_num_queries: Any) -> None:
        with django_assert_num_queries(0):
            assert not lifecycle.mark_arrived({}, to=Status.DONE, cause=Cause.POLL, now=NOW)


class TestMove:
    def test_keeps_as_much_of_a_detail_as_the_timeline_holds(self) -> None:
        row = make_generation(status=Status.PENDING)
        arrival = Arrival(detail="x" * 300)
        lifecycle.mark_running(row.pk, cause=Cause.POLL, now=NOW, arrival=arrival)
        assert row.events.get().detail == "x" * 255

    def test_says_that_a_remote_id_is_another_row_s(self) -> None:
        make_generation(status=Status.PENDING, remote_id="r1")
        with pytest.raises(
            TransitionError, match=r"^Another generation has this remote id already.$"
        ):
            pending(make_generation(status=Status.SUBMITTING))

    def test_does_not_take_another_refusal_for_that(self) -> None:
        row = make_generation(status=Status.PENDING)
        # Open rows have a time to look at them, says a constraint.
        move = moves.Move(row.pk, {"remote_id": "r1", "due_at": None})
        with pytest.raises(IntegrityError, match=r"textgen_never_forgotten|CONSTRAINT"):
            moves.make_moves([move], to=Status.RUNNING, cause=Cause.POLL, now=NOW)
        row.refresh_from_db()
        assert (row.status, row.remote_id) == (Status.PENDING, None)

    @pytest.mark.django_db(transaction=True)
    def test_is_won_whatever_becomes_of_its_announcement(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(_: Any) -> None:
            raise DatabaseError("gone")

        monkeypatch.setattr(moves, "announce", fail)
        assert done(make_generation(status=Status.RUNNING))

    def test_twice_with_the_same_times_is_no_second_move(self) -> None:
        row = make_generation(status=Status.RUNNING)
        assert (done(row), done(row)) == (True, False)
        assert row.events.count() == 1
