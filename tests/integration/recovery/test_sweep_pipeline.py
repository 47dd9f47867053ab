"""The sweep as a pipeline: what it claims, how many calls it makes at once, what it reports."""

from __future__ import annotations

import threading
import time
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError

from creatify_textgen import lifecycle, services
from creatify_textgen.dispatch.wire import media_of
from creatify_textgen.models import Generation, SweepSchedule
from creatify_textgen.recovery import sweep
from creatify_textgen.recovery.fanout import SENDS_AT_ONCE
from creatify_textgen.remote import GenerationRequest, RemoteGeneration
from creatify_textgen.states import Status
from tests.factories import HELLO, NOW, make_generation
from tests.faults.remote_double import RemoteDouble

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("still_clock")]

DUE = NOW - timedelta(seconds=1)


def make_waiting(double: RemoteDouble, count: int, **fields: Any) -> list[Generation]:
    """Save rows that the remote has as pending, all due."""
    rows = []
    for number in range(count):
        remote_id = f"r{number}"
        double.generations[remote_id] = RemoteGeneration(remote_id, "pending")
        row = {"status": Status.PENDING, "remote_id": remote_id, "submitted_at": NOW}
        rows.append(make_generation(**{**row, "due_at": DUE, **fields}))
    return rows


def make_queued(count: int) -> list[Generation]:
    return [make_generation(due_at=DUE) for _ in range(count)]


class TestReport:
    def test_counts_what_was_done(self, double: RemoteDouble) -> None:
        make_waiting(double, 5)
        make_queued(6)
        make_generation(status=Status.DONE, due_at=DUE)
        make_generation(status=Status.SUBMITTING, due_at=DUE, lease_until=DUE)
        report = services.sweep()
        assert (report.sent, report.polled, report.announced) == (6, 5 + 1, 1)
        assert report.claimed == 5 + 6 + 1
        assert report.by_status == Counter(pending=5, queued=6, submitting=1)
        assert report.next_due_at == min(
            Generation.objects.exclude(due_at=None).values_list("due_at", flat=True)
        )

    def test_of_nothing_is_empty(self, double: RemoteDouble) -> None:
        report = services.sweep()
        assert (report.claimed, report.sent, report.polled, report.announced) == (0, 0, 0, 0)
        assert report.next_due_at is None


