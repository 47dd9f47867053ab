"""A look at the remote for waiting rows: whom it is for, and what each answer makes of them."""

from __future__ import annotations

import random
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import IntegrityError, OperationalError, connection

from creatify_textgen import lifecycle
from creatify_textgen.emulator import Emulator
from creatify_textgen.exceptions import (
    RateLimitedError,
    RemoteError,
    RemoteRejectedError,
    RemoteUnavailableError,
)
from creatify_textgen.models import Circuit, Generation
from creatify_textgen.recovery import matching, polling
from creatify_textgen.recovery.evidence import APART
from creatify_textgen.recovery.polling import Poll, settle_polls, start_polls
from creatify_textgen.remote import RemoteGeneration
from creatify_textgen.states import Status
from tests.factories import HELLO, NOW, absent_facts, honest_reading, make_generation

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
    held = {"claim": CLAIM, "polled_at": NOW, "due_at": HELD, "polls": 1}
    row = make_generation(**{"status": Status.PENDING, "submitted_at": NOW, **held, **fields})
    return Generation.objects.get(pk=row.pk)


def fresh(row: Generation) -> Generation:
    return Generation.objects.get(pk=row.pk)


def answered(row: Generation, answer: Any, *, remote_id: str = "r1") -> Poll:
    return Poll(row.account, [row], remote_id, answer)


def opened(account: str = "default", **fields: Any) -> None:
    Circuit.objects.create(account=account, failures=5, **fields)


class TestStart:
    def test_looks_by_id_where_one_is_known_and_into_the_list_else(self) -> None:
        known = claimed(remote_id="r1")
        hinted = claimed(status=Status.UNCONFIRMED, unverified_remote_id="r2")
        lost = [claimed(status=Status.UNCONFIRMED) for _ in range(2)]
        polls = start_polls([known, hinted, *lost], now=NOW)
        assert [(poll.remote_id, list(poll.generations)) for poll in polls] == [
            ("r1", [known]),
            ("r2", [hinted]),
            ("", lost),
        ]

    def test_looks_in_every_account(self) -> None:
        rows = [claimed(remote_id=name, account=name) for name in ("default", "other")]
        polls = start_polls(rows, now=NOW)
        assert [(poll.account, list(poll.generations)) for poll in polls] == [
            ("default", rows[:1]),
            ("other", rows[1:]),
        ]

    def test_reads_the_keys_of_an_account_once_and_only_when_it_calls(
        self, settings: Any, remote: Emulator
    ) -> None:
        read: list[str] = []
        keys = settings.CREATIFY_TEXTGEN["ACCOUNTS"]["default"]
        vault = {**keys, "API_KEY": lambda: read.append("key") or keys["API_KEY"]}
        settings.CREATIFY_TEXTGEN = {"ACCOUNTS": {"default": vault}}
        polls = start_polls([claimed(remote_id=f"r{number}") for number in range(3)], now=NOW)
        assert read == []
        for poll in polls:
            with pytest.raises(RemoteError):
                poll.call()
        assert read == ["key"]

    def test_leaves_a_send_its_lease(self) -> None:
        row = claimed(status=Status.SUBMITTING, lease_until=NOW + SECOND)
        assert start_polls([row], now=NOW) == []
        assert (fresh(row).status, fresh(row).due_at) == ("submitting", NOW + SECOND)

    @pytest.mark.parametrize("lease_until", [NOW, NOW - SECOND, None])
    def test_doubts_a_send_whose_lease_has_run_out(self, lease_until: Any) -> None:
        row = claimed(status=Status.SUBMITTING, lease_until=lease_until, attempts=2)
        [poll] = start_polls([row], now=NOW)
        assert (poll.remote_id, list(poll.generations)) == ("", [row])
        event = row.events.get()
        assert (event.status, event.cause) == ("unconfirmed", "sweep")
        assert event.detail == "the lease ran out without an answer"

    def test_still_holds_what_it_doubts(self) -> None:
        row = claimed(status=Status.SUBMITTING, lease_until=NOW - SECOND)
        other = claimed()
        [poll] = start_polls([row], now=NOW)
        held = fresh(row)
        assert (held.due_at, held.polled_at, held.polls) == (HELD, NOW, 1)
        assert poll.generations[0].claim == held.claim
        assert poll.generations[0].status == "unconfirmed"
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
        [poll] = start_polls([row], now=NOW)
        assert (list(poll.generations), others) == ([row], [])

    def test_leaves_alone_a_send_that_another_has_begun(self) -> None:
        row = claimed(status=Status.SUBMITTING, lease_until=NOW - SECOND)
        Generation.objects.update(attempts=1)
        assert start_polls([row], now=NOW) == []
        assert fresh(row).status == "submitting"


