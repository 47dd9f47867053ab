"""What the logs say of a site that runs, without a word of prompts or secrets."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client
from django.utils import timezone

from creatify_textgen import enqueue, lifecycle, logs, services
from creatify_textgen.dispatch import circuit
from creatify_textgen.dispatch.callbacks import make_token
from creatify_textgen.emulator import Emulator
from creatify_textgen.exceptions import RemoteError, WebhookError
from creatify_textgen.models import Budget, Generation
from creatify_textgen.recovery.polling import start_polls
from creatify_textgen.signals import generation_finished
from creatify_textgen.states import Cause, Mode, Status
from creatify_textgen.streams import pump
from tests.factories import NOW, make_generation

pytestmark = pytest.mark.django_db(transaction=True)

Said = Callable[[logging.Logger], list[str]]


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> Said:
    """Return the lines of one of the loggers, of INFO and above."""
    caplog.set_level(logging.INFO)

    def of(logger: logging.Logger) -> list[str]:
        return [record.getMessage() for record in caplog.records if record.name == logger.name]

    return of


def submit_and_send(account: str = "default") -> Generation:
    generation = services.submit("Say hello", account=account)
    services.send_generation(generation.pk)
    return generation


class TestRefusals:
    @pytest.mark.parametrize("status", ["401", "402", "403", "429"])
    def test_are_logged_once_for_each_account_and_status(
        self, remote: Emulator, said: Said, status: str
    ) -> None:
        remote.switches.set(error_at_create=status, retry_after_seconds=0)
        for _ in range(3):
            submit_and_send()
        [line] = said(logs.REMOTE)
        assert line.startswith("Account 'default' is refused: ")
        assert f"({status})" in line

    def test_of_another_account_have_a_line_of_their_own(self, said: Said) -> None:
        for account in ("a", "b", "a"):
            circuit.report(account, [RemoteError("No (401).", status=401)], now=NOW)
        assert [line.split()[1] for line in said(logs.REMOTE)] == ["'a'", "'b'"]

    def test_that_a_page_of_credits_meets_are_logged(self, remote: Emulator, said: Said) -> None:
        cache.clear()
        remote.switches.set(error_at_credits="401")
        services.credits()
        assert len(said(logs.REMOTE)) == 1

    def test_of_one_request_are_no_line(self, remote: Emulator, said: Said) -> None:
        remote.switches.set(error_at_create="400")
        submit_and_send()
        assert said(logs.REMOTE) == []


class TestCircuit:
    def test_is_logged_when_it_changes_alone(self, said: Said) -> None:
        for _ in range(3):
            circuit.report_failure("default", now=NOW, times=circuit.FAILURES_TO_OPEN)
        assert len(said(logs.REMOTE)) == 1
        for _ in range(3):
            circuit.report_success("default")
        assert len(said(logs.REMOTE)) == 2
        circuit.report_failure("default", now=NOW)
        circuit.report_success("default")
        assert len(said(logs.REMOTE)) == 2


class TestEnd:
    @pytest.mark.parametrize("has_receiver", [False, True])
    def test_is_one_line_with_all_facts(
        self, remote: Emulator, said: Said, caplog: pytest.LogCaptureFixture, has_receiver: bool
    ) -> None:
        def receiver(**_: Any) -> None: ...

        if has_receiver:
            generation_finished.connect(receiver)
        try:
            generation = services.generate("Say hello")
        finally:
            generation_finished.disconnect(receiver)
        services.sweep()
        [line] = said(logs.GENERATIONS)
        [record] = [one for one in caplog.records if one.name == logs.GENERATIONS.name]
        assert record.levelno == logging.INFO
        assert line == (
            f"generation={generation.pk} account=default model={generation.model_name} mode=sync "
            f"status=done code= seconds={generation.duration_seconds} "
            f"credits={generation.credits_used}"
        )
        assert vars(record)["credits"] == generation.credits_used
        assert "hello" not in repr(vars(record)).lower()

    def test_without_a_result_is_a_warning(
        self, said: Said, caplog: pytest.LogCaptureFixture
    ) -> None:
        row = make_generation(status=Status.UNCONFIRMED)
        lifecycle.mark_arrived(
            {row.pk: lifecycle.Arrival()}, to=Status.EXPIRED, cause=Cause.SWEEP, now=NOW
        )
        [line] = said(logs.GENERATIONS)
        assert "status=expired" in line
        assert caplog.records[-1].levelno == logging.WARNING

    def test_that_a_kill_left_unannounced_is_logged_by_a_sweep(self, said: Said) -> None:
        make_generation(
            status=Status.DONE, due_at=NOW, finished_at=NOW, credits_used=Decimal("0.5")
        )
        services.sweep()
        [line] = said(logs.GENERATIONS)
        assert "credits=0.5" in line


class TestWebhooks:
    def test_that_are_refused_are_counted(self, client: Client, said: Said) -> None:
        row = make_generation()
        for _ in range(3):
            client.post(f"/textgen/webhooks/{row.pk}/{'0' * 32}/", b"{}", "application/json")
            with pytest.raises(WebhookError):
                services.receive_delivery(row.pk, token=make_token(row.pk), body=b"{")
        bad_token, malformed = said(logs.WEBHOOKS)
        assert "bad_token" in bad_token
        assert "malformed_delivery" in malformed


class TestSweep:
    def test_that_is_late_says_by_how_much(self, remote: Emulator, said: Said) -> None:
        make_generation(due_at=timezone.now() - timedelta(seconds=90))
        services.sweep()
        [line] = said(logs.SWEEP)
        assert "is 90 seconds late" in line

    def test_in_time_is_no_line(self, remote: Emulator, said: Said) -> None:
        make_generation(due_at=timezone.now() - timedelta(seconds=5))
        services.sweep()
        assert said(logs.SWEEP) == []


class TestPump:
    def test_that_gives_no_sign_of_life_is_logged(self, said: Said) -> None:
        facts = {"mode": Mode.STREAM, "status": Status.RUNNING, "polls": 1}
        silent = [make_generation(**facts, updated_at=NOW - timedelta(minutes=9)) for _ in "ab"]
        handed_over = make_generation(**facts, updated_at=NOW)
        start_polls([*silent, handed_over], now=NOW)
        [line] = said(logs.STREAMS)
        assert f"The pump of generation {silent[0].pk} gives no sign of life" in line

    def test_that_gave_up_a_moment_ago_is_no_line(self, said: Said, settings: Any) -> None:
        settings.CREATIFY_TEXTGEN = {**settings.CREATIFY_TEXTGEN, "TIMEOUTS": {"stream_idle": 1}}
        since = NOW - timedelta(seconds=20)
        row = make_generation(mode=Mode.STREAM, status=Status.RUNNING, polls=1, updated_at=since)
        start_polls([row], now=NOW)
        assert said(logs.STREAMS) == []

    def test_that_dies_of_an_error_is_logged(
        self, remote: Emulator, said: Said, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def die(*_: Any) -> None:
            raise ZeroDivisionError

        monkeypatch.setattr(enqueue, "stream", lambda generation_id: None)
        generation = services.begin_stream("Say hello")
        monkeypatch.setattr(pump._Pump, "_read", die)
        with pytest.raises(ZeroDivisionError):
            services.pump_stream(generation.pk)
        assert said(logs.STREAMS) == [
            f"The pump of generation {generation.pk} died of ZeroDivisionError."
        ]

    def test_that_was_killed_in_its_send_is_logged(self, said: Said) -> None:
        row = make_generation(status=Status.SUBMITTING, lease_until=NOW, due_at=NOW)
        start_polls([row], now=NOW)
        [line] = said(logs.SENDING)
        assert str(row.pk) in line


class TestBudget:
    def test_that_is_reached_is_one_line(self, remote: Emulator, said: Said) -> None:
        Budget.objects.create(name="All", unit="generations", limit=1, is_hard=False)
        for _ in range(3):
            services.submit("Say hello")
        [line] = said(logs.CONTROL)
        assert line.startswith("The budget 'All' is reached for the period from 20")


class TestBroker:
    def test_that_is_unreachable_is_counted(
        self, said: Said, host_celery: Any, settings: Any
    ) -> None:
        settings.CELERY_BROKER_URL = "redis://127.0.0.1:9/0"
        for _ in range(3):
            services.submit("Say hello")
        assert sum("textgen.submit" in line for line in said(logs.SENDING)) == 1
