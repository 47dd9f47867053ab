"""The table of docs/how-to/operations.md, carried out: a fault, what is reported, the cure."""

from __future__ import annotations

import json
from contextlib import nullcontext, suppress
from datetime import timedelta
from io import StringIO
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.core.management import call_command
from django.db import OperationalError
from django.db.models import F
from django.test import Client
from prometheus_client import CollectorRegistry

from creatify_textgen import clock, enqueue, services
from creatify_textgen.contrib.prometheus import counters
from creatify_textgen.contrib.prometheus.rows import RowCollector
from creatify_textgen.dispatch.callbacks import webhook_url
from creatify_textgen.emulator import Emulator
from creatify_textgen.exceptions import PolicyRefusal, TextgenError
from creatify_textgen.models import Budget, Circuit, Generation, Pause, UsageTotal
from creatify_textgen.monitoring import readiness
from creatify_textgen.services import health

pytestmark = pytest.mark.django_db(transaction=True)


def figure(name: str, **labels: str) -> float:
    """Return the sum of what a scrape has under this name and these labels."""
    registry = CollectorRegistry()
    registry.register(RowCollector())
    return sum(
        sample.value
        for family in registry.collect()
        for sample in family.samples
        if sample.name == f"creatify_textgen_{name}" and labels.items() <= sample.labels.items()
    )


def doctor_on(name: str) -> str:
    """Return the status that the doctor gives to this finding; others may be worse."""
    said = StringIO()
    with suppress(SystemExit):
        call_command("textgen_doctor", json=True, stdout=said)
    findings = json.loads(said.getvalue())["findings"]
    return next(str(one["status"]) for one in findings if one["name"] == name)


def make_due() -> None:
    """Let all waiting be over."""
    Circuit.objects.exclude(open_until=None).update(open_until=clock.now())
    Pause.objects.exclude(until=None).update(until=clock.now())
    Generation.objects.exclude(due_at=None).update(due_at=clock.now())


def sweep_until_done() -> None:
    for _ in range(3):
        make_due()
        services.sweep()
    assert set(Generation.objects.values_list("status", flat=True)) == {"done"}


def lines_of(caplog: Any, name: str) -> list[str]:
    """Return what the logger of this name has said."""
    logger = f"creatify_textgen.{name}"
    return [record.getMessage() for record in caplog.records if record.name == logger]


def consume(row: Generation) -> str:
    """Read a stream to its end and return its text."""
    return "".join(chunk.text for chunk in services.attach(row))


def rejections() -> float:
    return sum(
        sample.value
        for family in counters.rejections.collect()
        for sample in family.samples
        if sample.name.endswith("_total")
    )


def finish_by_a_delivery_with_nulls(settings: Any) -> Generation:
    settings.CREATIFY_TEXTGEN = {
        **settings.CREATIFY_TEXTGEN,
        "WEBHOOK_BASE_URL": "http://127.0.0.1:9",
        "CONFIRM_WEBHOOKS": False,
    }
    row = services.submit("Hello")
    services.send_generation(row.pk)
    row.refresh_from_db()
    body = {"id": row.remote_id, "status": "done", "response_text": "Hi.", "credits_used": None}
    path = urlsplit(webhook_url(row)).path
    assert Client().post(path, body, content_type="application/json").status_code == 204
    row.refresh_from_db()
    return row


def break_part(part: str, broken: pytest.MonkeyPatch) -> None:
    """Let one part of the site fail as its driver does."""

    def fail(*_: Any, **__: Any) -> None:
        raise OperationalError("the server closed the connection")

    names = {"database": "oldest_overdue", "broker": "try_broker", "streams": "try_streams"}
    if part in names:
        broken.setattr(health, names[part], fail)
    else:
        services.submit("Hello")
        Generation.objects.update(due_at=clock.now() - timedelta(minutes=10))