class TestCircuit:
    def test_open_puts_every_look_off_until_it_may_be_tried(self) -> None:
        opened(open_until=NOW + 9 * SECOND)
        rows = [claimed(remote_id=f"r{number}") for number in range(2)]
        assert start_polls(rows, now=NOW) == []
        assert {fresh(row).due_at for row in rows} == {NOW + 9 * SECOND}

    def test_about_to_be_tried_puts_them_off_a_second_at_least(self) -> None:
        opened(open_until=NOW + timedelta(milliseconds=1))
        row = claimed(remote_id="r1")
        assert start_polls([row], now=NOW) == []
        assert fresh(row).due_at == NOW + SECOND

    def test_lets_one_look_try(self) -> None:
        opened(open_until=NOW - SECOND)
        rows = [claimed(remote_id=f"r{number}") for number in range(3)]
        assert [poll.remote_id for poll in start_polls(rows, now=NOW)] == ["r0"]
        assert [fresh(row).due_at for row in rows] == [HELD, *[NOW + 5 * SECOND] * 2]

    def test_is_asked_for_accounts_that_have_something_to_look_for(self) -> None:
        opened(open_until=NOW - SECOND)
        row = claimed(status=Status.SUBMITTING, lease_until=NOW + SECOND)
        start_polls([row], now=NOW)
        assert Circuit.objects.get().open_until == NOW - SECOND

    def test_is_each_account_s_own(self) -> None:
        opened("other", open_until=NOW + 9 * SECOND)
        rows = [claimed(remote_id=name, account=name) for name in ("default", "other")]
        assert [poll.account for poll in start_polls(rows, now=NOW)] == ["default"]

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
        polls = [
            answered(claimed(remote_id=f"r{number}"), answer)
            for number, answer in enumerate(answers)
        ]
        settle_polls(polls, now=NOW)
        assert Circuit.objects.get(account="default").failures == failures
        assert Circuit.objects.get(account="other").failures == 5

    def test_opens_from_now_on(self) -> None:
        opened()
        settle_polls([answered(claimed(remote_id="r1"), DOWN)], now=NOW)
        assert Circuit.objects.get().open_until == NOW + 10 * SECOND


