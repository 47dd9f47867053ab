"""Claims, deliveries and checkpoints on a real database."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, transaction

from creatify_textgen import lifecycle
from creatify_textgen.exceptions import TransitionError
from creatify_textgen.lifecycle import Arrival, Outcome, claims
from creatify_textgen.models import Generation
from creatify_textgen.states import Cause, Status
from tests.factories import NOW, make_generation

pytestmark = pytest.mark.django_db

PAST = NOW - timedelta(seconds=1)
SECOND = timedelta(seconds=1)
HOLD = NOW + timedelta(seconds=120)


def _claim(limit: int = 500) -> list[Generation]:
    return lifecycle.claim_due([Status.PENDING], now=NOW, hold_until=HOLD, limit=limit)


def _deliver(generation: Generation, remote_id: str = "r1", now: Any = NOW) -> bool:
    return lifecycle.note_delivery(
        generation.pk, remote_id, now=now, second_ago=now - SECOND, second_later=now + SECOND
    )


def _fresh(row: Generation) -> Generation:
    return Generation.objects.get(pk=row.pk)


class TestCounters:
    """A counter that is full stays full: one row must not keep the others of its batch waiting."""

    @pytest.mark.parametrize("by", ["a sweep", "an operator"])
    def test_of_polls_stops_at_its_largest(self, by: str) -> None:
        full = make_generation(status=Status.PENDING, due_at=PAST, polls=32_767)
        other = make_generation(status=Status.PENDING, due_at=PAST)
        if by == "a sweep":
            assert len(_claim()) == 2
        for row in (full, other) if by == "an operator" else ():
            assert lifecycle.claim_one(row.pk, now=NOW, hold_until=HOLD)
        assert [_fresh(full).polls, _fresh(other).polls] == [32_767, 1]

    def test_of_deliveries_stops_at_its_largest(self) -> None:
        full = make_generation(status=Status.PENDING, deliveries=2**31 - 1)
        assert _deliver(full)
        assert _fresh(full).deliveries == 2**31 - 1

    def test_of_sends_stops_at_its_largest(self) -> None:
        full = make_generation(attempts=2**31 - 1)
        assert lifecycle.mark_submitting(full, now=NOW, lease_seconds=50)
        assert (_fresh(full).attempts, full.attempts) == (2**31 - 1, 2**31 - 1)

    def test_of_sends_has_room_for_years(self) -> None:
        row = make_generation(attempts=32_767)
        assert lifecycle.mark_submitting(row, now=NOW, lease_seconds=50)
        assert _fresh(row).attempts == 32_768


class TestClaim:
    def test_takes_what_is_due_and_nothing_else(self) -> None:
        due = make_generation(status=Status.PENDING, due_at=PAST)
        make_generation(status=Status.PENDING, due_at=NOW + SECOND)
        make_generation(status=Status.QUEUED, due_at=PAST)
        make_generation(status=Status.DONE, due_at=PAST)
        assert [row.pk for row in _claim()] == [due.pk]

    def test_a_second_sweep_gets_nothing(self) -> None:
        make_generation(status=Status.PENDING, due_at=PAST)
        assert (len(_claim()), len(_claim())) == (1, 0)

    def test_takes_nothing_that_another_sweep_took_a_moment_before(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        row = make_generation(status=Status.PENDING, due_at=PAST)
        take, theirs = claims._claim, []

        def take_after_another(ids: Any, **options: Any) -> list[Generation]:
            monkeypatch.setattr(claims, "_claim", take)
            theirs.extend(_claim())
            return take(ids, **options)

        monkeypatch.setattr(claims, "_claim", take_after_another)
        assert (_claim(), theirs) == ([], [row])

    def test_a_dead_sweep_s_rows_come_due_again(self) -> None:
        row = make_generation(status=Status.PENDING, due_at=PAST)
        _claim()
        row.refresh_from_db()
        assert row.due_at == HOLD

    def test_keeps_to_its_limit(self) -> None:
        for _ in range(3):
            make_generation(status=Status.PENDING, due_at=PAST)
        assert (len(_claim(2)), len(_claim(2))) == (2, 1)

    def test_notes_whose_each_row_is_and_since_when(self) -> None:
        make_generation(status=Status.PENDING, due_at=PAST, polls=2)
        (row,) = _claim()
        assert (row.polled_at, row.polls, row.due_at) == (NOW, 3, HOLD)
        assert row.claim is not None

    def test_of_nothing_due_costs_one_question(self, django_assert_max_num_queries: Any) -> None:
        with django_assert_max_num_queries(1 + 2):  # and a savepoint
            assert _claim() == []


class TestClaimOne:
    def test_takes_a_row_that_is_not_due(self) -> None:
        row = make_generation(status=Status.PENDING, due_at=NOW + SECOND)
        other = make_generation(status=Status.PENDING, due_at=NOW + SECOND)
        claimed = lifecycle.claim_one(row.pk, now=NOW, hold_until=HOLD)
        assert claimed is not None
        assert (claimed.pk, claimed.polled_at, claimed.due_at) == (row.pk, NOW, HOLD)
        other.refresh_from_db()
        assert (other.claim, other.due_at) == (None, NOW + SECOND)

    def test_takes_no_final_row(self) -> None:
        row = make_generation(status=Status.DONE, due_at=PAST)
        assert lifecycle.claim_one(row.pk, now=NOW, hold_until=HOLD) is None
        row.refresh_from_db()
        assert row.due_at == PAST


class TestMakeDue:
    def test_ends_the_claim(self) -> None:
        row, other = (make_generation(status=Status.PENDING, due_at=PAST) for _ in range(2))
        _claim()
        assert lifecycle.make_due(row.pk, at=NOW) is True
        row.refresh_from_db()
        other.refresh_from_db()
        assert (row.due_at, row.claim) == (NOW, None)
        assert other.due_at == HOLD

    def test_leaves_a_final_row_alone(self) -> None:
        row = make_generation(status=Status.DONE)
        assert lifecycle.make_due(row.pk, at=NOW) is False
        row.refresh_from_db()
        assert row.due_at is None


class TestDropHint:
    def test_forgets_that_row_s_hint_and_says_when_to_look(self) -> None:
        row, other = (make_generation(unverified_remote_id="r1") for _ in range(2))
        lifecycle.drop_unverified_id(row, due_at=HOLD)
        row.refresh_from_db()
        other.refresh_from_db()
        assert (row.unverified_remote_id, row.due_at) == ("", HOLD)
        assert other.unverified_remote_id == "r1"

    @pytest.mark.parametrize(
        "meanwhile",
        [{"unverified_remote_id": "r2"}, {"status": Status.DONE}],
        ids=["another hint", "an end"],
    )
    def test_gives_way_to_what_came_meanwhile(self, meanwhile: dict[str, Any]) -> None:
        row = make_generation(status=Status.SUBMITTING, unverified_remote_id="r1")
        Generation.objects.update(**meanwhile)
        before = Generation.objects.values().get()
        lifecycle.drop_unverified_id(row, due_at=HOLD)
        assert Generation.objects.values().get() == before


class TestKeepRemoteId:
    @pytest.fixture
    def row(self) -> Generation:
        make_generation(status=Status.EXPIRED, due_at=PAST)
        (row,) = lifecycle.claim_due([Status.EXPIRED], now=NOW, hold_until=HOLD, limit=1)
        return row

    def test_is_that_row_s_and_says_when_to_look(self, row: Generation) -> None:
        other = make_generation(status=Status.EXPIRED, claim=row.claim)
        assert lifecycle.keep_remote_id(row, "r1", due_at=NOW + SECOND) is True
        row.refresh_from_db()
        other.refresh_from_db()
        assert (row.remote_id, row.due_at, other.remote_id) == ("r1", NOW + SECOND, None)

    @pytest.mark.parametrize(
        "meanwhile",
        [{"claim": uuid.uuid4()}, {"remote_id": "r2"}, {"status": Status.DONE}],
        ids=["another claim", "another id", "an end"],
    )
    def test_gives_way_to_what_came_meanwhile(
        self, row: Generation, meanwhile: dict[str, Any]
    ) -> None:
        Generation.objects.update(**meanwhile)
        before = Generation.objects.values().get()
        assert lifecycle.keep_remote_id(row, "r1", due_at=NOW) is False
        assert Generation.objects.values().get() == before

    def test_is_refused_where_another_row_has_it(self, row: Generation) -> None:
        make_generation(status=Status.DONE, remote_id="r1")
        with pytest.raises(TransitionError, match=r"^Another generation has this remote id") as e:
            lifecycle.keep_remote_id(row, "r1", due_at=NOW)
        assert e.value.code == "remote_id_taken"


class TestPostpone:
    def test_leaves_alone_what_it_was_not_told_of(self) -> None:
        for _ in range(2):
            make_generation(status=Status.PENDING, due_at=PAST)
        mine, other = _claim()
        lifecycle.reschedule({mine: NOW + SECOND})
        other.refresh_from_db()
        assert other.due_at == HOLD

    def test_sets_each_row_s_own_time(self) -> None:
        for _ in range(2):
            make_generation(status=Status.PENDING, due_at=PAST)
        rows = _claim()
        times = {row: NOW + SECOND * (i + 5) for i, row in enumerate(rows)}
        lifecycle.reschedule(times)
        for row, at in times.items():
            row.refresh_from_db()
            assert row.due_at == at

    def test_gives_way_to_a_delivery_that_came_meanwhile(self) -> None:
        row = make_generation(status=Status.PENDING, due_at=PAST)
        (claimed,) = _claim()
        _deliver(row)
        lifecycle.reschedule({claimed: NOW + timedelta(hours=1)})
        row.refresh_from_db()
        assert row.due_at == NOW + SECOND


class TestDelivery:
    def test_makes_the_row_due_now(self) -> None:
        row = make_generation(status=Status.PENDING, remote_id="r1")
        assert _deliver(row)
        row.refresh_from_db()
        assert (row.due_at, row.deliveries, row.unverified_remote_id) == (NOW, 1, "")

    def test_keeps_a_remote_id_as_a_hint_only(self) -> None:
        row = make_generation(status=Status.SUBMITTING)
        _deliver(row, "r9")
        row.refresh_from_db()
        assert (row.remote_id, row.unverified_remote_id) == (None, "r9")

    def test_a_flood_costs_one_look_a_second(self) -> None:
        row = make_generation(status=Status.PENDING, polled_at=NOW, due_at=HOLD)
        for milliseconds in (100, 400, 900):
            _deliver(row, now=NOW + timedelta(milliseconds=milliseconds))
        row.refresh_from_db()
        assert row.due_at >= NOW + SECOND

    def test_never_puts_a_look_off(self) -> None:
        row = make_generation(status=Status.PENDING, due_at=PAST)
        _deliver(row)
        row.refresh_from_db()
        assert row.due_at == PAST

    @pytest.mark.parametrize("status", ["done", "failed", "cancelled"])
    def test_leaves_a_final_row_alone(self, status: str) -> None:
        row = make_generation(status=status)
        assert not _deliver(row)
        row.refresh_from_db()
        assert (row.deliveries, row.due_at) == (0, None)

    def test_of_nobody_s_row_changes_nothing(self) -> None:
        assert not _deliver(Generation(pk=uuid.uuid4()))

    def test_costs_one_statement(self, django_assert_num_queries: Any) -> None:
        row = make_generation(status=Status.PENDING)
        with django_assert_num_queries(1):
            _deliver(row)


def progress(text: str, thoughts: str = "") -> Outcome:
    return Outcome(response_text=text, response_thoughts=thoughts, partial=True)


SO_FAR = progress("so far")


class TestCheckpoints:
    def test_saves_the_text_so_far_and_says_it_is_partial(self) -> None:
        row = make_generation(status=Status.RUNNING)
        lifecycle.save_checkpoints({row.pk: SO_FAR}, now=NOW, due_at=HOLD)
        row.refresh_from_db()
        assert (row.content.response_text, row.partial, row.due_at) == (
            "so far",
            True,
            HOLD,
        )

    def test_saves_each_stream_its_own(self) -> None:
        rows = [make_generation(status=Status.RUNNING) for _ in range(2)]
        bystander = make_generation(status=Status.RUNNING)
        checkpoints = {row.pk: progress(f"text {row.pk}", f"why {row.pk}") for row in rows}
        lifecycle.save_checkpoints(checkpoints, now=NOW, due_at=HOLD)
        for row in rows:
            row.refresh_from_db()
            content = row.content
            assert content.response_text == f"text {row.pk}"
            assert content.response_thoughts == f"why {row.pk}"
            assert row.updated_at == NOW
        bystander.refresh_from_db()
        assert (bystander.partial, bystander.content.response_text) == (False, "")
        assert bystander.due_at != HOLD

    @pytest.mark.parametrize("status", [Status.UNCONFIRMED, Status.PENDING, Status.SUBMITTING])
    def test_saves_what_is_received_of_a_row_that_was_doubted(self, status: str) -> None:
        row = make_generation(status=status, polls=3)
        lifecycle.save_checkpoints({row.pk: SO_FAR}, now=NOW, due_at=HOLD)
        row.refresh_from_db()
        assert (row.content.response_text, row.polls, row.updated_at) == ("so far", 0, NOW)

    def test_saves_none_of_what_has_moved_on_beside_what_has_not(self) -> None:
        running = make_generation(status=Status.RUNNING)
        ended = make_generation(status=Status.DONE, content={"response_text": "all of it"})
        checkpoints = {row.pk: SO_FAR for row in (running, ended)}
        lifecycle.save_checkpoints(checkpoints, now=NOW, due_at=HOLD)
        ended.refresh_from_db()
        assert ended.content.response_text == "all of it"

    def test_never_overwrites_a_result(self) -> None:
        row = make_generation(status=Status.RUNNING)
        lifecycle.mark_done(
            row.pk, cause=Cause.STREAM, now=NOW, outcome=Outcome(response_text="all of it")
        )
        lifecycle.save_checkpoints({row.pk: SO_FAR}, now=NOW, due_at=HOLD)
        row.refresh_from_db()
        assert (row.content.response_text, row.partial) == ("all of it", False)


class TestDatabase:
    def test_refuses_an_open_row_that_nothing_will_look_at(self) -> None:
        row = make_generation(status=Status.PENDING)
        with pytest.raises(IntegrityError), transaction.atomic():
            Generation.objects.filter(pk=row.pk).update(due_at=None)

    def test_keeps_the_order_of_creation_in_the_ids(self) -> None:
        rows = [make_generation() for _ in range(20)]
        assert list(Generation.objects.order_by("pk")) == rows

    def test_has_a_remote_id_once_in_all_accounts(self) -> None:
        """Two accounts may have keys of the same workspace."""
        make_generation(status=Status.RUNNING, remote_id="r1", account="other")
        row = make_generation(status=Status.SUBMITTING)
        with pytest.raises(TransitionError):
            lifecycle.mark_running(
                row.pk, cause=Cause.SUBMIT, now=NOW, arrival=Arrival(Outcome(remote_id="r1"))
            )
