"""A look at the remote for waiting rows: whom it is for, and what each answer makes of them."""

from __future__ import annotations

import json
import random
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import IntegrityError, OperationalError, connection

from creatify_textgen import lifecycle
from creatify_textgen.exceptions import (
    RateLimitedError,
    RemoteError,
    RemoteRejectedError,
    RemoteUnavailableError,
)
from creatify_textgen.models import Circuit, Generation
from creatify_textgen.remote import RemoteGeneration
from creatify_textgen.services import adoption, looking
from creatify_textgen.services.looking import Look, settle_looks, start_looks
from creatify_textgen.states import Status
from tests.factories import NOW, make_generation
from tests.faults.remote_double import RemoteDouble

pytestmark = pytest.mark.django_db

CLAIM = "5d0c1a3e-0000-4000-8000-000000000000"
HELD = NOW + timedelta(seconds=120)
SECOND = timedelta(seconds=1)
NOT_FOUND = RemoteRejectedError("no such generation", status=404, code="not_found")
DOWN = RemoteUnavailableError("down", status=503)


@pytest.fixture(autouse=True)
def _no_jitter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(random, "uniform", lambda low, high: (low + high) / 2)


def claimed(**fields: Any) -> Generation:
    """Save a row as the sweep that has just claimed it holds it."""
    held = {"claim": CLAIM, "checked_at": NOW, "next_check_at": HELD, "checks": 1}
    row = make_generation(**{"status": Status.PENDING, "submitted_at": NOW, **held, **fields})
    return Generation.objects.get(pk=row.pk)


def fresh(row: Generation) -> Generation:
    return Generation.objects.get(pk=row.pk)


def answered(row: Generation, answer: Any, *, remote_id: str = "r1") -> Look:
    return Look(row.account, [row], remote_id, answer)


def opened(account: str = "default", **fields: Any) -> None:
    Circuit.objects.create(account=account, failures=5, **fields)