class TestLimits:
    @pytest.fixture(autouse=True)
    def _small_batches(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sweep, "BATCH", 3)

    def test_hold_for_a_batch_and_not_for_the_sweep(self, double: RemoteDouble) -> None:
        make_waiting(double, 8)
        assert services.sweep().polled == 8

    def test_hold_for_what_is_announced(self, double: RemoteDouble) -> None:
        for _ in range(5):
            make_generation(status=Status.DONE, due_at=DUE)
        assert services.sweep().announced == 3

    def test_hold_for_what_is_claimed_at_once(
        self, double: RemoteDouble, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        limits: set[int] = set()
        claim = lifecycle.claim_due

        def note(statuses: Any, **options: Any) -> list[Generation]:
            limits.add(options["limit"])
            assert options["hold_until"] == NOW + timedelta(seconds=120)
            return claim(statuses, **options)

        monkeypatch.setattr(lifecycle, "claim_due", note)
        make_waiting(double, 4)
        services.sweep()
        assert limits == {3, 1}

    @pytest.mark.parametrize("time_limit", [0, -1])
    def test_leave_to_the_next_sweep_what_the_time_is_up_for(
        self, double: RemoteDouble, monkeypatch: pytest.MonkeyPatch, time_limit: float
    ) -> None:
        monkeypatch.setattr(time, "monotonic", lambda: 1000.0)
        make_waiting(double, 8)
        assert services.sweep(time_limit=time_limit).polled == 3
        assert SweepSchedule.objects.get().due_at is not None

    def test_leave_sends_to_the_next_sweep_too(
        self, double: RemoteDouble, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(time, "monotonic", lambda: 1000.0)
        make_queued(SENDS_AT_ONCE + 1)
        assert services.sweep(time_limit=0).sent == 1
        assert SweepSchedule.objects.get().due_at is not None


class TestSends:
    def test_are_never_more_at_once_than_few(
        self, double: RemoteDouble, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        lock, as_many_as_may = threading.Lock(), threading.Event()
        at_once: list[int] = [0]
        create = double.create

        def count(request: GenerationRequest) -> RemoteGeneration:
            with lock:
                at_once.append(at_once[-1] + 1)
                if at_once[-1] == SENDS_AT_ONCE:
                    as_many_as_may.set()
            as_many_as_may.wait(10)
            with lock:
                at_once.append(at_once[-1] - 1)
                return create(request)

        monkeypatch.setattr(double, "create", count)
        make_queued(3 * SENDS_AT_ONCE)
        assert services.sweep().sent == 3 * SENDS_AT_ONCE
        assert max(at_once) == SENDS_AT_ONCE

    def test_are_leased_only_as_others_end(
        self, double: RemoteDouble, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        leased: list[int] = []
        one_by_one = threading.Lock()
        create = double.create

        def poll(request: GenerationRequest) -> RemoteGeneration:
            with one_by_one:
                leased.append(under_way.count(1) - under_way.count(-1))
                time.sleep(0.02)
                return create(request)

        under_way: list[int] = []
        mark, settle = lifecycle.mark_submitting, sweep.settle_send

        def note_lease(*args: Any, **options: Any) -> bool:
            under_way.append(1)
            return mark(*args, **options)

        def note_end(*args: Any) -> None:
            under_way.append(-1)
            settle(*args)

        monkeypatch.setattr(double, "create", poll)
        monkeypatch.setattr(lifecycle, "mark_submitting", note_lease)
        monkeypatch.setattr(sweep, "settle_send", note_end)
        make_queued(6 * SENDS_AT_ONCE)
        services.sweep()
        assert max(leased) <= SENDS_AT_ONCE

    def test_have_all_they_need_before_they_are_leased(
        self,
        double: RemoteDouble,
        monkeypatch: pytest.MonkeyPatch,
        django_assert_num_queries: Any,
    ) -> None:
        mark = lifecycle.mark_submitting

        def lease(generation: Generation, **options: Any) -> bool:
            with django_assert_num_queries(0):
                assert generation.content.messages == HELLO
                assert media_of(generation.content) == {}
            return mark(generation, **options)

        monkeypatch.setattr(lifecycle, "mark_submitting", lease)
        make_queued(2)
        assert services.sweep().sent == 2

    @pytest.mark.parametrize("fails_twice", [False, True])
    def test_are_written_down_before_an_error_of_the_database_is_raised(
        self, double: RemoteDouble, monkeypatch: pytest.MonkeyPatch, *, fails_twice: bool
    ) -> None:
        """The remote names an id once: it must not be lost with the sweep that waits for it."""
        make_queued(4)
        failed = threading.Event()
        create, claim, settle = double.create, lifecycle.claim_due, sweep.settle_send
        errors = [OperationalError("still gone")] if fails_twice else []

        def create_slowly(send: Any) -> RemoteGeneration:
            failed.wait(30)
            return create(send)

        def claim_until_it_fails(*arguments: Any, **options: Any) -> Any:
            if Generation.objects.filter(status=Status.SUBMITTING).count() == 3:
                failed.set()
                raise OperationalError("gone")
            return claim(*arguments, **options)

        def settle_after_all(*arguments: Any) -> None:
            if errors:
                raise errors.pop()
            settle(*arguments)

        monkeypatch.setattr(double, "create", create_slowly)
        monkeypatch.setattr(lifecycle, "claim_due", claim_until_it_fails)
        monkeypatch.setattr(sweep, "settle_send", settle_after_all)
        with pytest.raises(OperationalError, match=r"^gone"):
            services.sweep()
        assert Generation.objects.filter(status=Status.PENDING).count() == 3 - fails_twice

    def test_are_claimed_one_by_one(
        self, double: RemoteDouble, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """While a slow storage is asked for one of them, other sweeps may send the others."""
        begin, left = sweep.begin_send, []

        def prepare(generation: Generation) -> Any:
            left.append(Generation.objects.due(NOW).filter(status=Status.QUEUED).count())
            return begin(generation)

        monkeypatch.setattr(sweep, "begin_send", prepare)
        make_queued(3)
        assert services.sweep().sent == 3
        assert left == [2, 1, 0]


class TestLooks:
    def test_are_written_down_while_others_are_slow(
        self, double: RemoteDouble, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sweep, "SETTLE_SECONDS", 0.3)
        written = threading.Event()
        in_time: list[bool] = []
        get, settle = double.get, sweep.settle_polls

        def answer(remote_id: str) -> RemoteGeneration:
            if remote_id == "r1":
                in_time.append(written.wait(timeout=5))
            return get(remote_id)

        def note(polls: Any, **options: Any) -> None:
            settle(polls, **options)
            if polls:
                written.set()

        monkeypatch.setattr(double, "get", answer)
        monkeypatch.setattr(sweep, "settle_polls", note)
        make_waiting(double, 2)
        services.sweep()
        assert in_time == [True]
