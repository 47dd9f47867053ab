"""Sending that a person has stopped, or that the remote refused for want of credits."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.core.management.base import CommandError
from django.utils import timezone

from creatify_textgen import clock, control, services
from creatify_textgen.dispatch.intents import save_intent
from creatify_textgen.dispatch.sending import prepare_send, settle_send
from creatify_textgen.dispatch.turns import begin_send
from creatify_textgen.exceptions import PolicyRefusal, RemoteRejectedError
from creatify_textgen.intake import accept
from creatify_textgen.models import Generation, Pause
from creatify_textgen.signals import sending_paused
from creatify_textgen.states import Mode, Status
from tests.factories import NOW, make_generation
from tests.faults.remote_double import RemoteDouble

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("still_clock")]

NO_CREDITS = RemoteRejectedError("No credits.", status=402, code="insufficient_credits")
A_MINUTE = NOW + timedelta(seconds=60)
LONG_AGO = NOW - timedelta(days=2)


@pytest.fixture
def announced(
    django_capture_on_commit_callbacks: Any,
) -> Iterator[list[dict[str, Any]]]:
    """Return what the signal `sending_paused` was sent with."""
    calls: list[dict[str, Any]] = []

    def receive(**arguments: Any) -> None:
        calls.append({k: arguments[k] for k in ("generation", "account", "code", "reason")})

    sending_paused.connect(receive)
    yield calls
    sending_paused.disconnect(receive)


def save(*, mode: Mode, account: str = "default") -> Generation:
    intake = accept("Hello", account=account)
    return save_intent(intake, mode=mode, now=NOW, due_at=NOW)[0]


def meet_402(**fields: Any) -> Generation:
    """Send a generation that the remote refuses for want of credits; return its row."""
    generation = make_generation(**fields)
    send = prepare_send(generation)
    assert send is not None
    settle_send(send, NO_CREDITS)
    generation.refresh_from_db()
    return generation


class TestPauseOfAPerson:
    @pytest.mark.parametrize("mode", Mode)
    @pytest.mark.parametrize("account", ["", "default"], ids=["all", "one"])
    def test_refuses_new_requests(self, mode: Mode, account: str) -> None:
        services.pause_sending(account)
        with pytest.raises(PolicyRefusal) as caught:
            save(mode=mode)
        assert (caught.value.code, caught.value.status) == ("paused", 503)
        assert not Generation.objects.exists()

    def test_is_of_its_account(self, settings: Any) -> None:
        accounts = settings.CREATIFY_TEXTGEN["ACCOUNTS"]
        both = {**accounts, "other": accounts["default"]}
        settings.CREATIFY_TEXTGEN = {**settings.CREATIFY_TEXTGEN, "ACCOUNTS": both}
        services.pause_sending("other")
        assert save(mode=Mode.ASYNC).pk
        with pytest.raises(PolicyRefusal):
            save(mode=Mode.ASYNC, account="other")

    def test_lets_queued_rows_wait_and_go_on_later(self, double: RemoteDouble) -> None:
        row = make_generation(created_at=NOW)
        services.pause_sending()
        assert begin_send(row) is None
        row.refresh_from_db()
        assert (row.status, row.due_at, row.attempts) == (Status.QUEUED, A_MINUTE, 0)
        services.resume_sending()
        assert begin_send(row) is not None

    def test_fails_what_has_waited_for_too_long(self, double: RemoteDouble) -> None:
        row = make_generation(created_at=LONG_AGO)
        services.pause_sending()
        assert begin_send(row) is None
        row.refresh_from_db()
        assert (row.status, row.error_code, row.credits_used) == ("failed", "paused", Decimal())

    def test_leaves_alone_what_was_sent(self, double: RemoteDouble) -> None:
        send = prepare_send(make_generation())
        assert send is not None
        services.pause_sending()
        settle_send(send, send.call())
        assert Generation.objects.get().status == Status.PENDING

    def test_keeps_who_when_and_why(self) -> None:
        boss = User.objects.create_user("boss")
        services.pause_sending(reason="Bill too high.", by=boss)
        pause = Pause.objects.get()
        assert (pause.paused_by, pause.paused_at, pause.reason) == (boss, NOW, "Bill too high.")

    def test_is_announced(
        self, announced: list[Any], django_capture_on_commit_callbacks: Any
    ) -> None:
        with django_capture_on_commit_callbacks(execute=True):
            services.pause_sending(reason="Bill too high.")
        assert announced == [
            {"generation": None, "account": "", "code": "paused", "reason": "Bill too high."}
        ]


class TestPauseForCredits:
    def test_lets_the_row_wait_that_met_it(self, double: RemoteDouble) -> None:
        row = meet_402()
        assert (row.status, row.due_at, row.error_code) == (Status.QUEUED, A_MINUTE, "")
        assert row.events.last().detail == "insufficient_credits 402"

    @pytest.mark.parametrize("mode", [Mode.SYNC, Mode.STREAM])
    def test_fails_a_row_that_somebody_waits_for(self, double: RemoteDouble, mode: Mode) -> None:
        row = meet_402(mode=mode)
        assert (row.status, row.error_code) == (Status.FAILED, "insufficient_credits")
        assert Pause.objects.get().code == "insufficient_credits"

    def test_lets_the_other_queued_rows_wait(self, double: RemoteDouble) -> None:
        meet_402()
        row = make_generation(created_at=NOW)
        assert begin_send(row) is None
        assert Generation.objects.get(pk=row.pk).due_at == A_MINUTE

    def test_is_tried_again_after_a_minute(
        self, double: RemoteDouble, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        row = meet_402()
        monkeypatch.setattr(clock, "utc_now", lambda: A_MINUTE)
        assert begin_send(row) is not None

    @pytest.mark.parametrize("mode", [Mode.SYNC, Mode.STREAM])
    def test_refuses_who_would_wait_for_an_answer(self, double: RemoteDouble, mode: Mode) -> None:
        meet_402()
        with pytest.raises(PolicyRefusal) as caught:
            save(mode=mode)
        refusal = caught.value
        assert (refusal.code, refusal.status, refusal.retry_after) == (
            "insufficient_credits",
            402,
            60,
        )

    def test_accepts_what_can_wait(self, double: RemoteDouble) -> None:
        meet_402()
        assert save(mode=Mode.ASYNC).status == Status.QUEUED

    def test_ends_in_a_failure_after_the_longest_wait(self, double: RemoteDouble) -> None:
        row = meet_402(created_at=LONG_AGO)
        assert (row.status, row.error_code) == (Status.FAILED, "insufficient_credits")

    def test_ends_when_a_person_says_so(self, double: RemoteDouble) -> None:
        row = meet_402()
        assert services.resume_sending("default")
        assert begin_send(row) is not None

    def test_is_announced_once(
        self,
        double: RemoteDouble,
        announced: list[Any],
        django_capture_on_commit_callbacks: Any,
    ) -> None:
        with django_capture_on_commit_callbacks(execute=True):
            row = meet_402()
            meet_402()
        assert [(call["generation"].pk, call["account"]) for call in announced] == [
            (row.pk, "default")
        ]

    def test_leaves_the_pause_of_a_person(self, double: RemoteDouble) -> None:
        row = make_generation()
        send = prepare_send(row)
        assert send is not None
        services.pause_sending("default", reason="Mine.")
        settle_send(send, NO_CREDITS)
        pause = Pause.objects.get()
        assert (pause.code, pause.reason, pause.until) == ("paused", "Mine.", None)


class TestCommands:
    def test_pause_and_resume(self, capsys: Any) -> None:
        call_command("textgen_pause", account="default", reason="Bill too high.")
        assert control.find_pause("default", now=timezone.now()).reason == "Bill too high."
        call_command("textgen_resume", account="default")
        assert control.find_pause("default", now=timezone.now()) is None
        call_command("textgen_resume")
        assert capsys.readouterr().out.splitlines() == [
            "Paused: default. New requests are refused, and queued ones wait.",
            "Resumed: default.",
            "There is no pause of all accounts.",
        ]

    @pytest.mark.parametrize("command", ["textgen_pause", "textgen_resume"])
    def test_know_the_accounts(self, command: str) -> None:
        with pytest.raises(CommandError, match="Must be an account of the settings"):
            call_command(command, account="defualt")
