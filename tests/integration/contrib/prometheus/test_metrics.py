"""`GET metrics/`: who may read it, and that each figure is that of the site."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.core.exceptions import ImproperlyConfigured
from django.db import OperationalError
from django.test import Client
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families

from creatify_textgen import services
from creatify_textgen.contrib.prometheus import counters, rows, views
from creatify_textgen.contrib.prometheus.apps import PrometheusConfig
from creatify_textgen.dispatch import circuit
from creatify_textgen.emulator import Emulator
from creatify_textgen.exceptions import WebhookError
from creatify_textgen.models import Budget, SweepSchedule
from creatify_textgen.monitoring import examination
from creatify_textgen.rest.streaming.limits import reader_slots
from creatify_textgen.signals import generation_finished, webhook_rejected
from creatify_textgen.states import Mode, Status
from tests.factories import make_generation

pytestmark = pytest.mark.django_db(transaction=True)

METRICS = "/textgen/metrics/"
PREFIX = "creatify_textgen_"
TOKEN = "a-token-of-a-scraper-0123"
BEARER = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture(autouse=True)
def _listening(settings: Any) -> Iterator[None]:
    settings.ROOT_URLCONF = "tests.integration.contrib.prometheus.urls"
    settings.CREATIFY_TEXTGEN = {**settings.CREATIFY_TEXTGEN, "METRICS_TOKEN": TOKEN}
    counters.listen()
    views._figures.forget()
    yield
    generation_finished.disconnect(dispatch_uid="creatify_textgen.prometheus")
    webhook_rejected.disconnect(dispatch_uid="creatify_textgen.prometheus")
    reader_slots.on_change = lambda count: None


class Figures:
    """What a scrape has: samples by their name and the values of their labels, in any order."""

    def __init__(self, text: str) -> None:
        self._samples = {
            frozenset((sample.name.removeprefix(PREFIX), *sample.labels.values())): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }

    def __call__(self, name: str, *labels: str) -> float | None:
        return self._samples.get(frozenset((name, *labels)))


def scrape() -> Figures:
    response = Client(headers=BEARER).get(METRICS)
    assert response.status_code == 200
    return Figures(response.content.decode())


def grown(before: Figures, name: str, *labels: str) -> float:
    return (scrape()(name, *labels) or 0) - (before(name, *labels) or 0)


class TestReader:
    def test_is_no_stranger(self) -> None:
        for headers in ({}, {"Authorization": "Bearer "}, {"Authorization": f"Basic {TOKEN}"}):
            response = Client(headers=headers).get(METRICS)
            assert (response.status_code, response.content) == (401, b"")

    def test_is_no_stranger_without_a_token_either(self, settings: Any) -> None:
        settings.CREATIFY_TEXTGEN = {**settings.CREATIFY_TEXTGEN, "METRICS_TOKEN": None}
        for token in ("", "None"):
            headers = {"Authorization": f"Bearer {token}"}
            assert Client(headers=headers).get(METRICS).status_code == 401

    def test_may_be_staff_who_see_the_credits(self, client: Client) -> None:
        user = User.objects.create_user("finance", is_staff=True)
        client.force_login(user)
        assert client.get(METRICS).status_code == 401
        user.user_permissions.add(Permission.objects.get(codename="view_credits"))
        assert client.get(METRICS).status_code == 200

    def test_learns_of_an_unreachable_database(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(self: object) -> None:
            raise OperationalError("sentinel")

        monkeypatch.setattr(rows.RowCollector, "collect", fail)
        response = Client(headers=BEARER).get(METRICS)
        assert (response.status_code, response.content) == (503, b"")

    def test_is_answered_while_the_database_hangs(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """And one thread hangs with it, however often a scraper asks."""
        goes_on, hanging = threading.Event(), []

        def hang(self: object) -> list[Any]:
            hanging.append(1)
            goes_on.wait(60)
            return []

        monkeypatch.setattr(rows.RowCollector, "collect", hang)
        monkeypatch.setattr(examination, "LONGEST_SECONDS", 0.05)
        try:
            for _ in range(3):
                assert Client(headers=BEARER).get(METRICS).status_code == 503
            assert len(hanging) == 1
        finally:
            goes_on.set()


class TestRows:
    def test_in_flight_are_counted_by_status(self) -> None:
        for status in (Status.PENDING, Status.PENDING, Status.UNCONFIRMED):
            make_generation(status=status)
        make_generation(status=Status.DONE, finished_at=timezone.now())
        figures = scrape()
        assert figures("open", "default", "async", "pending") == 2
        assert figures("open", "default", "async", "unconfirmed") == 1
        assert figures("open", "default", "async", "done") is None

    def test_that_are_due_say_how_long(self) -> None:
        now = timezone.now()
        make_generation(due_at=now - timedelta(minutes=10))
        make_generation(due_at=now - timedelta(minutes=1))
        make_generation(due_at=now + timedelta(minutes=1))
        SweepSchedule.objects.update_or_create(
            pk=1, defaults={"due_at": now - timedelta(seconds=90)}
        )
        figures = scrape()
        assert 600 <= (figures("oldest_due_seconds") or 0) < 630
        assert 90 <= (figures("sweep_lag_seconds") or 0) < 120
        assert figures("overdue") == 1

    def test_of_nothing_are_zero(self) -> None:
        figures = scrape()
        assert [figures(name) for name in ("oldest_due_seconds", "overdue", "pumps")] == [0, 0, 0]

    def test_of_pumps_are_those_that_give_signs_of_life(self) -> None:
        later = timezone.now() + timedelta(minutes=1)
        facts = {"mode": Mode.STREAM, "status": Status.RUNNING}
        make_generation(**facts, due_at=later)
        make_generation(**facts, due_at=timezone.now() - timedelta(minutes=1))
        assert scrape()("pumps") == 1

    def test_of_circuits_and_pauses(self) -> None:
        now = timezone.now()
        circuit.report_failure("default", now=now, times=circuit.FAILURES_TO_OPEN)
        services.pause_sending("default")
        figures = scrape()
        assert figures("circuit_open", "default") == 1
        assert figures("circuit_failures", "default") == circuit.FAILURES_TO_OPEN
        assert figures("paused", "default", "paused") == 1

    def test_of_today_and_of_budgets(self, remote: Emulator) -> None:
        Budget.objects.create(name="All", unit="generations", limit=10)
        generation = services.generate("Say hello")
        figures = scrape()
        assert figures("ended_today", "default", "done") == 1
        assert figures("credits_today", "default", "done") == float(
            generation.credits_used or Decimal()
        )
        assert figures("budget_limit", "All", "generations", "month") == 10
        assert figures("budget_used", "All", "generations", "month", "settled") == 1

    def test_of_a_budget_that_no_request_has_used_in_its_period(self) -> None:
        budget = Budget.objects.create(name="All", unit="generations", limit=10)
        assert scrape()("budget_used", "All", "generations", "month", "settled") == 0
        budget.periods.create(starts_on=date(2020, 1, 1), settled=9)
        assert scrape()("budget_used", "All", "generations", "month", "settled") == 0

    def test_take_the_same_number_of_statements_for_any_number_of_rows(
        self, django_assert_max_num_queries: Any
    ) -> None:
        for number in range(5):
            make_generation(account=f"a{number}", due_at=timezone.now())
            Budget.objects.create(name=str(number), limit=1)
        # Not by a scrape: it reads them in another thread, whose statements nobody counts.
        with django_assert_max_num_queries(13):
            list(rows.RowCollector().collect())


class TestCounts:
    def test_of_an_end(self, remote: Emulator) -> None:
        before = scrape()
        generation = services.generate("Say hello", model_name="gemini-2.5-pro")
        labels = ("default", "gemini-2.5-pro")
        assert grown(before, "ended_total", *labels, "sync", "done", "") == 1
        assert grown(before, "credits_total", *labels) == float(generation.credits_used or 0)
        assert grown(before, "duration_seconds_count", "default", "sync", "done") == 1

    def test_name_no_model_that_a_user_made_up(self, remote: Emulator) -> None:
        before = scrape()
        ended = services.generate("Say hello", model_name="made-up")
        labels = ("default", "other", "sync", ended.status, ended.error_code)
        assert grown(before, "ended_total", *labels) == 1

    def test_of_a_refusal_have_its_code(self, remote: Emulator) -> None:
        before = scrape()
        remote.switches.set(error_at_create="401")
        model = services.generate("Say hello").model_name
        labels = ("default", model, "sync", "failed", "authentication")
        assert grown(before, "ended_total", *labels) == 1

    def test_of_a_stream_say_how_long_its_first_chunk_took(self, remote: Emulator) -> None:
        before = scrape()
        with services.stream("Say hello") as stream:
            list(stream)
        assert grown(before, "first_chunk_seconds_count", "default") == 1
        assert 0 < grown(before, "first_chunk_seconds_sum", "default") < 60

    def test_of_an_unknown_cost(self) -> None:
        before = scrape()
        row = make_generation(status=Status.DONE, due_at=timezone.now(), finished_at=timezone.now())
        services.sweep()
        assert row.credits_used is None
        assert grown(before, "credits_unknown_total", "default") == 1

    def test_of_readers(self) -> None:
        slot = reader_slots.take("somebody")
        assert scrape()("readers") == reader_slots.count()
        slot.release()
        assert scrape()("readers") == reader_slots.count()

    def test_of_refused_deliveries(self) -> None:
        before = scrape()
        with pytest.raises(WebhookError):
            services.receive_delivery(make_generation().pk, token="wrong", body=b"")
        assert grown(before, "webhooks_rejected_total", "bad_token") == 1


WORKER = """
import django, os, time
os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
django.setup()
from creatify_textgen.contrib.prometheus import counters
counters.rejections.labels("bad_token").inc()
counters.readers.set(3)
"""
WEB = (
    WORKER
    + """
