"""`GET health/`: what a supervisor and a load balancer read, and what a stranger does not learn."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError
from django.test import Client
from django.utils import timezone

from creatify_textgen import enqueue
from creatify_textgen.emulator import Emulator
from creatify_textgen.models import Circuit
from creatify_textgen.monitoring import examination, readiness
from creatify_textgen.services import health
from tests.factories import make_generation

pytestmark = pytest.mark.django_db(transaction=True)

HEALTH = "/textgen/health/"
READY = f"{HEALTH}?ready"
TOKEN = "a-token-of-a-scraper-0123"
BEARER = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture(autouse=True)
def _nothing_examined_yet(settings: Any) -> None:
    readiness._examination.forget()
    settings.CREATIFY_TEXTGEN = {**settings.CREATIFY_TEXTGEN, "METRICS_TOKEN": TOKEN}


def fail(*_: Any, **__: Any) -> None:
    raise OperationalError("postgres://user:sentinel@host")


def break_database(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "oldest_overdue", fail)


def break_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(enqueue, "ping_broker", fail)


def break_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "get_hub", fail)


def be_late(monkeypatch: pytest.MonkeyPatch) -> None:
    make_generation(due_at=timezone.now() - timedelta(minutes=5))


class TestLiveness:
    def test_needs_neither_login_nor_database(self) -> None:
        response = Client().get(HEALTH)
        assert (response.status_code, response.json()) == (200, {"status": "ok"})
        assert "no-cache" in response["Cache-Control"]

    def test_stays_whatever_fails(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for break_it in (break_database, break_broker, break_streams, be_late):
            break_it(monkeypatch)
        assert Client().get(HEALTH).status_code == 200

    def test_is_only_read(self) -> None:
        assert Client().post(HEALTH).status_code == 405
        assert Client().head(HEALTH).status_code == 200


class TestReadiness:
    def test_is_there_if_all_works(self) -> None:
        assert Client().get(READY).json() == {"status": "ok"}

    @pytest.mark.parametrize(
        ("break_it", "part"),
        [
            (break_database, "database"),
            (break_broker, "broker"),
            (break_streams, "streams"),
            (be_late, "sweep"),
        ],
    )
    def test_fails_with_each_part(
        self,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
        break_it: Callable[[pytest.MonkeyPatch], None],
        part: str,
    ) -> None:
        break_it(monkeypatch)
        response = Client().get(READY)
        assert (response.status_code, response.json()) == (503, {"status": "not ready"})
        assert f"This process is not ready: {part}" in caplog.text
        assert "sentinel" not in caplog.text

    def test_names_the_part_to_whoever_has_the_token(self, monkeypatch: pytest.MonkeyPatch) -> None:
        break_broker(monkeypatch)
        assert Client(headers=BEARER).get(READY).json()["failures"] == ["broker"]
        wrong = Client(headers={"Authorization": "Bearer something-else-entirely"})
        assert "failures" not in wrong.get(READY).json()

    def test_does_not_follow_the_remote(self, remote: Emulator) -> None:
        remote.switches.set(outage="reset")
        later = timezone.now() + timedelta(minutes=5)
        Circuit.objects.create(account="default", failures=9, open_until=later)
        make_generation(due_at=later, created_at=timezone.now() - timedelta(hours=1))
        assert Client().get(READY).status_code == 200
        assert remote.requests == []

    def test_is_examined_once_however_often_a_stranger_asks(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        examined = []
        monkeypatch.setattr(readiness, "find_failures", lambda: examined.append(1) or [])
        for _ in range(5):
            Client().get(READY)
        assert len(examined) == 1

    def test_is_answered_while_the_database_hangs(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """And one thread hangs with it, however often a load balancer asks."""
        goes_on = threading.Event()
        hanging = []

        def hang(**_: Any) -> None:
            hanging.append(1)
            goes_on.wait(60)

        monkeypatch.setattr(health, "oldest_overdue", hang)
        monkeypatch.setattr(examination, "LONGEST_SECONDS", 0.05)
        monkeypatch.setattr(readiness, "FRESH_SECONDS", 0)
        try:
            for _ in range(3):
                assert Client(headers=BEARER).get(READY).json()["failures"] == ["database"]
            assert len(hanging) == 1
        finally:
            goes_on.set()

    def test_needs_no_broker_without_a_celery_app(
        self, host_celery: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(host_celery, "main", "default")
        monkeypatch.setattr(enqueue, "_connection", fail)
        assert Client().get(READY).status_code == 200