class TestRunbook:
    def test_nothing_sweeps(self, remote: Emulator) -> None:
        services.submit("Hello")
        Generation.objects.update(due_at=clock.now() - timedelta(minutes=10))
        assert figure("oldest_due_seconds") > 180
        assert doctor_on("sweep") != "ok"
        call_command("textgen_sweep", stdout=StringIO())
        sweep_until_done()
        assert doctor_on("sweep") == "ok"
        assert figure("oldest_due_seconds") == 0

    def test_creatify_does_not_answer(self, remote: Emulator, caplog: Any) -> None:
        remote.switches.set(outage="503")
        for number in range(6):
            services.send_generation(services.submit(f"Say {number}").pk)
        assert figure("circuit_open", account="default") == 1
        assert "creatify_textgen.remote" in {record.name for record in caplog.records}
        remote.switches.set(outage="none")
        sweep_until_done()
        assert figure("circuit_open", account="default") == 0

    def test_an_account_is_refused(self, remote: Emulator, caplog: Any) -> None:
        remote.switches.set(error_at_create="401")
        row = services.submit("Hello")
        services.send_generation(row.pk)
        assert "401" in caplog.text
        row.refresh_from_db()
        assert (row.status, row.error_code) == ("failed", "authentication")
        remote.switches.set(error_at_create="none")
        services.retry(row)
        Generation.objects.filter(pk=row.pk).delete()
        sweep_until_done()

    def test_no_credits(self, remote: Emulator, caplog: Any) -> None:
        remote.switches.set(credits="insufficient_at_create")
        services.send_generation(services.submit("Hello").pk)
        assert "402" in caplog.text
        assert figure("paused", code="insufficient_credits") == 1
        remote.switches.set(credits="enough")
        sweep_until_done()
        assert figure("paused", code="insufficient_credits") == 0

    def test_too_fast(self, remote: Emulator, caplog: Any) -> None:
        remote.switches.set(error_at_create="429")
        services.send_generation(services.submit("Hello").pk)
        assert "429" in caplog.text
        remote.switches.set(error_at_create="none")
        sweep_until_done()

    def test_unconfirmed(self, remote: Emulator) -> None:
        remote.switches.set(reset_after_accept=True)
        services.send_generation(services.submit("Hello").pk)
        assert figure("open", status="unconfirmed") == 1
        remote.switches.set(reset_after_accept=False)
        sweep_until_done()
        assert figure("open", status="unconfirmed") == 0
        assert remote.counters["creates"] == 1

    def test_costs_unknown(self, remote: Emulator, settings: Any) -> None:
        """Creatify's delivery has nulls, and this site believes it."""
        row = finish_by_a_delivery_with_nulls(settings)
        assert (row.status, row.credits_used) == ("done", None)
        assert figure("credits_unknown_today", account="default") == 1
        UsageTotal.objects.update(day=F("day") - timedelta(days=1))  # midnight
        assert figure("costs_unknown", account="default") == 1
        UsageTotal.objects.update(day=F("day") + timedelta(days=1))
        call_command("textgen_reconcile", fix=True, stdout=StringIO())
        row.refresh_from_db()
        assert row.credits_used is not None
        assert figure("costs_unknown", account="default") == 0

    def test_pumps_die(self, remote: Emulator, caplog: Any) -> None:
        """A killed one leaves a row that nobody moves any more, like a connection that broke."""
        remote.switches.set(chunk_interval=0, stream_fault="cut_mid_event")
        stream = services.stream("Hello")
        with suppress(TextgenError):
            list(stream)
        row = stream.generation
        Generation.objects.update(due_at=clock.now(), updated_at=clock.now() - timedelta(minutes=5))
        services.sweep()
        assert any("gives no sign of life" in line for line in lines_of(caplog, "streams"))
        sweep_until_done()
        row.refresh_from_db()
        assert row.content.response_text
        assert row.credits_used is not None

    def test_readers_wait(
        self, remote: Emulator, caplog: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """All threads for streams are occupied: none takes this one up."""
        with monkeypatch.context() as occupied:
            occupied.setattr(enqueue, "stream", lambda generation_id: None)
            row = services.begin_stream("Hello")
        Generation.objects.update(
            created_at=clock.now() - timedelta(minutes=1), due_at=clock.now() - timedelta(seconds=1)
        )
        assert consume(row) == ""
        row.refresh_from_db()
        assert (row.status, row.credits_used) == ("cancelled", 0)
        assert any("No worker started" in line for line in lines_of(caplog, "streams"))
        assert remote.counters["creates"] == 0
        assert consume(services.stream("Hello").generation)

    @pytest.mark.parametrize("is_hard", [True, False], ids=["hard", "soft"])
    def test_a_budget_is_reached(self, remote: Emulator, caplog: Any, *, is_hard: bool) -> None:
        budget = Budget.objects.create(name="team", unit="generations", limit=1, is_hard=is_hard)
        services.submit("Hello")
        with pytest.raises(PolicyRefusal) if is_hard else nullcontext():
            services.submit("Hello again")
        assert any("'team' is reached" in line for line in lines_of(caplog, "control"))
        held = figure("budget_used", budget="team")
        assert held >= figure("budget_limit", budget="team") == 1
        budget.limit = 5
        budget.save()
        services.submit("Hello once more")
        sweep_until_done()

    def test_deliveries_are_refused(self, remote: Emulator, caplog: Any, settings: Any) -> None:
        """The secret key is not the one that made the URLs; then the old one is known, too."""
        settings.CREATIFY_TEXTGEN = {
            **settings.CREATIFY_TEXTGEN,
            "WEBHOOK_BASE_URL": "http://127.0.0.1:9",
        }
        row = services.submit("Hello")
        services.send_generation(row.pk)
        row.refresh_from_db()
        path = urlsplit(webhook_url(row)).path
        body = {"id": row.remote_id, "status": "done"}
        old = settings.SECRET_KEY
        settings.SECRET_KEY = "another-key-that-is-as-long-as-the-first"
        counters.listen()
        before = rejections()
        answer = Client().post(path, body, content_type="application/json")
        assert (answer.status_code, rejections() - before) == (404, 1)
        assert any("delivery was refused" in line for line in lines_of(caplog, "webhooks"))
        settings.SECRET_KEY_FALLBACKS = [old]
        answer = Client().post(path, body, content_type="application/json")
        assert (answer.status_code, rejections() - before) == (204, 1)

    @pytest.mark.parametrize("part", ["database", "broker", "streams", "sweep"])
    def test_not_ready(
        self, remote: Emulator, caplog: Any, part: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with monkeypatch.context() as broken:
            break_part(part, broken)
            readiness._examination.forget()
            assert Client().get("/textgen/health/?ready").status_code == 503
            assert Client().get("/textgen/health/").status_code == 200
            assert any(part in line for line in lines_of(caplog, "requests"))
        Generation.objects.all().delete()
        readiness._examination.forget()
        assert Client().get("/textgen/health/?ready").status_code == 200

    def test_stop_all_spending_at_once(self, remote: Emulator) -> None:
        row = services.submit("Hello")
        call_command("textgen_pause", reason="why", stdout=StringIO())
        with pytest.raises(PolicyRefusal):
            services.submit("Hello")
        services.send_generation(row.pk)
        assert (figure("paused"), remote.counters["creates"]) == (1, 0)
        call_command("textgen_resume", stdout=StringIO())
        sweep_until_done()