from django.test import RequestFactory
from creatify_textgen.contrib.prometheus.views import _counts
print(_counts().decode())
"""
)


class TestProcesses:
    def test_share_their_counts(self, tmp_path: Path) -> None:
        environment = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
        command = [sys.executable, "-c"]
        for _ in range(2):
            subprocess.run([*command, WORKER], env=environment, check=True, timeout=60)
        web = subprocess.run(
            [*command, WEB], env=environment, check=True, timeout=60, capture_output=True, text=True
        )
        assert 'creatify_textgen_webhooks_rejected_total{reason="bad_token"} 3.0' in web.stdout
        # The readers of the two that have ended are gone with them.
        assert "creatify_textgen_readers 3.0" in web.stdout

    def test_forget_a_process_that_another_scrape_forgets_first(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        file = tmp_path / "gauge_livesum_7.db"
        file.touch()

        def come_second(_pid: str, *, path: str) -> None:
            file.unlink()
            raise FileNotFoundError(path)

        monkeypatch.setattr(views, "_is_alive", lambda _pid: False)
        monkeypatch.setattr(views, "mark_process_dead", come_second)
        monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
        assert views._counts() == b""

    def test_need_a_folder_that_exists(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """prometheus_client would stop the site with a traceback from its inside."""
        monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path / "gone"))
        app = PrometheusConfig("creatify_textgen.contrib.prometheus", counters)
        with pytest.raises(ImproperlyConfigured, match="no folder"):
            app.ready()
