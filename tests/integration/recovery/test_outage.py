"""A remote that is down is left alone, and nothing is lost by it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from creatify_textgen import services
from creatify_textgen.dispatch import circuit
from creatify_textgen.emulator import Emulator
from creatify_textgen.models import Circuit, Generation
from tests.factories import NOW, make_generation

pytestmark = pytest.mark.django_db


class TestCircuit:
    def test_opens_after_failures_in_a_row(self) -> None:
        circuit.report_failure("default", now=NOW, times=circuit.FAILURES_TO_OPEN - 1)
        assert circuit.calls_allowed("default", now=NOW) is None
        circuit.report_failure("default", now=NOW)
        assert circuit.calls_allowed("default", now=NOW) == 0

    def test_lets_one_try_through_when_it_is_time(self) -> None:
        circuit.report_failure("default", now=NOW, times=circuit.FAILURES_TO_OPEN)
        later = NOW + timedelta(seconds=circuit.LONGEST)
        assert [circuit.calls_allowed("default", now=later) for _ in range(3)] == [1, 0, 0]

    def test_waits_longer_the_longer_it_lasts(self) -> None:
        waits = []
        for _ in range(10):
            circuit.report_failure("default", now=NOW, times=circuit.FAILURES_TO_OPEN)
            waits.append((circuit.open_until("default") or NOW) - NOW)
        assert waits == sorted(waits)
        assert waits[-1] == timedelta(seconds=circuit.LONGEST)

    def test_closes_at_the_first_answer(self) -> None:
        circuit.report_failure("default", now=NOW, times=circuit.FAILURES_TO_OPEN)
        circuit.report_success("default")
        assert circuit.calls_allowed("default", now=NOW) is None

    @pytest.mark.parametrize("was_open", [False, True])
    def test_stays_closed_if_another_process_closes_it(
        self, monkeypatch: pytest.MonkeyPatch, was_open: bool
    ) -> None:
        circuit.report_failure("default", now=NOW, times=circuit.FAILURES_TO_OPEN - 1 + was_open)

        def close_meanwhile(**span: float) -> timedelta:
            circuit.report_success("default")
            return timedelta(**span)

        monkeypatch.setattr(circuit, "timedelta", close_meanwhile)
        circuit.report_failure("default", now=NOW)
        assert circuit.open_until("default") is None

    def test_is_each_account_s_own(self) -> None:
        circuit.report_failure("default", now=NOW, times=circuit.FAILURES_TO_OPEN)
        assert circuit.calls_allowed("other", now=NOW) is None


class TestOutage:
    @pytest.mark.parametrize("kind", ["503", "reset"])
    def test_queued_rows_wait_without_as_many_failing_calls(
        self, remote: Emulator, kind: str
    ) -> None:
        remote.switches.set(outage=kind)
        services.submit_many([{"messages": f"Count to {i}"} for i in range(60)])
        for _ in range(5):
            Generation.objects.update(due_at=timezone.now())
            services.sweep()
        assert len(remote.requests) < 30
        assert Generation.objects.filter(status="failed").count() == 0

    def test_all_goes_on_when_it_is_over(self, remote: Emulator) -> None:
        remote.switches.set(outage="503")
        services.submit_many([{"messages": f"Count to {i}"} for i in range(20)])
        services.sweep()
        remote.switches.set(outage="none")
        for _ in range(60):
            Circuit.objects.update(open_until=timezone.now())
            Generation.objects.exclude(status="done").update(due_at=timezone.now())
            services.sweep()
            if Generation.objects.filter(status="done").count() == 20:
                break
        assert Generation.objects.filter(status="done").count() == 20
        assert remote.counters["creates"] == 20

    def test_pending_rows_are_looked_at_later(self, remote: Emulator) -> None:
        generation = services.submit("Say hello")
        services.send_generation(generation.pk)
        remote.switches.set(outage="503")
        services.sweep()
        generation.refresh_from_db()
        assert generation.status == "pending"
        assert generation.due_at > timezone.now() - timedelta(seconds=1)


class TestExpiry:
    def test_stops_waiting_but_still_takes_the_result(self, remote: Emulator) -> None:
        generation = services.submit("Say hello")
        services.send_generation(generation.pk)
        remote.finish(remote.generations[0].id)
        long_ago = timezone.now() - timedelta(days=2)
        Generation.objects.update(submitted_at=long_ago, due_at=timezone.now())
        services.sweep()
        generation.refresh_from_db()
        assert generation.status in ("expired", "done")
        services.sweep()
        generation.refresh_from_db()
        assert (generation.status, generation.credits_used is not None) == ("done", True)

    def test_looks_at_expired_rows_ever_more_rarely(self, remote: Emulator) -> None:
        remote.switches.set(stuck=True)
        generation = services.submit("Say hello")
        services.send_generation(generation.pk)
        Generation.objects.update(status="expired", due_at=timezone.now())
        services.sweep()
        generation.refresh_from_db()
        assert generation.due_at > timezone.now() + timedelta(hours=23)


class TestLease:
    def test_that_ran_out_makes_a_send_unconfirmed_and_looks_for_it(self, remote: Emulator) -> None:
        remote.switches.set(error_at_list="502")
        generation = make_generation(
            status="submitting",
            attempts=1,
            submitted_at=timezone.now() - timedelta(seconds=60),
            lease_until=timezone.now() - timedelta(seconds=1),
            due_at=timezone.now() - timedelta(seconds=1),
        )
        services.sweep()
        generation.refresh_from_db()
        assert generation.status == "unconfirmed"
        assert [record.kind for record in remote.requests] == ["list"]

    def test_that_runs_is_respected(self, remote: Emulator) -> None:
        until = timezone.now() + timedelta(seconds=50)
        generation = make_generation(
            status="submitting", attempts=1, lease_until=until, due_at=timezone.now()
        )
        services.sweep()
        generation.refresh_from_db()
        assert (generation.status, generation.due_at) == ("submitting", until)
