"""`manage.py textgen_doctor`: each finding, good and bad, and that no secret is printed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
import redis
from django.core.management import call_command
from django.db import OperationalError, connection
from django.db.migrations.recorder import MigrationRecorder
from django.utils import timezone

from creatify_textgen import services, signals
from creatify_textgen.emulator import Emulator
from creatify_textgen.management.examination import EXAMINATIONS, HINTS, NEEDS, Finding, examine
from creatify_textgen.models import Circuit, Generation
from creatify_textgen.streams import hub
from creatify_textgen.streams.hub import get_hub
from tests.factories import make_generation

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _impatience(monkeypatch: pytest.MonkeyPatch) -> None:
    # A worker on memory:// looks once a second.
    monkeypatch.setattr("creatify_textgen.management.examination.SECONDS", 2)


def diagnose(name: str) -> list[Finding]:
    return examine(name, EXAMINATIONS[name])


def statuses(name: str) -> list[str]:
    return [finding.status for finding in diagnose(name)]


def run(*arguments: str) -> tuple[int, str]:
    out = StringIO()
    try:
        call_command("textgen_doctor", *arguments, stdout=out, stderr=out)
    except SystemExit as leaving:
        return int(str(leaving.code)), out.getvalue()
    return 0, out.getvalue()


def change(settings: Any, **values: Any) -> None:
    settings.CREATIFY_TEXTGEN = {**settings.CREATIFY_TEXTGEN, **values}


class TestReport:
    def test_is_well_where_all_is(
        self, remote: Emulator, settings: Any, live_server: Any, host_worker: None
    ) -> None:
        change(settings, WEBHOOK_BASE_URL=live_server.url)
        code, reported = run()
        assert (code, "FAILED" in reported) == (0, False), reported
        assert all(name in reported for name in EXAMINATIONS if name != "accounts")
        assert "379 credits are left." in reported

    def test_fails_by_its_exit_code(self, remote: Emulator, settings: Any) -> None:
        change(settings, MEDIA_STORAGE="bucket")
        code, reported = run("--skip", "workers")
        assert code == 1
        assert "FAILED  settings" in reported
        assert "FAILED  media storage" in reported

    def test_speaks_json(self, remote: Emulator, settings: Any) -> None:
        code, reported = run("--json", "--skip", "workers")
        report = json.loads(reported)
        assert (code, report["ok"]) == (0, True)
        assert {"name": "sweep", "status": "ok", "message": "Nothing is overdue.", "hint": ""} in (
            report["findings"]
        )

    def test_spends_nothing(self, remote: Emulator) -> None:
        run("--skip", "workers")
        assert remote.counters["creates"] == 0
        assert not Generation.objects.exists()


class TestExamination:
    def test_turns_an_error_into_a_finding_without_its_text(self) -> None:
        def fail() -> Iterator[Finding]:
            yield Finding("broker", "ok", "So far.")
            raise ConnectionError("amqp://user:sentinel@host")

        assert examine("broker", fail) == [
            Finding("broker", "ok", "So far."),
            Finding("broker", "failed", "It failed with ConnectionError.", HINTS["broker"]),
        ]

    def test_has_a_hint_for_each_part_that_a_driver_may_fail(self) -> None:
        own = {"settings", "accounts", "webhook"}
        assert {*HINTS, *NEEDS} | own == set(EXAMINATIONS)

    def test_does_not_try_again_what_has_failed(
        self, remote: Emulator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """With a pool each try takes half a minute."""

        def fail(*_: Any, **__: Any) -> None:
            raise OperationalError("couldn't get a connection after 30.00 sec")

        for name in EXAMINATIONS:
            monkeypatch.setitem(EXAMINATIONS, name, fail)
        _, reported = run("--json")
        findings = {one["name"]: one for one in json.loads(reported)["findings"]}
        assert {name for name, one in findings.items() if one["status"] == "skipped"} == set(NEEDS)
        assert findings["sweep"]["message"] == "Needs the database, which failed."


class TestSettings:
    def test_gives_each_message_of_the_checks(self, settings: Any) -> None:
        change(settings, WEBHOOK_BASE_URL="http://example.com", POLL_INTERVALL=1)
        assert sorted(statuses("settings")) == ["failed", "warning"]


class TestAccounts:
    def test_tells_the_balance_of_each(self, remote: Emulator, settings: Any) -> None:
        accounts = settings.CREATIFY_TEXTGEN["ACCOUNTS"]
        change(settings, ACCOUNTS={**accounts, "second": accounts["default"]})
        assert [finding.name for finding in diagnose("accounts")] == [
            "account default",
            "account second",
        ]

    def test_warns_where_nothing_is_left(self, remote: Emulator) -> None:
        remote.switches.set(balance=0)
        assert statuses("accounts") == ["warning"]

    def test_fails_where_the_keys_are_not_known(self, remote: Emulator) -> None:
        remote.switches.set(api_keys="other:pair")
        [finding] = diagnose("accounts")
        assert finding.status == "failed"
        assert "test-api-key" not in str(finding)

    def test_fails_where_nobody_answers(self) -> None:
        [finding] = diagnose("accounts")
        assert (finding.status, "the network" in finding.hint) == ("failed", True)

    def test_names_a_bundle_that_is_missing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/no/such/bundle.pem")
        [finding] = diagnose("accounts")
        assert finding.hint == (
            "REQUESTS_CA_BUNDLE names a bundle of certificates that does not exist: "
            "/no/such/bundle.pem"
        )

    def test_fails_without_keys(self, settings: Any) -> None:
        change(settings, ACCOUNTS={"default": {}})
        [finding] = diagnose("accounts")
        assert "lacks API_ID or API_KEY" in finding.message


class TestDatabase:
    def test_fails_where_a_migration_is_missing(self) -> None:
        recorder = MigrationRecorder(connection)
        recorder.record_unapplied("creatify_textgen", "0001_initial")
        try:
            [finding] = diagnose("database")
        finally:
            recorder.record_applied("creatify_textgen", "0001_initial")
        assert finding.status == "failed"
        assert "0001_initial" in finding.message


class TestCacheAndStorage:
    def test_fails_where_the_cache_keeps_nothing(self, settings: Any) -> None:
        settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}}
        assert statuses("cache") == ["failed"]

    def test_leaves_no_file_behind(self, settings: Any, tmp_path: Any) -> None:
        storage = {
            "BACKEND": "django.core.files.storage.FileSystemStorage",
            "OPTIONS": {"location": str(tmp_path)},
        }
        settings.STORAGES = {**settings.STORAGES, "files": storage}
        change(settings, MEDIA_STORAGE="files")
        assert statuses("media storage") == ["ok"]
        assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


class TestStreams:
    def test_fails_where_the_backend_is_away(
        self, settings: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("creatify_textgen.services.health.FRAME_SECONDS", 0.1)
        change(settings, STREAM_BACKEND="carrier-pigeon://sentinel@roof")
        [finding] = diagnose("streams")
        assert finding.status == "failed"
        assert "sentinel" not in str(finding)

    @pytest.mark.parametrize("mode", ["cluster", "sentinel"])
    def test_names_a_redis_that_is_not_one_server(
        self, settings: Any, monkeypatch: pytest.MonkeyPatch, mode: str
    ) -> None:
        monkeypatch.setattr(redis.Redis, "info", lambda *_: {"redis_mode": mode})
        change(settings, STREAM_BACKEND="redis://127.0.0.1:9/0")
        [finding] = diagnose("streams")
        assert finding.status == "failed"
        assert f"in the mode {mode}" in finding.message

    @pytest.mark.service
    def test_is_well_with_one_redis(self, settings: Any, redis_url: str) -> None:
        change(settings, STREAM_BACKEND=redis_url)
        try:
            assert statuses("streams") == ["ok"]
        finally:
            get_hub().close()
            hub._hub.forget()


class TestWorkers:
    def test_fail_where_none_answers(self) -> None:
        [finding] = diagnose("workers")
        assert (finding.status, finding.message) == ("failed", "No worker answered.")

    def test_fail_where_none_takes_from_our_queue(self, settings: Any, host_worker: None) -> None:
        change(settings, CELERY_QUEUE="short", STREAM_QUEUE="streams")
        failed = [finding for finding in diagnose("workers") if finding.status == "failed"]
        # Streams in memory need no worker.
        assert [finding.message for finding in failed] == [
            "No worker takes from the queue 'short'."
        ]


class TestWebhook:
    def test_is_skipped_where_results_are_polled_for(self) -> None:
        assert statuses("webhook") == ["skipped"]

    def test_leads_to_the_receiver(self, settings: Any, live_server: Any) -> None:
        change(settings, WEBHOOK_BASE_URL=live_server.url)
        assert statuses("webhook") == ["ok"]

    def test_changes_no_row(self, settings: Any, live_server: Any) -> None:
        rejected: list[str] = []
        change(settings, WEBHOOK_BASE_URL=live_server.url)

        def note(reason: str, **_: Any) -> None:
            rejected.append(reason)

        signals.webhook_rejected.connect(note)
        try:
            diagnose("webhook")
        finally:
            signals.webhook_rejected.disconnect(note)
        assert rejected == ["malformed_delivery", "bad_token"]

    def test_fails_at_another_site(self, settings: Any, remote: Emulator) -> None:
        change(settings, WEBHOOK_BASE_URL=remote.url)
        [finding] = diagnose("webhook")
        assert finding.status == "failed"
        assert "404 and 404" in finding.message

    def test_fails_where_nobody_listens(self, settings: Any) -> None:
        change(settings, WEBHOOK_BASE_URL="http://127.0.0.1:9")
        [finding] = diagnose("webhook")
        assert finding.message == "WEBHOOK_BASE_URL does not answer: ConnectionRefusedError."

    def test_fails_where_the_receiver_is_not_mounted(self, settings: Any) -> None:
        change(settings, WEBHOOK_BASE_URL="https://example.com")
        settings.ROOT_URLCONF = "tests.integration.no_urls"
        assert statuses("webhook") == ["failed"]


class TestSweep:
    def test_fails_where_a_row_waits_for_minutes(self) -> None:
        late = make_generation(due_at=timezone.now() - timedelta(minutes=10))
        [finding] = diagnose("sweep")
        assert finding.status == "failed"
        assert finding.message == (
            f"Generation {late.pk} of account 'default' is overdue: it has been due for 10 minutes."
        )

    def test_lets_a_sweep_at_work_finish(self) -> None:
        make_generation(due_at=timezone.now() - timedelta(minutes=1))
        assert statuses("sweep") == ["ok"]


class TestQueue:
    @pytest.mark.parametrize("reason", ["answer", "paused", "no worker"])
    def test_is_overdue_behind_an_outage_too(self, settings: Any, reason: str) -> None:
        accounts = settings.CREATIFY_TEXTGEN["ACCOUNTS"]
        change(settings, ACCOUNTS={**accounts, "second": accounts["default"]})
        now = timezone.now()
        later = now + timedelta(minutes=4)
        for minutes in (20, 30):
            created_at = now - timedelta(minutes=minutes)
            make_generation(account="second", created_at=created_at, due_at=later)
        make_generation(created_at=now, due_at=later)
        if reason == "answer":
            Circuit.objects.create(account="second", failures=9, open_until=later)
        elif reason == "paused":
            services.pause_sending("second")
        [finding] = diagnose("queue")
        assert finding.status == "warning"
        start = "2 requests of account 'second' are overdue, the oldest for 30 minutes: "
        assert finding.message.startswith(start)
        assert reason in finding.message

    def test_is_well_where_all_was_sent(self) -> None:
        make_generation(status="pending", created_at=timezone.now() - timedelta(hours=1))
        assert statuses("queue") == ["ok"]


class TestModels:
    def test_warns_where_another_model_answers(self) -> None:
        make_generation(model_name="gemini-2.5-flash", model_version="gemini-3.5-flash-lite")
        [finding] = diagnose("models")
        assert finding.status == "warning"
        assert "gemini-3.5-flash-lite answers for gemini-2.5-flash" in finding.message

    def test_takes_a_version_for_the_model_itself(self) -> None:
        make_generation(model_name="gemini-2.5-flash", model_version="gemini-2.5-flash-001")
        make_generation(model_name="gemini-2.5-flash", model_version="")
        assert statuses("models") == ["ok"]