class TestStart:
    def test_looks_by_id_where_one_is_known_and_into_the_list_else(self) -> None:
        known = claimed(remote_id="r1")
        hinted = claimed(status=Status.UNCONFIRMED, hinted_remote_id="r2")
        lost = [claimed(status=Status.UNCONFIRMED) for _ in range(2)]
        looks = start_looks([known, hinted, *lost], now=NOW)
        assert [(look.remote_id, list(look.generations)) for look in looks] == [
            ("r1", [known]),
            ("r2", [hinted]),
            ("", lost),
        ]

    def test_looks_in_every_account(self) -> None:
        rows = [claimed(remote_id="r1", account=name) for name in ("default", "other")]
        looks = start_looks(rows, now=NOW)
        assert [(look.account, list(look.generations)) for look in looks] == [
            ("default", rows[:1]),
            ("other", rows[1:]),
        ]

    def test_leaves_a_send_its_lease(self) -> None:
        row = claimed(status=Status.SUBMITTING, lease_until=NOW + SECOND)
        assert start_looks([row], now=NOW) == []
        assert (fresh(row).status, fresh(row).next_check_at) == ("submitting", NOW + SECOND)

    @pytest.mark.parametrize("lease_until", [NOW, NOW - SECOND, None])
    def test_doubts_a_send_whose_lease_has_run_out(self, lease_until: Any) -> None:
        row = claimed(status=Status.SUBMITTING, lease_until=lease_until, attempts=2)
        [look] = start_looks([row], now=NOW)
        assert (look.remote_id, list(look.generations)) == ("", [row])
        event = row.events.get()
        assert (event.status, event.cause) == ("unconfirmed", "sweep")
        assert event.detail == "the lease ran out without an answer"

    def test_still_holds_what_it_doubts(self) -> None:
        row = claimed(status=Status.SUBMITTING, lease_until=NOW - SECOND)
        other = claimed()
        [look] = start_looks([row], now=NOW)
        held = fresh(row)
        assert (held.next_check_at, held.checked_at, held.checks) == (HELD, NOW, 1)
        assert look.generations[0].claim == held.claim
        assert look.generations[0].status == "unconfirmed"
        assert str(fresh(other).claim) == CLAIM

    def test_lets_no_other_sweep_between_doubt_and_look(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        row = claimed(status=Status.SUBMITTING, lease_until=NOW - SECOND)
        others: list[Generation] = []
        claim_one = lifecycle.claim_one

        def claim_after_others(*args: Any, **options: Any) -> Generation | None:
            hold: dict[str, Any] = {"now": NOW, "hold_until": HELD, "limit": 9}
            others.extend(lifecycle.claim_due([Status.UNCONFIRMED], **hold))
            return claim_one(*args, **options)

        monkeypatch.setattr(lifecycle, "claim_one", claim_after_others)
        [look] = start_looks([row], now=NOW)
        assert (list(look.generations), others) == ([row], [])

    def test_leaves_alone_a_send_that_another_has_begun(self) -> None:
        row = claimed(status=Status.SUBMITTING, lease_until=NOW - SECOND)
        Generation.objects.update(attempts=1)
        assert start_looks([row], now=NOW) == []
        assert fresh(row).status == "submitting"


class TestCircuit:
    def test_open_puts_every_look_off_until_it_may_be_tried(self) -> None:
        opened(open_until=NOW + 9 * SECOND)
        rows = [claimed(remote_id=f"r{number}") for number in range(2)]
        assert start_looks(rows, now=NOW) == []
        assert {fresh(row).next_check_at for row in rows} == {NOW + 9 * SECOND}

    def test_about_to_be_tried_puts_them_off_a_second_at_least(self) -> None:
        opened(open_until=NOW + timedelta(milliseconds=1))
        row = claimed(remote_id="r1")
        assert start_looks([row], now=NOW) == []
        assert fresh(row).next_check_at == NOW + SECOND

    def test_lets_one_look_try(self) -> None:
        opened(open_until=NOW - SECOND)
        rows = [claimed(remote_id=f"r{number}") for number in range(3)]
        assert [look.remote_id for look in start_looks(rows, now=NOW)] == ["r0"]
        assert [fresh(row).next_check_at for row in rows] == [HELD, *[NOW + 5 * SECOND] * 2]

    def test_is_asked_for_accounts_that_have_something_to_look_for(self) -> None:
        opened(open_until=NOW - SECOND)
        row = claimed(status=Status.SUBMITTING, lease_until=NOW + SECOND)
        start_looks([row], now=NOW)
        assert Circuit.objects.get().open_until == NOW - SECOND

    def test_is_each_account_s_own(self) -> None:
        opened("other", open_until=NOW + 9 * SECOND)
        rows = [claimed(remote_id="r1", account=name) for name in ("default", "other")]
        assert [look.account for look in start_looks(rows, now=NOW)] == ["default"]

    @pytest.mark.parametrize(
        ("answers", "failures"),
        [
            ([DOWN, DOWN, DOWN], 8),
            ([DOWN, RemoteGeneration("r1", "pending")], 0),
            ([NOT_FOUND], 0),
            ([RateLimitedError("busy", status=429)], 0),
        ],
        ids=["down", "down but for one", "not found", "busy"],
    )
    def test_counts_how_often_the_remote_did_not_answer(
        self, answers: list[Any], failures: int
    ) -> None:
        opened()
        opened("other")
        looks = [
            answered(claimed(remote_id=f"r{number}"), answer)
            for number, answer in enumerate(answers)
        ]
        settle_looks(looks, now=NOW)
        assert Circuit.objects.get(account="default").failures == failures
        assert Circuit.objects.get(account="other").failures == 5

    def test_opens_from_now_on(self) -> None:
        opened()
        settle_looks([answered(claimed(remote_id="r1"), DOWN)], now=NOW)
        assert Circuit.objects.get().open_until == NOW + 10 * SECOND


class TestAnswer:
    @pytest.mark.parametrize(
        ("fields", "cause"),
        [
            ({"deliveries": 1, "checks": 1}, "webhook"),
            ({"deliveries": 1, "checks": 2}, "poll"),
            ({"deliveries": 0, "checks": 1}, "poll"),
        ],
        ids=["first after a delivery", "later", "none was delivered"],
    )
    def test_says_how_we_know(self, fields: dict[str, int], cause: str) -> None:
        row = claimed(remote_id="r1", **fields)
        settle_looks([answered(row, RemoteGeneration("r1", "done"))], now=NOW)
        event = row.events.get()
        assert (fresh(row).status, event.cause, event.detail) == ("done", cause, "")

    def test_to_a_hint_adopts_what_was_named(self) -> None:
        row = claimed(status=Status.UNCONFIRMED, hinted_remote_id="r1")
        settle_looks([answered(row, RemoteGeneration("r1", "running"))], now=NOW)
        event = row.events.get()
        assert (fresh(row).status, fresh(row).remote_id) == ("running", "r1")
        assert (event.cause, event.detail) == ("webhook", "named by a delivery")

    @pytest.mark.parametrize(
        ("lease_until", "look_at"), [(NOW + SECOND, NOW + SECOND), (None, NOW), (NOW - SECOND, NOW)]
    )
    def test_to_a_hint_at_another_row_s_drops_it(self, lease_until: Any, look_at: Any) -> None:
        claimed(remote_id="r1")
        fields = {"status": Status.SUBMITTING, "hinted_remote_id": "r1"}
        row = claimed(lease_until=lease_until, **fields)
        settle_looks([answered(row, RemoteGeneration("r1", "running"))], now=NOW)
        assert (fresh(row).status, fresh(row).hinted_remote_id) == ("submitting", "")
        assert fresh(row).next_check_at == look_at

    def test_from_the_list_settles_what_was_lost(self, double: RemoteDouble) -> None:
        row = claimed(status=Status.UNCONFIRMED)
        settle_looks([Look("default", [row], "", [])], now=NOW)
        assert fresh(row).status == "queued"


TOO_DEEP = [{"name": "f", "args": json.loads('{"a":' * 40 + "1" + "}" * 40)}]
REFUSED = [
    pytest.param({"credits_used": Decimal(10) ** 10}, id="by Django"),
    pytest.param(
        {"response_function_calls": TOO_DEEP},
        id="by MariaDB",
        marks=pytest.mark.skipif("connection.vendor != 'mysql'"),
    ),
    pytest.param(
        {"response_text": "a\0b"},
        id="by PostgreSQL",
        marks=pytest.mark.skipif("connection.vendor != 'postgresql'"),
    ),
]


@pytest.mark.parametrize("poison", REFUSED)
class TestRefusedAnswer:
    """What a database does not take of one row, whoever let it come so far."""

    def test_keeps_no_other_row_waiting(
        self, poison: dict[str, Any], caplog: pytest.LogCaptureFixture
    ) -> None:
        rows = [claimed(remote_id=f"r{number}") for number in range(4)]
        answers = [
            RemoteGeneration("r0", "done", response_text="first"),
            RemoteGeneration("r1", "done", **poison),
            RemoteGeneration("r2", "failed", failed_reason="no"),
            RemoteGeneration("r3", "running"),
        ]
        looks = [answered(row, answers[n], remote_id=f"r{n}") for n, row in enumerate(rows)]
        settle_looks(looks, now=NOW)
        assert [fresh(row).status for row in rows] == ["done", "pending", "failed", "running"]
        assert [row.events.count() for row in rows] == [1, 0, 1, 1]
        assert rows[0].content.response_text == "first"
        [record] = caplog.records
        assert str(rows[1].pk) in record.getMessage()

    def test_is_asked_for_again_ever_later(self, poison: dict[str, Any]) -> None:
        waits = []
        for checks in (1, 2, 50):
            row = claimed(remote_id=f"r{checks}", checks=checks)
            answer = RemoteGeneration(f"r{checks}", "done", **poison)
            settle_looks([answered(row, answer, remote_id=f"r{checks}")], now=NOW)
            waits.append((fresh(row).next_check_at or NOW) - NOW)
        assert waits == [3 * SECOND, 4.5 * SECOND, 60 * SECOND]

    def test_expires_like_any_other_that_is_waited_for_too_long(
        self, poison: dict[str, Any]
    ) -> None:
        row = claimed(remote_id="r1", submitted_at=NOW - timedelta(days=2))
        settle_looks([answered(row, RemoteGeneration("r1", "done", **poison))], now=NOW)
        assert fresh(row).status == "expired"

    def test_to_a_hint_keeps_no_other_row_waiting(self, poison: dict[str, Any]) -> None:
        fields = {"status": Status.UNCONFIRMED}
        rows = [claimed(hinted_remote_id=f"r{number}", **fields) for number in range(2)]
        answers = [RemoteGeneration("r0", "done", **poison), RemoteGeneration("r1", "done")]
        looks = [answered(row, answers[n], remote_id=f"r{n}") for n, row in enumerate(rows)]
        settle_looks(looks, now=NOW)
        assert [fresh(row).status for row in rows] == ["unconfirmed", "done"]
        assert fresh(rows[0]).next_check_at == NOW + 3 * SECOND

    def test_from_the_list_keeps_no_other_row_waiting(self, poison: dict[str, Any]) -> None:
        remotes = [
            RemoteGeneration("r0", "done", model_name="a", **poison),
            RemoteGeneration("r1", "done", model_name="b"),
        ]
        prints = [adoption.fingerprint_of(remote) for remote in remotes]
        fields = {"status": Status.UNCONFIRMED}
        ages = (30, 20, 10)
        poisoned, found, absent = (
            claimed(fingerprint=one, submitted_at=NOW - age * SECOND, **fields)
            for one, age in zip([*prints, "absent"], ages, strict=True)
        )
        settle_looks([Look("default", [absent, found, poisoned], "", remotes)], now=NOW)
        rows = [fresh(poisoned), fresh(found), fresh(absent)]
        assert [row.status for row in rows] == ["unconfirmed", "done", "queued"]
        assert rows[0].next_check_at == NOW + 3 * SECOND


class TestDatabase:
    @pytest.mark.parametrize("error", [OperationalError("gone"), IntegrityError("refused")])
    def test_that_is_away_is_not_asked_row_by_row(
        self, monkeypatch: pytest.MonkeyPatch, error: Exception
    ) -> None:
        calls = []

        def fail(*_: Any, **__: Any) -> None:
            calls.append("write")
            raise error

        monkeypatch.setattr(looking, "apply_sightings", fail)
        monkeypatch.setattr(connection, "is_usable", lambda: False)
        looks = [answered(claimed(remote_id=f"r{n}"), RemoteGeneration("r", "done")) for n in "ab"]
        with pytest.raises(type(error)):
            settle_looks(looks, now=NOW)
        assert calls == ["write"]

    def test_is_told_of_a_whole_batch_at_once(self, django_assert_max_num_queries: Any) -> None:
        looks = [
            answered(claimed(remote_id=f"r{n}"), RemoteGeneration(f"r{n}", "done"))
            for n in range(50)
        ]
        with django_assert_max_num_queries(20):
            settle_looks(looks, now=NOW)
        assert Generation.objects.filter(status=Status.DONE).count() == 50


class TestNoAnswer:
    @pytest.mark.parametrize(
        ("error", "seconds"),
        [
            (RemoteUnavailableError("reset"), 3),
            (RemoteUnavailableError("down", status=503, retry_after=20), 20),
            (RateLimitedError("busy", status=429, retry_after=1), 3),
        ],
        ids=["reset", "asked to wait", "asked to wait less"],
    )
    def test_asks_again_later(self, error: RemoteError, seconds: int) -> None:
        row = claimed(remote_id="r1")
        settle_looks([answered(row, error)], now=NOW)
        assert fresh(row).next_check_at == NOW + seconds * SECOND

    def test_asks_again_as_soon_as_the_site_wants_it(self, settings: Any) -> None:
        settings.CREATIFY_TEXTGEN = {"POLL_INTERVAL": 0.1}
        row = claimed(remote_id="r1")
        settle_looks([answered(row, DOWN)], now=NOW)
        assert fresh(row).next_check_at == NOW + 0.15 * SECOND

    def test_about_a_known_id_that_is_not_found_waits(self) -> None:
        row = claimed(remote_id="r1")
        settle_looks([answered(row, NOT_FOUND)], now=NOW)
        assert (fresh(row).remote_id, fresh(row).next_check_at) == ("r1", NOW + 3 * SECOND)

    def test_about_a_hint_that_is_not_found_drops_it(self) -> None:
        row = claimed(status=Status.UNCONFIRMED, hinted_remote_id="r1")
        settle_looks([answered(row, NOT_FOUND)], now=NOW)
        assert (fresh(row).hinted_remote_id, fresh(row).next_check_at) == ("", NOW)

    def test_about_a_hint_for_another_reason_keeps_it(self) -> None:
        row = claimed(status=Status.UNCONFIRMED, hinted_remote_id="r1")
        settle_looks([answered(row, DOWN)], now=NOW)
        assert (fresh(row).hinted_remote_id, fresh(row).next_check_at) == ("r1", NOW + 3 * SECOND)

    def test_from_the_list_waits_with_all_that_is_lost(self) -> None:
        rows = [claimed(status=Status.UNCONFIRMED) for _ in range(2)]
        settle_looks([Look("default", rows, "", NOT_FOUND)], now=NOW)
        assert [fresh(row).next_check_at for row in rows] == [NOW] * 2
        settle_looks([Look("default", rows, "", DOWN)], now=NOW)
        assert [fresh(row).status for row in rows] == ["unconfirmed"] * 2

    def test_expires_what_was_waited_for_too_long(self) -> None:
        row = claimed(remote_id="r1", submitted_at=NOW - timedelta(days=2))
        settle_looks([answered(row, DOWN)], now=NOW)
        assert fresh(row).status == "expired"

    def test_because_of_a_bug_is_raised_after_all_else_was_written(self) -> None:
        rows = [claimed(remote_id=f"r{number}") for number in range(2)]
        looks = [
            answered(rows[0], RuntimeError("a bug"), remote_id="r0"),
            answered(rows[1], RemoteGeneration("r1", "done"), remote_id="r1"),
        ]
        with pytest.raises(RuntimeError, match="a bug"):
            settle_looks(looks, now=NOW)
        assert [fresh(row).status for row in rows] == ["pending", "done"]
        assert fresh(rows[0]).next_check_at == NOW + 3 * SECOND
