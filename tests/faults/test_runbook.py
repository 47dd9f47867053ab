"""The table of docs/how-to/operations.md, carried out: a fault, what is reported, the cure."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from prometheus_client import CollectorRegistry

from creatify_textgen import clock, services
from creatify_textgen.contrib.prometheus.rows import RowCollector
from creatify_textgen.emulator import Emulator
from creatify_textgen.exceptions import PolicyRefusal
from creatify_textgen.models import Circuit, Generation, Pause

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

    def test_stop_all_spending_at_once(self, remote: Emulator) -> None:
        row = services.submit("Hello")
        call_command("textgen_pause", reason="why", stdout=StringIO())
        with pytest.raises(PolicyRefusal):
            services.submit("Hello")
        services.send_generation(row.pk)
        assert (figure("paused"), remote.counters["creates"]) == (1, 0)
        call_command("textgen_resume", stdout=StringIO())
        sweep_until_done()
