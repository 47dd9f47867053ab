"""Every move of the table, and every move that is not in it, on a real database."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from creatify_textgen import lifecycle
from creatify_textgen.exceptions import TransitionError
from creatify_textgen.lifecycle import Arrival, Outcome
from creatify_textgen.lifecycle.marks import ANNOUNCE_WITHIN
from creatify_textgen.models import Generation, GenerationEvent, UsageDay
from creatify_textgen.signals import generation_finished, generation_status_changed
from creatify_textgen.states import TERMINAL, TRANSITIONS, Cause, Status
from tests.factories import NOW, make_generation

pytestmark = pytest.mark.django_db

SOON = NOW + timedelta(seconds=5)


def _move(generation: Generation, to: Status) -> bool:  # noqa: C901  one case a status
    common: dict[str, Any] = {"cause": Cause.POLL, "now": NOW}
    number = {"attempt": generation.attempts}
    match to:
        case Status.SUBMITTING:
            return lifecycle.mark_submitting(generation, now=NOW, lease_seconds=50)
        case Status.PENDING:
            return bool(lifecycle.mark_arrived({generation.pk: Arrival()}, to=to, **common))
        case Status.RUNNING:
            return lifecycle.mark_running(generation.pk, arrival=Arrival(), **common)
        case Status.DONE:
            return lifecycle.mark_done(generation.pk, outcome=Outcome(), **common)
        case Status.FAILED:
            return lifecycle.mark_failed(generation.pk, outcome=Outcome(), **common)
        case Status.QUEUED:
            return lifecycle.mark_queued(
                generation.pk, retry_at=SOON, detail="", **common, **number
            )
        case Status.UNCONFIRMED:
            return lifecycle.mark_unconfirmed(
                generation.pk, due_at=SOON, detail="", **common, **number
            )
        case Status.EXPIRED:
            late = {generation.pk: Arrival(due_at=SOON)}
            return bool(lifecycle.mark_arrived(late, to=to, **common))
        case Status.CANCELLED:
            return lifecycle.mark_cancelled(generation.pk, **common)


class TestTableOfMoves:
    @pytest.mark.parametrize("source", Status, ids=str)
    @pytest.mark.parametrize("target", Status, ids=str)
    def test_wins_exactly_what_the_table_allows(self, source: Status, target: Status) -> None:
        generation = make_generation(status=source)
        won = _move(generation, target)
        generation.refresh_from_db()
        assert won is (target in TRANSITIONS[source])
        assert generation.status == (target if won else source)
        assert GenerationEvent.objects.count() == won

    @pytest.mark.parametrize("target", Status, ids=str)
    def test_leaves_every_open_row_with_a_time_to_look(self, target: Status) -> None:
        source = next((s for s, after in TRANSITIONS.items() if target in after), Status.QUEUED)
        generation = make_generation(status=source)
        _move(generation, target)
        generation.refresh_from_db()
        assert (generation.due_at is None) == (target in TERMINAL)

    def test_leaves_a_final_row_due_for_its_announcement_if_the_host_listens(self) -> None:
        def listen(**_: Any) -> None:
            raise AssertionError("It is not announced before the commit.")

        generation = make_generation(status=Status.PENDING)
        generation_finished.connect(listen)
        try:
            _move(generation, Status.DONE)
        finally:
            generation_finished.disconnect(listen)
        generation.refresh_from_db()
        assert generation.due_at == NOW + ANNOUNCE_WITHIN


class TestResult:
    def test_is_written_with_the_move(self) -> None:
        generation = make_generation(status=Status.PENDING)
        outcome = Outcome(
            credits_used=Decimal("0.00005"),
            response_text="Hi",
            response_function_calls=[{"name": "f", "args": {"on": True}}],
            finish_reason="STOP",
        )
        lifecycle.mark_done(generation.pk, cause=Cause.POLL, now=NOW, outcome=outcome)
        generation.refresh_from_db()
        assert generation.credits_used == Decimal("0.00005")
        assert generation.finish_reason == "STOP"
        assert generation.finished_at == NOW
        assert generation.content.response_text == "Hi"
        assert generation.content.response_function_calls == [{"name": "f", "args": {"on": True}}]

    def test_keeps_apart_what_python_holds_equal(self) -> None:
        first, second = (make_generation(status=Status.PENDING) for _ in range(2))
        calls = {
            first.pk: [{"name": "f", "args": {"on": True}}],
            second.pk: [{"name": "f", "args": {"on": 1}}],
        }
        arrivals = {
            pk: Arrival(Outcome(response_function_calls=call)) for pk, call in calls.items()
        }
        lifecycle.mark_arrived(arrivals, to=Status.DONE, cause=Cause.POLL, now=NOW)
        first.content.refresh_from_db()
        assert first.content.response_function_calls[0]["args"]["on"] is True

    def test_what_is_not_told_stays(self) -> None:
        generation = make_generation(
            status=Status.RUNNING, credits_used=Decimal(2), content={"response_text": "kept"}
        )
        lifecycle.mark_failed(generation.pk, cause=Cause.POLL, now=NOW, outcome=Outcome())
        generation.refresh_from_db()
        assert (generation.credits_used, generation.content.response_text) == (Decimal(2), "kept")

    def test_refuses_a_remote_id_that_another_row_has(self) -> None:
        make_generation(status=Status.PENDING, remote_id="r1")
        generation = make_generation(status=Status.SUBMITTING)
        with pytest.raises(TransitionError) as caught:
            lifecycle.mark_running(
                generation.pk,
                cause=Cause.SUBMIT,
                now=NOW,
                arrival=Arrival(Outcome(remote_id="r1")),
            )
        generation.refresh_from_db()
        assert caught.value.code == "remote_id_taken"
        assert generation.status == Status.SUBMITTING


class TestBatch:
    def test_costs_as_few_statements_for_500_rows_as_for_2(
        self, django_assert_max_num_queries: Any
    ) -> None:
        # The first of a day insert the day's sums.
        first = {make_generation(status=Status.PENDING).pk: Arrival() for _ in range(300)}
        lifecycle.mark_arrived(first, to=Status.DONE, cause=Cause.POLL, now=NOW)
        for size in (2, 500):
            rows = [make_generation(status=Status.PENDING) for _ in range(size)]
            arrivals = {
                row.pk: Arrival(Outcome(response_text=str(i), credits_used=Decimal(i) / 1000))
                for i, row in enumerate(rows)
            }
            # Two are SQLite's, which takes 999 values in one INSERT.
            with django_assert_max_num_queries(12):
                moved = lifecycle.mark_arrived(arrivals, to=Status.DONE, cause=Cause.POLL, now=NOW)
            assert moved == set(arrivals)
            rows[-1].refresh_from_db()
            assert rows[-1].credits_used == Decimal(size - 1) / 1000
            assert rows[-1].content.response_text == str(size - 1)

    def test_moves_those_that_can_move(self) -> None:
        open_row = make_generation(status=Status.PENDING)
        final = make_generation(status=Status.CANCELLED)
        arrivals = {row.pk: Arrival(Outcome(response_text="x")) for row in (open_row, final)}
        moved = lifecycle.mark_arrived(arrivals, to=Status.DONE, cause=Cause.POLL, now=NOW)
        final.content.refresh_from_db()
        assert moved == {open_row.pk}
        assert final.content.response_text == ""


class TestRollup:
    def test_adds_once_however_often_it_is_told(self) -> None:
        generation = make_generation(status=Status.PENDING)
        outcome = Outcome(credits_used=Decimal("0.5"))
        for _ in range(3):
            lifecycle.mark_done(generation.pk, cause=Cause.POLL, now=NOW, outcome=outcome)
        usage = UsageDay.objects.get()
        assert (usage.generations, usage.credits_used, usage.credits_unknown) == (
            1,
            Decimal("0.5"),
            0,
        )

    def test_says_what_is_unknown(self) -> None:
        generation = make_generation(status=Status.PENDING)
        lifecycle.mark_failed(generation.pk, cause=Cause.POLL, now=NOW, outcome=Outcome())
        usage = UsageDay.objects.get()
        assert (usage.generations, usage.credits_used, usage.credits_unknown) == (1, 0, 1)

    def test_follows_a_correction(self) -> None:
        generation = make_generation(status=Status.PENDING)
        lifecycle.mark_done(generation.pk, cause=Cause.POLL, now=NOW, outcome=Outcome())
        generation.refresh_from_db()
        assert lifecycle.correct_credits(generation, Decimal("0.25"))
        assert not lifecycle.correct_credits(
            Generation(pk=generation.pk, credits_used=None), Decimal(1)
        )
        usage = UsageDay.objects.get()
        assert (usage.credits_used, usage.credits_unknown) == (Decimal("0.25"), 0)

    @pytest.mark.parametrize("status", sorted(TERMINAL), ids=str)
    def test_counts_each_final_status_apart(self, status: Status) -> None:
        source = next(s for s, after in TRANSITIONS.items() if status in after)
        _move(make_generation(status=source), status)
        assert UsageDay.objects.get().status == status


@pytest.mark.django_db(transaction=True)
class TestSignals:
    def test_finished_is_sent_once(self) -> None:
        received: list[Any] = []

        def listen(generation: Generation, **_: Any) -> None:
            received.append(generation.pk)

        generation_finished.connect(listen)
        generation = make_generation(status=Status.PENDING)
        for _ in range(2):
            lifecycle.mark_done(generation.pk, cause=Cause.POLL, now=NOW, outcome=Outcome())
        lifecycle.announce_overdue(now=NOW + timedelta(days=1), limit=10)
        generation_finished.disconnect(listen)
        assert received == [generation.pk]

    def test_a_receiver_that_raises_takes_nothing_from_the_others(self) -> None:
        received: list[str] = []

        def broken(**_: Any) -> None:
            raise ValueError("a host's mistake")

        def listen(generation: Generation, **_: Any) -> None:
            received.append(generation.status)

        generation_status_changed.connect(broken)
        generation_status_changed.connect(listen)
        generation = make_generation(status=Status.PENDING)
        lifecycle.mark_running(generation.pk, cause=Cause.POLL, now=NOW, arrival=Arrival())
        generation_status_changed.disconnect(broken)
        generation_status_changed.disconnect(listen)
        assert received == ["running"]

    def test_an_announcement_that_a_crash_swallowed_is_made_by_the_sweep(self) -> None:
        received: list[Any] = []

        def listen(generation: Generation, **_: Any) -> None:
            received.append(generation.pk)

        generation = make_generation(
            status=Status.DONE, finished_at=NOW, due_at=NOW + timedelta(seconds=60)
        )
        generation_finished.connect(listen)
        assert lifecycle.announce_overdue(now=NOW + timedelta(seconds=59), limit=10) == 0
        assert lifecycle.announce_overdue(now=NOW + timedelta(seconds=61), limit=10) == 1
        assert lifecycle.announce_overdue(now=NOW + timedelta(seconds=62), limit=10) == 0
        generation_finished.disconnect(listen)
        assert received == [generation.pk]
