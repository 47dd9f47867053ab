"""From the remote's words to a row: what it learns, when it is looked at again, when it expires."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from creatify_textgen.dispatch.snapshots import (
    Snapshot,
    apply_snapshot,
    apply_snapshots,
    next_poll_at,
    reschedule,
)
from creatify_textgen.models import Generation
from creatify_textgen.remote import RemoteGeneration
from creatify_textgen.states import Cause, Status
from tests.factories import NOW, make_generation

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
def _no_jitter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(random, "uniform", lambda low, high: (low + high) / 2)


def seen(row: Generation, status: str, **fields: Any) -> Snapshot:
    return Snapshot(row, RemoteGeneration(id="r1", status=status, **fields))


def claimed(**fields: Any) -> Generation:
    """Save a row that a sweep has claimed for two minutes."""
    held = {"claim": "5d0c1a3e-0000-4000-8000-000000000000", "due_at": NOW + 2 * DAY}
    row = make_generation(**{"status": Status.PENDING, "submitted_at": NOW, **held, **fields})
    return Generation.objects.get(pk=row.pk)


class TestOutcome:
    def test_of_an_end_is_the_whole_result(self) -> None:
        row = claimed()
        calls = [{"name": "f", "args": {}}]
        result = {"response_text": "Hi", "response_function_calls": calls}
        snapshot = seen(row, "done", credits_used=Decimal("0.5"), **result)
        assert apply_snapshot(snapshot, cause=Cause.POLL, now=NOW, detail="looked")
        row = Generation.objects.get()
        assert (row.remote_id, row.credits_used, row.error_code) == ("r1", Decimal("0.5"), "")
        assert (row.content.response_text, row.content.response_function_calls) == ("Hi", calls)
        event = row.events.get()
        assert (event.cause, event.detail) == ("poll", "looked")

    def test_of_an_end_empties_an_error_of_before(self) -> None:
        row = claimed(error_code="stream_interrupted")
        apply_snapshot(seen(row, "done"), cause=Cause.POLL, now=NOW)
        assert Generation.objects.get().error_code == ""

    @pytest.mark.parametrize(
        ("fields", "status"),
        [
            ({"response_text": "Hi"}, "done"),
            ({"response_function_calls": [{"name": "f", "args": {}}]}, "done"),
            ({"failed_reason": "No."}, "failed"),
            ({}, "expired"),
        ],
        ids=["text", "call", "reason", "nothing"],
    )
    @pytest.mark.parametrize("cost", [Decimal("0.5"), Decimal(), None])
    def test_of_an_unknown_status_is_an_end_once_we_have_stopped_waiting(
        self, fields: dict[str, Any], status: str, cost: Decimal | None
    ) -> None:
        word = "completed"
        row = claimed(status=Status.EXPIRED, remote_id="r1")
        apply_snapshot(seen(row, word, credits_used=cost, **fields), cause=Cause.POLL, now=NOW)
        row = Generation.objects.get()
        assert (row.status, row.credits_used) == (status, (cost or None) if fields else None)
        waiting = Generation(status=Status.PENDING)
        assert seen(waiting, word, credits_used=cost, **fields).target == Status.PENDING

    def test_before_the_end_is_the_id_alone(self) -> None:
        row = claimed()
        snapshot = seen(row, "running", credits_used=Decimal(), response_text="half")
        apply_snapshot(snapshot, cause=Cause.POLL, now=NOW)
        row = Generation.objects.get()
        assert (row.remote_id, row.credits_used, row.content.response_text) == ("r1", None, "")
        assert row.due_at == NOW + timedelta(seconds=2)
        assert row.events.get().detail == ""

    def test_leaves_an_id_that_is_known_as_it_is(self) -> None:
        row = claimed(remote_id="R1")
        apply_snapshot(seen(row, "done"), cause=Cause.POLL, now=NOW)
        assert Generation.objects.get().remote_id == "R1"

    @pytest.mark.parametrize(
        ("reason", "code"),
        [
            ("Insufficient Credits", "insufficient_credits"),
            ("Function call is missing a thought_signature", "missing_thought_signature"),
            ("A Thought Signature is needed", "missing_thought_signature"),
            ("The model is overloaded", "remote_failed"),
            ("", "remote_failed"),
        ],
    )
    def test_of_a_failure_has_a_word_for_it(self, reason: str, code: str) -> None:
        row = claimed()
        apply_snapshot(seen(row, "failed", failed_reason=reason), cause=Cause.POLL, now=NOW)
        row = Generation.objects.get()
        assert (row.error_code, row.content.failed_reason) == (code, reason)

    @pytest.mark.parametrize(
        ("before", "word", "after"),
        [
            ("pending", "DONE", "done"),
            ("pending", "thinking hard", "pending"),
            ("running", "thinking hard", "running"),
            ("running", "pending", "running"),
            ("expired", "thinking hard", "expired"),
            ("unconfirmed", "generating", "running"),
        ],
    )
    def test_takes_a_word_for_what_it_can_be(self, before: str, word: str, after: str) -> None:
        row = claimed(status=before)
        apply_snapshot(seen(row, word), cause=Cause.POLL, now=NOW)
        assert Generation.objects.get().status == after


class TestBatch:
    def test_moves_each_to_its_own_status(self) -> None:
        rows = [claimed() for _ in range(3)]
        words = ("done", "running", "pending")
        snapshots = [
            Snapshot(row, RemoteGeneration(id=f"r{number}", status=word))
            for number, (row, word) in enumerate(zip(rows, words, strict=True))
        ]
        moved = apply_snapshots(snapshots, cause=Cause.POLL, now=NOW, detail="looked")
        assert moved == {rows[0].pk, rows[1].pk}
        assert [Generation.objects.get(pk=row.pk).status for row in rows] == list(words)

    def test_says_where_nothing_moved(self) -> None:
        assert not apply_snapshot(seen(claimed(), "pending"), cause=Cause.POLL, now=NOW)


class TestNextPoll:
    @pytest.mark.parametrize(
        ("polls", "seconds"), [(0, 2), (1, 3), (2, 4.5), (8, 51.2578125), (9, 60), (500, 60)]
    )
    def test_waits_ever_longer_up_to_the_cap(self, polls: int, seconds: float) -> None:
        row = Generation(status=Status.PENDING, polls=polls)
        assert next_poll_at(row, now=NOW) == NOW + timedelta(seconds=seconds)

    def test_never_overflows_however_often_it_was_looked_at(self, settings: Any) -> None:
        settings.CREATIFY_TEXTGEN = {"POLL_MAX_INTERVAL": 1e9}
        row = Generation(status=Status.PENDING, polls=32_000)
        assert next_poll_at(row, now=NOW) == NOW + timedelta(seconds=2 * 1.5**20)

    @pytest.mark.parametrize(("mode", "seconds"), [("async", 10), ("sync", 2), ("stream", 2)])
    def test_is_patient_where_a_webhook_is_expected(
        self, settings: Any, mode: str, seconds: int
    ) -> None:
        settings.CREATIFY_TEXTGEN = {"WEBHOOK_BASE_URL": "https://example.com"}
        row = Generation(status=Status.PENDING, mode=mode)
        assert next_poll_at(row, now=NOW) == NOW + timedelta(seconds=seconds)

    @pytest.mark.parametrize(("polls", "days"), [(0, 1), (1, 2), (3, 8), (4, 16), (5, 30)])
    def test_looks_at_what_has_expired_by_the_day(self, polls: int, days: int) -> None:
        row = Generation(status=Status.EXPIRED, polls=polls)
        assert next_poll_at(row, now=NOW) == NOW + days * DAY

    def test_spreads_what_came_together(self, monkeypatch: pytest.MonkeyPatch) -> None:
        bounds: list[tuple[float, float]] = []

        def note(low: float, high: float) -> float:
            bounds.append((low, high))
            return high

        monkeypatch.setattr(random, "uniform", note)
        row = Generation(status=Status.PENDING)
        assert next_poll_at(row, now=NOW) == NOW + timedelta(seconds=2.2)
        assert bounds == [(0.9, 1.1)]


class TestWait:
    def test_sets_each_row_s_time(self) -> None:
        first, second = claimed(), claimed()
        times = {first: NOW + DAY, second: NOW + 2 * DAY}
        reschedule(times, now=NOW)
        for row, at in times.items():
            row.refresh_from_db()
            assert (row.status, row.due_at) == ("pending", at)

    @pytest.mark.parametrize("since", ["submitted_at", "created_at"])
    def test_expires_what_was_waited_for_too_long(self, since: str) -> None:
        long_ago = NOW - DAY - timedelta(seconds=1)
        old = claimed(**{"submitted_at": None, since: long_ago})
        young = claimed(submitted_at=NOW - DAY)
        reschedule({old: NOW + DAY, young: NOW + DAY}, now=NOW)
        old.refresh_from_db()
        young.refresh_from_db()
        assert (old.status, young.status) == ("expired", "pending")
        assert (old.due_at, young.due_at) == (NOW, NOW + DAY)
        event = old.events.get()
        assert (event.cause, event.at) == ("sweep", NOW)

    @pytest.mark.parametrize("submitted", [NOW, NOW - 2 * DAY])
    def test_counts_from_the_send_and_not_from_the_intent(self, submitted: datetime) -> None:
        row = claimed(created_at=NOW - 2 * DAY, submitted_at=submitted)
        reschedule({row: NOW + DAY}, now=NOW)
        row.refresh_from_db()
        assert (row.status == "expired") is (submitted != NOW)

    @pytest.mark.parametrize(("hour", "status"), [(12, "pending"), (13, "expired")])
    def test_expires_nothing_early_when_clocks_change_in_spring(
        self, settings: Any, hour: int, status: str
    ) -> None:
        settings.USE_TZ, settings.TIME_ZONE = False, "Europe/Berlin"
        sent_at, now = (
            datetime.fromisoformat("2026-03-28 12:00"),
            datetime.fromisoformat(f"2026-03-29 {hour}:30"),
        )
        row = claimed(**dict.fromkeys(["created_at", "submitted_at", "due_at"], sent_at))
        reschedule({row: now}, now=now)
        row.refresh_from_db()
        assert row.status == status

    def test_expires_nothing_twice(self) -> None:
        row = claimed(status=Status.EXPIRED, submitted_at=NOW - 9 * DAY)
        reschedule({row: NOW + DAY}, now=NOW)
        row.refresh_from_db()
        assert (row.status, row.due_at) == ("expired", NOW + DAY)
        assert not row.events.exists()

    def test_of_none_asks_the_database_nothing(self, django_assert_num_queries: Any) -> None:
        with django_assert_num_queries(0):
            reschedule({}, now=NOW)