class TestAnswer:
    @pytest.mark.parametrize(
        ("fields", "cause"),
        [
            ({"deliveries": 1, "polls": 1}, "webhook"),
            ({"deliveries": 1, "polls": 2}, "poll"),
            ({"deliveries": 0, "polls": 1}, "poll"),
        ],
        ids=["first after a delivery", "later", "none was delivered"],
    )
    def test_says_how_we_know(self, fields: dict[str, int], cause: str) -> None:
        row = claimed(remote_id="r1", **fields)
        settle_polls([answered(row, RemoteGeneration("r1", "done"))], now=NOW)
        event = row.events.get()
        assert (fresh(row).status, event.cause, event.detail) == ("done", cause, "")

    @pytest.mark.parametrize(
        ("deliveries", "how"),
        [
            (1, ("webhook", "named by a delivery")),
            (0, ("poll", "named by the answer to its send")),
        ],
        ids=["delivery", "answer"],
    )
    @pytest.mark.parametrize("messages", [None, []])
    def test_to_a_hint_adopts_what_was_named(
        self, messages: list[Any] | None, deliveries: int, how: tuple[str, str]
    ) -> None:
        row = claimed(status=Status.UNCONFIRMED, unverified_remote_id="r1", deliveries=deliveries)
        named = RemoteGeneration("r1", "running", messages=messages)
        settle_polls([answered(row, named)], now=NOW)
        event = row.events.get()
        assert (fresh(row).status, fresh(row).remote_id) == ("running", "r1")
        assert (event.cause, event.detail) == how

    @pytest.mark.parametrize(
        ("lease_until", "due_at"), [(NOW + SECOND, NOW + SECOND), (NOW - SECOND, NOW)]
    )
    def test_to_a_hint_at_another_row_s_drops_it(self, lease_until: Any, due_at: Any) -> None:
        claimed(remote_id="r1")
        fields = {"status": Status.SUBMITTING, "unverified_remote_id": "r1"}
        row = claimed(lease_until=lease_until, **fields)
        settle_polls([answered(row, RemoteGeneration("r1", "running"))], now=NOW)
        assert (fresh(row).status, fresh(row).unverified_remote_id) == ("submitting", "")
        assert fresh(row).due_at == due_at

    def test_to_a_hint_at_another_row_s_sends_what_was_queued(self) -> None:
        claimed(remote_id="r1")
        fields = {"status": Status.SUBMITTING, "unverified_remote_id": "r1"}
        row = claimed(lease_until=None, **fields)
        settle_polls([answered(row, RemoteGeneration("r1", "running"))], now=NOW)
        row = fresh(row)
        assert (row.status, row.unverified_remote_id, row.due_at) == ("queued", "", NOW)

    @pytest.mark.parametrize("error", [NOT_FOUND, RemoteRejectedError("no id", status=400)])
    def test_that_an_id_is_unknown_sends_what_was_queued(self, error: RemoteError) -> None:
        fields = {"status": Status.SUBMITTING, "unverified_remote_id": "r1"}
        row = claimed(lease_until=None, updated_at=NOW - APART, **fields)
        settle_polls([answered(row, error)], now=NOW)
        assert (fresh(row).status, fresh(row).unverified_remote_id) == ("queued", "")

    def test_that_an_id_is_unknown_yet_keeps_what_was_queued(self) -> None:
        """A replica that lags may not show what was accepted a moment ago."""
        fields = {"status": Status.SUBMITTING, "unverified_remote_id": "r1"}
        row = claimed(lease_until=None, updated_at=NOW - APART + SECOND, **fields)
        settle_polls([answered(row, NOT_FOUND)], now=NOW)
        row = fresh(row)
        assert (row.status, row.unverified_remote_id) == ("submitting", "r1")
        assert row.due_at == NOW + 3 * SECOND

    def test_to_a_hint_at_another_request_moves_nothing(self) -> None:
        fields = {"status": Status.UNCONFIRMED, "unverified_remote_id": "r1"}
        row = claimed(lease_until=None, deliveries=1, **fields)
        other = RemoteGeneration("r1", "done", model_name="m", messages=[{"role": "user"}])
        settle_polls([answered(row, other)], now=NOW)
        row = fresh(row)
        assert (row.status, row.remote_id, row.unverified_remote_id) == ("unconfirmed", None, "")

    @pytest.mark.parametrize(("attempts", "status"), [(0, "queued"), (1, "unconfirmed")])
    def test_to_a_hint_at_another_request_keeps_what_was_sent_from_being_sent_again(
        self, attempts: int, status: str
    ) -> None:
        fields = {"status": Status.SUBMITTING, "unverified_remote_id": "r1"}
        row = claimed(lease_until=None, attempts=attempts, deliveries=1, **fields)
        other = RemoteGeneration("r1", "done", model_name="m", messages=[{"role": "user"}])
        settle_polls([answered(row, other)], now=NOW)
        assert (fresh(row).status, fresh(row).unverified_remote_id) == (status, "")

    @pytest.mark.parametrize(
        ("others", "deliveries", "remote_id"), [(0, 1, "r1"), (1, 1, None), (1, 0, "r1")]
    )
    def test_to_a_hint_may_be_echoed_in_other_words(
        self, others: int, deliveries: int, remote_id: str | None
    ) -> None:
        fields: dict[str, Any] = {"status": Status.UNCONFIRMED, "attempts": 1}
        row = claimed(unverified_remote_id="r1", deliveries=deliveries, **fields)
        for _ in range(others):
            claimed(**fields)
        echo = RemoteGeneration("r1", "done", messages=HELLO, config={"top_p": 0.95})
        settle_polls([answered(row, echo)], now=NOW)
        assert fresh(row).remote_id == remote_id

    @pytest.mark.parametrize(
        ("fields", "status", "due_at"),
        [
            ({"status": Status.UNCONFIRMED}, "expired", NOW + 3 * SECOND),
            ({"status": Status.RUNNING, "mode": "stream"}, "expired", NOW + 3 * SECOND),
            ({"status": Status.SUBMITTING}, "unconfirmed", NOW),
            (
                {"status": Status.SUBMITTING, "lease_until": NOW + SECOND},
                "submitting",
                NOW + SECOND,
            ),
            ({"status": Status.EXPIRED}, "expired", NOW + timedelta(days=2)),
        ],
        ids=["lost", "a cut stream", "was queued", "is sent", "waits for a person"],
    )
    def test_to_an_id_of_our_answer_keeps_it_with_another_request(
        self, fields: dict[str, Any], status: str, due_at: Any
    ) -> None:
        row = claimed(**{"lease_until": None, "attempts": 1, **fields}, unverified_remote_id="r1")
        other = RemoteGeneration("r1", "done", model_name="m", messages=[{"role": "user"}])
        settle_polls([answered(row, other)], now=NOW)
        row = fresh(row)
        assert (row.status, row.remote_id, row.unverified_remote_id) == (status, None, "r1")
        assert row.due_at == due_at

    def test_to_an_id_of_our_answer_with_another_request_says_that_it_may_be_charged(self) -> None:
        fields = {"status": Status.UNCONFIRMED, "unverified_remote_id": "r1"}
        row = claimed(**fields)
        other = RemoteGeneration("r1", "done", model_name="m", messages=[{"role": "user"}])
        settle_polls([answered(row, other)], now=NOW)
        event = row.events.get()
        assert fresh(row).error_code == "may_have_been_charged"
        assert event.detail == "the answer to its send named a generation with another request"

    def test_to_a_hint_is_kept_for_an_expired_row_that_is_still_under_way(self) -> None:
        row = claimed(
            status=Status.EXPIRED, unverified_remote_id="r1", error_code="may_have_been_charged"
        )
        settle_polls([answered(row, RemoteGeneration("r1", "running"))], now=NOW)
        row = fresh(row)
        assert (row.status, row.remote_id, row.error_code) == ("expired", "r1", "")

    def test_from_the_list_settles_what_was_lost(self) -> None:
        row = claimed(**{**absent_facts(), "status": Status.UNCONFIRMED})
        settle_polls([Poll("default", [row], "", honest_reading())], now=NOW)
        assert fresh(row).status == "queued"

    def test_that_there_is_no_list_is_asked_for_again_ever_later(self) -> None:
        waits = []
        for polls in (1, 4, 50):
            row = claimed(status=Status.UNCONFIRMED, polls=polls)
            settle_polls([Poll("default", [row], "", NOT_FOUND)], now=NOW)
            waits.append((fresh(row).due_at or NOW) - NOW)
        assert waits == [10 * SECOND, 30 * SECOND, 300 * SECOND]

    def test_that_there_is_no_list_lets_a_row_expire(self) -> None:
        long_ago = NOW - timedelta(days=3)
        row = claimed(status=Status.UNCONFIRMED, submitted_at=NOW, first_submitted_at=long_ago)
        settle_polls([Poll("default", [row], "", NOT_FOUND)], now=NOW)
        assert (fresh(row).status, fresh(row).error_code) == ("expired", "may_have_been_charged")


