"""A sweep beside calls that are slow, and beside rows that raise: the others go on."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import DataError
from django.utils import timezone

from creatify_textgen import clock, gateway, lifecycle, services
from creatify_textgen.dispatch import sweep_schedule
from creatify_textgen.models import Generation
from creatify_textgen.recovery import fanout, polling, sweep
from creatify_textgen.remote import GenerationRequest, RemoteGeneration
from creatify_textgen.states import Status
from tests.factories import make_generation
from tests.faults.remote_double import RemoteDouble

PATIENCE = 10.0
"""Seconds after which what a test waits for will not come."""


def make_waiting(double: RemoteDouble, *names: str, **fields: Any) -> list[Generation]:
    """Save rows that the remote has as pending under these ids, all due."""
    now = timezone.now()
    for name in names:
        double.generations[name] = RemoteGeneration(name, "pending")
    common = {"status": Status.PENDING, "submitted_at": now, "due_at": now, "created_at": now}
    return [make_generation(remote_id=name, **{**common, **fields}) for name in names]


def status_of(*rows: Generation) -> list[str]:
    return [Generation.objects.get(pk=row.pk).status for row in rows]


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    settings.CREATIFY_TEXTGEN = {**settings.CREATIFY_TEXTGEN, "POLL_INTERVAL": 0.01}
    monkeypatch.setattr(sweep, "SETTLE_SECONDS", 0.05)


class SlowCall(threading.Event):
    """Set to let the slow call end."""

    def __init__(self) -> None:
        super().__init__()
        self.in_time: list[bool] = []
        """For each such call, whether it was let go before patience ran out."""
        self.has_begun = threading.Event()


@pytest.fixture
def slow(double: RemoteDouble, monkeypatch: pytest.MonkeyPatch) -> Iterator[SlowCall]:
    """Hold every GET of "slow" until the event that this gives is set."""
    may_end = SlowCall()
    get = double.get

    def answer(remote_id: str) -> RemoteGeneration:
        if remote_id == "slow":
            may_end.has_begun.set()
            may_end.in_time.append(may_end.wait(PATIENCE))
        return get(remote_id)

    def hand_over(sweeping: Any) -> None:
        # A thread that is late would have the call taken back as one that has not begun.
        assert may_end.has_begun.wait(PATIENCE)
        hand_over_now(sweeping)

    hand_over_now = sweep._Sweep._hand_over
    monkeypatch.setattr(sweep._Sweep, "_hand_over", hand_over)
    monkeypatch.setattr(double, "get", answer)
    yield may_end
    may_end.set()


@pytest.mark.django_db
class TestSlowCall:
    def test_does_not_delay_a_row_that_is_due_again(
        self, double: RemoteDouble, slow: SlowCall, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        slow_row, quick = make_waiting(double, "slow", "quick")
        get, polls = double.get, []

        def answer(remote_id: str) -> RemoteGeneration:
            if remote_id == "quick":
                polls.append(remote_id)
                if len(polls) == 3:
                    double.advance("quick", "done")
            return get(remote_id)

        def note(snapshots: Any, **options: Any) -> Any:
            moved = apply(snapshots, **options)
            if quick.pk in moved:
                slow.set()
            return moved

        apply = polling.apply_snapshots
        monkeypatch.setattr(double, "get", answer)
        monkeypatch.setattr(polling, "apply_snapshots", note)
        services.sweep(time_limit=PATIENCE)
        assert slow.in_time[0]
        assert status_of(quick) == ["done"]
        assert status_of(slow_row) == ["pending"]

    def test_does_not_delay_the_request_for_the_next_sweep(
        self, double: RemoteDouble, slow: SlowCall, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        make_waiting(double, "slow")
        [later] = make_waiting(double, "later", due_at=timezone.now() + timedelta(seconds=30))
        requested: list[tuple[datetime, bool]] = []

        def note(at: datetime, *, now: datetime) -> None:
            requested.append((at, slow.is_set()))
            slow.set()

        monkeypatch.setattr(sweep_schedule, "request_sweep_at", note)
        services.sweep(time_limit=PATIENCE)
        assert requested[0] == (later.due_at, False)

    def test_keeps_its_claim_while_it_runs(
        self, double: RemoteDouble, slow: SlowCall, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        [row] = make_waiting(double, "slow")
        double.advance("slow", "done")
        monkeypatch.setattr(sweep, "RENEW_SECONDS", 0.1)
        reschedule, renewed = lifecycle.reschedule, []

        def note(rows: Any) -> None:
            reschedule(rows)
            [held] = Generation.objects.filter(pk=row.pk)
            renewed.append((held.due_at, slow.is_set()))
            if len(renewed) == 2:
                slow.set()

        monkeypatch.setattr(lifecycle, "reschedule", note)
        services.sweep(time_limit=PATIENCE)
        (first, _), (second, was_over) = renewed[:2]
        assert not was_over
        assert row.due_at < first < second
        assert status_of(row) == ["done"]

    def test_of_one_workspace_does_not_fill_the_threads_of_another(
        self, double: RemoteDouble, slow: SlowCall, monkeypatch: pytest.MonkeyPatch, settings: Any
    ) -> None:
        settings.CREATIFY_TEXTGEN = {**settings.CREATIFY_TEXTGEN, "POLLS_AT_ONCE": 1}
        other = RemoteDouble()
        monkeypatch.setattr(gateway, "client_for", {"first": double, "second": other}.__getitem__)
        get = other.get

        def answer(remote_id: str) -> RemoteGeneration:
            slow.set()
            return get(remote_id)

        monkeypatch.setattr(other, "get", answer)
        long_ago = timezone.now() - timedelta(minutes=1)  # so the slow call begins first
        make_waiting(other, "quick", account="second", created_at=long_ago)
        make_waiting(double, "slow", account="first")
        services.sweep(time_limit=PATIENCE)
        assert slow.in_time[0]


@pytest.mark.django_db
class TestSlowWorkspace:
    """It is slow, and its rows were due long before those of another."""

    @pytest.fixture
    def answered(self) -> threading.Event:
        """Set when the quick workspace was called."""
        return threading.Event()

    @pytest.fixture
    def in_time(
        self, double: RemoteDouble, answered: threading.Event, monkeypatch: pytest.MonkeyPatch
    ) -> list[bool]:
        """For each call of the slow workspace, whether the quick one was called beside it."""
        quick, waits = RemoteDouble(), []
        accounts = {"slow": double, "quick": quick}
        monkeypatch.setattr(gateway, "client_for", accounts.__getitem__)

        def after(call: Any, remote: RemoteDouble) -> Any:
            def answer(what: Any) -> Any:
                if remote is quick:
                    answered.set()
                else:
                    waits.append(answered.wait(PATIENCE))
                return call(what)

            return answer

        for remote in accounts.values():
            monkeypatch.setattr(remote, "create", after(remote.create, remote))
            monkeypatch.setattr(remote, "get", after(remote.get, remote))
            remote.generations["r1"] = RemoteGeneration("r1", "pending")
        return waits

    def test_does_not_delay_sends_of_another(self, in_time: list[bool]) -> None:
        now = timezone.now()
        for number in range(2 * fanout.SENDS_AT_ONCE):
            due_at = now - timedelta(minutes=60 - number)
            make_generation(account="slow", due_at=due_at, created_at=now)
        make_generation(account="quick", due_at=now, created_at=now)
        assert services.sweep(time_limit=2 * PATIENCE).sent == 2 * fanout.SENDS_AT_ONCE + 1
        assert all(in_time)

    def test_does_not_delay_polls_of_another(
        self, double: RemoteDouble, in_time: list[bool], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sweep, "BATCH", 2)
        monkeypatch.setattr(sweep, "SETTLE_SECONDS", 2 * PATIENCE)
        now = timezone.now()
        for number in range(6):
            name, due_at = f"slow {number}", now - timedelta(minutes=60 - number)
            make_waiting(double, name, account="slow", due_at=due_at)
        make_waiting(double, "r1", account="quick", due_at=now)
        services.sweep(time_limit=PATIENCE)
        assert all(in_time)


@pytest.mark.django_db(transaction=True)
class TestTimeLimit:
    @pytest.fixture(autouse=True)
    def _at_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sweep, "LINGER_SECONDS", 0.0)

    def _wait_for_the_rest(self) -> None:
        for thread in threading.enumerate():
            if thread.name == "textgen-sweep-rest":
                thread.join(PATIENCE)

    def test_ends_the_sweep_and_the_slow_answer_still_counts(
        self, double: RemoteDouble, slow: SlowCall
    ) -> None:
        [row] = make_waiting(double, "slow")
        double.advance("slow", "done")
        services.sweep(time_limit=0.0)
        assert not slow.is_set()
        assert status_of(row) == ["pending"]
        slow.set()
        self._wait_for_the_rest()
        assert status_of(row) == ["done"]

    def test_gives_back_what_has_not_begun(
        self, double: RemoteDouble, slow: SlowCall, monkeypatch: pytest.MonkeyPatch, settings: Any
    ) -> None:
        settings.CREATIFY_TEXTGEN = {**settings.CREATIFY_TEXTGEN, "POLLS_AT_ONCE": 1}
        monkeypatch.setattr(gateway, "client_for", {"one by one": double}.__getitem__)
        _, *others = make_waiting(double, "slow", "b", "c", account="one by one")
        services.sweep(time_limit=0.0)
        due = Generation.objects.due(clock.now())
        assert {row.pk for row in due} == {row.pk for row in others}
        slow.set()
        self._wait_for_the_rest()

    def test_saves_what_was_answered_if_nothing_else_has_begun(self, double: RemoteDouble) -> None:
        answered, waiting = make_waiting(double, "answered", "waiting")
        double.advance("answered", "done")
        sweeping = sweep._Sweep(sweep.SweepReport(), until=0.0)
        poll = polling.Poll("default", [answered], "answered")
        sweeping.answered = [poll.answered(double.get("answered"))]
        sweeping.calls._under_way[Future()] = polling.Poll("default", [waiting], "waiting")
        sweeping._hand_over()
        assert status_of(answered, waiting) == ["done", "pending"]

    def test_does_not_leave_a_send_behind(
        self, double: RemoteDouble, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        create = double.create

        def send(request: GenerationRequest) -> RemoteGeneration:
            time.sleep(0.3)
            return create(request)

        monkeypatch.setattr(double, "create", send)
        row = make_generation(due_at=timezone.now(), created_at=timezone.now())
        services.sweep(time_limit=0.0)
        assert status_of(row) == ["pending"]

    def test_does_not_delay_polls_while_a_send_is_under_way(
        self, double: RemoteDouble, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        is_done = threading.Event()
        create, get, in_time = double.create, double.get, []

        def send(request: GenerationRequest) -> RemoteGeneration:
            in_time.append(is_done.wait(PATIENCE))
            return create(request)

        def answer(remote_id: str) -> RemoteGeneration:
            polls.append(remote_id)
            if len(polls) == 3:
                is_done.set()
            return get(remote_id)

        polls: list[str] = []
        monkeypatch.setattr(double, "create", send)
        monkeypatch.setattr(double, "get", answer)
        make_waiting(double, "quick")
        make_generation(due_at=timezone.now(), created_at=timezone.now())
        services.sweep(time_limit=0.0)
        assert in_time == [True]


@pytest.mark.django_db
class TestConfinement:
    """Whatever one row raises, the others are processed, and what was a bug is raised then."""

    def test_of_a_row_that_cannot_be_prepared(
        self, double: RemoteDouble, monkeypatch: pytest.MonkeyPatch, caplog: Any
    ) -> None:
        bad, good = make_waiting(double, "bad", "good")
        double.advance("good", "done")
        needs = polling._needs_a_poll

        def stumble(generation: Generation, **options: Any) -> bool:
            if generation.pk == bad.pk:
                raise RuntimeError("a bug")
            return needs(generation, **options)

        monkeypatch.setattr(polling, "_needs_a_poll", stumble)
        services.sweep()
        assert status_of(bad, good) == ["pending", "done"]
        assert str(bad.pk) in caplog.text

    def test_does_not_quote_the_database(
        self, double: RemoteDouble, monkeypatch: pytest.MonkeyPatch, caplog: Any
    ) -> None:
        [bad] = make_waiting(double, "bad")
        double.advance("bad", "done")

        def refuse(*_: Any, **__: Any) -> Any:
            raise DataError("Failing row contains (the answer)")

        monkeypatch.setattr(lifecycle, "mark_arrived", refuse)
        services.sweep()
        assert f"{bad.pk} was left for later (DataError)" in caplog.text
        assert "the answer" not in caplog.text

    def test_of_a_send_that_cannot_be_begun(
        self, double: RemoteDouble, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        now = timezone.now()
        bad, good = (make_generation(due_at=now, created_at=now) for _ in range(2))
        begin = sweep.begin_send

        def stumble(generation: Generation, **options: Any) -> Any:
            if generation.pk == bad.pk:
                raise RuntimeError("a bug")
            return begin(generation, **options)

        monkeypatch.setattr(sweep, "begin_send", stumble)
        with pytest.raises(RuntimeError, match="a bug"):
            services.sweep()
        assert status_of(bad, good) == ["queued", "pending"]

    def test_of_an_answer_that_no_code_expects(
        self, double: RemoteDouble, caplog: pytest.LogCaptureFixture
    ) -> None:
        odd, good = make_waiting(double, "odd", "good")
        double.generations["odd"] = RemoteGeneration("odd", None)  # type: ignore[arg-type]
        double.advance("good", "done")
        with pytest.raises(AttributeError):
            services.sweep()
        assert status_of(odd, good) == ["pending", "done"]
        assert Generation.objects.get(pk=odd.pk).due_at < timezone.now() + timedelta(seconds=60)

    def test_of_a_workspace_that_is_not_configured(
        self, double: RemoteDouble, caplog: pytest.LogCaptureFixture
    ) -> None:
        [lost] = make_waiting(double, "r1", account="gone")
        [good] = make_waiting(double, "good")
        double.advance("good", "done")
        with pytest.raises(KeyError):
            services.sweep()
        assert status_of(lost, good) == ["pending", "done"]
