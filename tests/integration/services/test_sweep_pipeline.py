"""The sweep as a pipeline: what it claims, how many calls it makes at once, what it reports."""

from __future__ import annotations

import threading
import time
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest

from creatify_textgen import lifecycle, services
from creatify_textgen.models import Generation, SweepAlarm
from creatify_textgen.remote import GenerationRequest, RemoteGeneration
from creatify_textgen.services import sweeping
from creatify_textgen.services.fanout import SENDS_AT_ONCE
from creatify_textgen.services.intake import media_of
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
        rows.append(make_generation(**{**row, "next_check_at": DUE, **fields}))
    return rows


def make_queued(count: int) -> list[Generation]:
    return [make_generation(next_check_at=DUE) for _ in range(count)]


class TestReport:
    def test_counts_what_was_done(self, double: RemoteDouble) -> None:
        make_waiting(double, 5)
        make_queued(6)
        make_generation(status=Status.DONE, next_check_at=DUE)
        make_generation(status=Status.SUBMITTING, next_check_at=DUE, lease_until=DUE)
        report = services.sweep()
        assert (report.sent, report.looked_at, report.announced) == (6 + 1, 5 + 1, 1)
        # The lost one was proved absent, queued, and sent by the same sweep.
        assert report.claimed == 5 + 6 + 1 + 1
        assert report.by_status == Counter(pending=5, queued=6 + 1, submitting=1)
        assert report.next_due_at == min(
            Generation.objects.exclude(next_check_at=None).values_list("next_check_at", flat=True)
        )

    def test_of_nothing_is_empty(self, double: RemoteDouble) -> None:
        report = services.sweep()
        assert (report.claimed, report.sent, report.looked_at, report.announced) == (0, 0, 0, 0)
        assert report.next_due_at is None


class TestLimits:
    @pytest.fixture(autouse=True)
    def _small_batches(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sweeping, "BATCH", 3)

    def test_hold_for_a_batch_and_not_for_the_sweep(self, double: RemoteDouble) -> None:
        make_waiting(double, 8)
        assert services.sweep().looked_at == 8

    def test_hold_for_what_is_announced(self, double: RemoteDouble) -> None:
        for _ in range(5):
            make_generation(status=Status.DONE, next_check_at=DUE)
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
        assert limits == {3, SENDS_AT_ONCE}

    @pytest.mark.parametrize("time_limit", [0, -1])
    def test_leave_to_the_next_sweep_what_the_time_is_up_for(
        self, double: RemoteDouble, monkeypatch: pytest.MonkeyPatch, time_limit: float
    ) -> None:
        monkeypatch.setattr(time, "monotonic", lambda: 1000.0)
        make_waiting(double, 8)
        make_queued(SENDS_AT_ONCE + 1)
        report = services.sweep(time_limit=time_limit)
        assert (report.looked_at, report.sent) == (3, SENDS_AT_ONCE)
        assert SweepAlarm.objects.get().due_at is not None


class TestSends:
    def test_are_never_more_at_once_than_few(
        self, double: RemoteDouble, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        lock = threading.Lock()
        at_once: list[int] = [0]
        create = double.create

        def count(request: GenerationRequest) -> RemoteGeneration:
            with lock:
                at_once.append(at_once[-1] + 1)
            time.sleep(0.01)
            with lock:
                at_once.append(at_once[-1] - 1)
                return create(request)

        monkeypatch.setattr(double, "create", count)
        make_queued(3 * SENDS_AT_ONCE)
        assert services.sweep().sent == 3 * SENDS_AT_ONCE
        assert 1 < max(at_once) <= SENDS_AT_ONCE

    def test_are_leased_only_as_others_end(
        self, double: RemoteDouble, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        leased: list[int] = []
        one_by_one = threading.Lock()
        create = double.create

        def look(request: GenerationRequest) -> RemoteGeneration:
            with one_by_one:
                leased.append(under_way.count(1) - under_way.count(-1))
                time.sleep(0.02)
                return create(request)

        under_way: list[int] = []
        mark, settle = lifecycle.mark_submitting, sweeping.settle_send

        def note_lease(*args: Any, **options: Any) -> bool:
            under_way.append(1)
            return mark(*args, **options)

        def note_end(*args: Any) -> None:
            under_way.append(-1)
            settle(*args)

        monkeypatch.setattr(double, "create", look)
        monkeypatch.setattr(lifecycle, "mark_submitting", note_lease)
        monkeypatch.setattr(sweeping, "settle_send", note_end)
        make_queued(6 * SENDS_AT_ONCE)
        services.sweep()
        assert max(leased) <= 2 * SENDS_AT_ONCE

    def test_have_all_they_need_before_they_are_leased(
        self,
        double: RemoteDouble,
        monkeypatch: pytest.MonkeyPatch,
        django_assert_num_queries: Any,
    ) -> None:
        begin = sweeping.begin_send

        def look(generation: Generation, **options: Any) -> Any:
            with django_assert_num_queries(0):
                assert generation.content.messages == HELLO
                assert media_of(generation.content) == {}
            return begin(generation, **options)

        monkeypatch.setattr(sweeping, "begin_send", look)
        make_queued(2)
        assert services.sweep().sent == 2


class TestLooks:
    def test_are_written_down_while_others_are_slow(
        self, double: RemoteDouble, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sweeping, "SETTLE_SECONDS", 0.3)
        written = threading.Event()
        in_time: list[bool] = []
        get, settle = double.get, sweeping.settle_looks

        def answer(remote_id: str) -> RemoteGeneration:
            if remote_id == "r1":
                in_time.append(written.wait(timeout=5))
            return get(remote_id)

        def note(looks: Any, **options: Any) -> None:
            settle(looks, **options)
            if looks:
                written.set()

        monkeypatch.setattr(double, "get", answer)
        monkeypatch.setattr(sweeping, "settle_looks", note)
        make_waiting(double, 2)
        services.sweep()
        assert in_time == [True]