REFUSED = [
    pytest.param({"credits_used": Decimal(10) ** 10}, id="by Django"),
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
        polls = [answered(row, answers[n], remote_id=f"r{n}") for n, row in enumerate(rows)]
        settle_polls(polls, now=NOW)
        assert [fresh(row).status for row in rows] == ["done", "pending", "failed", "running"]
        assert [row.events.count() for row in rows] == [1, 0, 1, 1]
        assert rows[0].content.response_text == "first"
        [record] = caplog.records
        assert str(rows[1].pk) in record.getMessage()

    def test_is_asked_for_again_ever_later(self, poison: dict[str, Any]) -> None:
        waits = []
        for polls in (1, 2, 50):
            row = claimed(remote_id=f"r{polls}", polls=polls)
            answer = RemoteGeneration(f"r{polls}", "done", **poison)
            settle_polls([answered(row, answer, remote_id=f"r{polls}")], now=NOW)
            waits.append((fresh(row).due_at or NOW) - NOW)
        assert waits == [3 * SECOND, 4.5 * SECOND, 60 * SECOND]

    def test_expires_like_any_other_that_is_waited_for_too_long(
        self, poison: dict[str, Any]
    ) -> None:
        row = claimed(remote_id="r1", submitted_at=NOW - timedelta(days=2))
        settle_polls([answered(row, RemoteGeneration("r1", "done", **poison))], now=NOW)
        assert fresh(row).status == "expired"

    def test_to_a_hint_keeps_no_other_row_waiting(self, poison: dict[str, Any]) -> None:
        fields = {"status": Status.UNCONFIRMED}
        rows = [claimed(unverified_remote_id=f"r{number}", **fields) for number in range(2)]
        answers = [RemoteGeneration("r0", "done", **poison), RemoteGeneration("r1", "done")]
        polls = [answered(row, answers[n], remote_id=f"r{n}") for n, row in enumerate(rows)]
        settle_polls(polls, now=NOW)
        assert [fresh(row).status for row in rows] == ["unconfirmed", "done"]
        assert fresh(rows[0]).due_at == NOW + 3 * SECOND

    def test_from_the_list_keeps_no_other_row_waiting(self, poison: dict[str, Any]) -> None:
        remotes = [
            RemoteGeneration("r0", "done", model_name="a", **poison),
            RemoteGeneration("r1", "done", model_name="b"),
        ]
        prints = [matching.fingerprint_of(remote) for remote in remotes]
        fields = {"status": Status.UNCONFIRMED}
        ages = (30, 20)
        poisoned, found = (
            claimed(fingerprint=one, submitted_at=NOW - age * SECOND, **fields)
            for one, age in zip(prints, ages, strict=True)
        )
        absent = claimed(**{**absent_facts(), **fields})
        reading = honest_reading(candidates=remotes)
        settle_polls([Poll("default", [absent, found, poisoned], "", reading)], now=NOW)
        rows = [fresh(poisoned), fresh(found), fresh(absent)]
        assert [row.status for row in rows] == ["unconfirmed", "done", "queued"]
        assert rows[0].due_at == NOW + 3 * SECOND


class TestDatabase:
    @pytest.mark.parametrize("error", [OperationalError("gone"), IntegrityError("refused")])
    def test_that_is_away_is_not_asked_row_by_row(
        self, monkeypatch: pytest.MonkeyPatch, error: Exception
    ) -> None:
        calls = []

        def fail(*_: Any, **__: Any) -> None:
            calls.append("write")
            raise error

        monkeypatch.setattr(polling, "apply_snapshots", fail)
        monkeypatch.setattr(connection, "is_usable", lambda: False)
        polls = [answered(claimed(remote_id=f"r{n}"), RemoteGeneration("r", "done")) for n in "ab"]
        with pytest.raises(type(error)):
            settle_polls(polls, now=NOW)
        assert calls == ["write"]

    def test_is_told_of_a_whole_batch_at_once(self, django_assert_max_num_queries: Any) -> None:
        polls = [
            answered(claimed(remote_id=f"r{n}"), RemoteGeneration(f"r{n}", "done"))
            for n in range(50)
        ]
        with django_assert_max_num_queries(20):
            settle_polls(polls, now=NOW)
        assert Generation.objects.filter(status=Status.DONE).count() == 50


class TestNoAnswer:
    @pytest.mark.parametrize(
        ("error", "seconds"),
        [
            (RemoteUnavailableError("reset"), 3),
            (RemoteUnavailableError("down", status=503, retry_after=20), 20),
            (RateLimitedError("busy", status=429, retry_after=1), 3),
            (RateLimitedError("busy", status=429, retry_after=31_536_000), 600),
            (RemoteUnavailableError("down", status=503, retry_after=1e300), 600),
        ],
        ids=["reset", "asked to wait", "to wait less", "to wait a year", "to wait for ever"],
    )
    def test_asks_again_later(self, error: RemoteError, seconds: int) -> None:
        row = claimed(remote_id="r1")
        settle_polls([answered(row, error)], now=NOW)
        assert fresh(row).due_at == NOW + seconds * SECOND

    def test_asks_again_as_soon_as_the_site_wants_it(self, settings: Any) -> None:
        settings.CREATIFY_TEXTGEN = {"POLL_INTERVAL": 0.1}
        row = claimed(remote_id="r1")
        settle_polls([answered(row, DOWN)], now=NOW)
        assert fresh(row).due_at == NOW + 0.15 * SECOND

    def test_about_a_known_id_that_is_not_found_waits(self) -> None:
        row = claimed(remote_id="r1")
        settle_polls([answered(row, NOT_FOUND)], now=NOW)
        assert (fresh(row).remote_id, fresh(row).due_at) == ("r1", NOW + 3 * SECOND)

    def test_about_a_hint_that_is_not_found_drops_it(self) -> None:
        since = NOW - timedelta(minutes=10)
        row = claimed(status=Status.UNCONFIRMED, unverified_remote_id="r1", updated_at=since)
        settle_polls([answered(row, NOT_FOUND)], now=NOW)
        assert (fresh(row).unverified_remote_id, fresh(row).due_at) == ("", NOW)

    def test_about_a_new_hint_that_is_not_found_waits(self) -> None:
        since = NOW - timedelta(minutes=9)
        row = claimed(status=Status.UNCONFIRMED, unverified_remote_id="r1", updated_at=since)
        settle_polls([answered(row, NOT_FOUND)], now=NOW)
        assert (fresh(row).unverified_remote_id, fresh(row).due_at) == ("r1", NOW + 3 * SECOND)

    def test_about_a_hint_for_another_reason_keeps_it(self) -> None:
        row = claimed(status=Status.UNCONFIRMED, unverified_remote_id="r1")
        settle_polls([answered(row, DOWN)], now=NOW)
        assert (fresh(row).unverified_remote_id, fresh(row).due_at) == ("r1", NOW + 3 * SECOND)

    def test_from_the_list_waits_with_all_that_is_lost(self) -> None:
        rows = [claimed(status=Status.UNCONFIRMED) for _ in range(2)]
        settle_polls([Poll("default", rows, "", NOT_FOUND)], now=NOW)
        assert [fresh(row).due_at for row in rows] == [NOW + 10 * SECOND] * 2
        settle_polls([Poll("default", rows, "", DOWN)], now=NOW)
        assert [fresh(row).status for row in rows] == ["unconfirmed"] * 2

    def test_expires_what_was_waited_for_too_long(self) -> None:
        row = claimed(remote_id="r1", submitted_at=NOW - timedelta(days=2))
        settle_polls([answered(row, DOWN)], now=NOW)
        assert fresh(row).status == "expired"

    def test_because_of_a_bug_is_raised_after_all_else_was_written(self) -> None:
        rows = [claimed(remote_id=f"r{number}") for number in range(2)]
        polls = [
            answered(rows[0], RuntimeError("a bug"), remote_id="r0"),
            answered(rows[1], RemoteGeneration("r1", "done"), remote_id="r1"),
        ]
        with pytest.raises(RuntimeError, match="a bug"):
            settle_polls(polls, now=NOW)
        assert [fresh(row).status for row in rows] == ["pending", "done"]
        assert fresh(rows[0]).due_at == NOW + 3 * SECOND
