"""At most one message in the broker stands for the next sweep."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from celery.signals import before_task_publish
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from creatify_textgen import enqueue, services
from creatify_textgen.dispatch import snapshots, sweep_schedule
from creatify_textgen.emulator import Emulator
from creatify_textgen.models import Generation, SweepSchedule
from tests.factories import make_generation

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def published() -> Iterator[list[str]]:
    """Names of the tasks that went to the broker."""
    names: list[str] = []

    def note(sender: str, **_: Any) -> None:
        names.append(sender)

    sweep_schedule._LastRequest.until = None
    before_task_publish.connect(note, weak=False)
    yield names
    before_task_publish.disconnect(note)


class TestAlarm:
    def test_is_published_once_for_one_time(self, published: list[str]) -> None:
        now = timezone.now()
        for _ in range(5):
            sweep_schedule.request_sweep_at(now + timedelta(seconds=5), now=now)
        assert published == [enqueue.SWEEP]

    def test_is_published_again_for_an_earlier_time_only(self, published: list[str]) -> None:
        now = timezone.now()
        for seconds in (5, 9, 2, 7):
            sweep_schedule.request_sweep_at(now + timedelta(seconds=seconds), now=now)
        assert len(published) == 2

    def test_of_a_host_s_transaction_outlasts_a_sweep_before_its_commit(
        self, published: list[str]
    ) -> None:
        now = timezone.now()
        sweep_schedule.request_sweep_at(now + timedelta(seconds=3), now=now)
        with transaction.atomic():
            due = make_generation(due_at=now + timedelta(seconds=5)).due_at
            sweep_schedule.request_next_sweep(now=now)
            SweepSchedule.objects.update(due_at=None)  # as the sweep, which cannot see the row
        assert SweepSchedule.objects.get().due_at == due

    def test_is_never_set_far_ahead(self, published: list[str]) -> None:
        now = timezone.now()
        sweep_schedule.request_sweep_at(now + timedelta(days=3), now=now)
        assert SweepSchedule.objects.get().due_at <= now + timedelta(seconds=60)

    def test_whose_message_was_lost_does_not_hold_up_the_next(self, published: list[str]) -> None:
        now = timezone.now()
        sweep_schedule.request_sweep_at(now, now=now)
        later = now + 2 * sweep_schedule.LOST_AFTER
        sweep_schedule.request_sweep_at(later, now=later)
        assert len(published) == 2

    def test_a_flood_of_wakes_costs_one_message(self, published: list[str]) -> None:
        for _ in range(1000):
            sweep_schedule.request_sweep()
        assert len(published) <= 3


class TestSaved:
    """A row that this process has just saved needs no statement if a sweep before it is known."""

    SOON = timedelta(seconds=5)

    def test_costs_nothing_while_an_earlier_sweep_is_known(
        self, published: list[str], django_assert_num_queries: Any
    ) -> None:
        now = timezone.now()
        sweep_schedule.request_sweep_at(now + self.SOON, now=now)
        with django_assert_num_queries(0):
            sweep_schedule.request_sweep_by(now + 2 * self.SOON, now=now)
        assert len(published) == 1

    @pytest.mark.parametrize(
        ("known", "due", "later"),
        [(10, 5, 0), (5, 20, 6), (None, 5, 0)],
        ids=["the known one is later", "the known one was due", "none is known"],
    )
    def test_asks_the_database_otherwise(
        self, published: list[str], known: int | None, due: int, later: int
    ) -> None:
        now = timezone.now()
        if known is not None:
            sweep_schedule.request_sweep_at(now + timedelta(seconds=known), now=now)
        SweepSchedule.objects.update(due_at=None)  # as a sweep that has begun
        published.clear()
        due_at = now + timedelta(seconds=due)
        make_generation(due_at=due_at)
        sweep_schedule.request_sweep_by(due_at, now=now + timedelta(seconds=later))
        assert published == [enqueue.SWEEP]
        assert SweepSchedule.objects.get().due_at == due_at

    @pytest.mark.usefixtures("published")
    def test_many_sends_in_a_row_schedule_one_sweep(
        self, remote: Emulator, settings: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        settings.CREATIFY_TEXTGEN = {**settings.CREATIFY_TEXTGEN, "POLL_INTERVAL": 10}
        first, *others = [services.submit(prompt).pk for prompt in ("one", "two", "three")]
        # Each row is due before the ones that were sent before it.
        factors = iter((1.1, 1.0, 0.9))
        monkeypatch.setattr(snapshots.random, "uniform", lambda *_: next(factors))
        services.send_generation(first)
        with CaptureQueriesContext(connection) as queries:
            for generation_id in others:
                services.send_generation(generation_id)
        assert not [query for query in queries if SweepSchedule._meta.db_table in query["sql"]]
        assert Generation.objects.values_list("status", flat=True).distinct().get() == "pending"

    def test_inside_a_transaction_asks_after_it(self, published: list[str]) -> None:
        now = timezone.now()
        due_at = make_generation(due_at=now + self.SOON).due_at
        sweep_schedule.request_sweep_at(now + self.SOON / 2, now=now)
        with transaction.atomic():
            sweep_schedule.request_sweep_by(due_at, now=now)
            SweepSchedule.objects.update(due_at=None)  # as the sweep, which cannot see the row
        assert SweepSchedule.objects.get().due_at == due_at


class TestChain:
    def test_goes_on_while_anything_is_in_flight(
        self, remote: Emulator, published: list[str]
    ) -> None:
        remote.switches.set(stuck=True)
        for prompt in ("one", "two", "three"):
            services.send_generation(services.submit(prompt).pk)
        published.clear()
        SweepSchedule.objects.update(due_at=timezone.now())
        Generation.objects.update(due_at=timezone.now())
        services.sweep()
        assert published == [enqueue.SWEEP]

    def test_ends_when_nothing_is(self, remote: Emulator, published: list[str]) -> None:
        make_generation(status="done")
        report = services.sweep()
        assert report.next_due_at is None
        assert published == []

    def test_submit_many_costs_one_message(self, published: list[str]) -> None:
        services.submit_many([{"messages": f"Count to {i}"} for i in range(50)])
        assert published == [enqueue.SWEEP]
