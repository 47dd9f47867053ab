"""What the verbs do inside a transaction of the host: nothing that a rollback would lose, and no
lock that others wait for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from celery.signals import before_task_publish
from django.core.management import call_command
from django.db import DatabaseError, connection, transaction
from django.test.utils import CaptureQueriesContext

from creatify_textgen import chat, databases, enqueue, services, tasks
from creatify_textgen.dispatch import circuit, sweep_schedule
from creatify_textgen.dispatch.sending import call_quietly, prepare_send, settle_send
from creatify_textgen.emulator import Emulator
from creatify_textgen.models import Circuit, Generation, SweepSchedule


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Names of the tasks that went to the broker."""
    names: list[str] = []

    def note(sender: str, **_: Any) -> None:
        names.append(sender)

    monkeypatch.setattr(sweep_schedule._LastRequest, "until", None)
    before_task_publish.connect(note, weak=False)
    yield names
    before_task_publish.disconnect(note)


@pytest.mark.django_db(transaction=True)
class TestGenerate:
    def test_refuses_a_transaction_and_says_what_to_do(self, remote: Emulator) -> None:
        with transaction.atomic(), pytest.raises(RuntimeError, match=r"outside of atomic\(\)"):
            services.generate("Hello")
        assert remote.counters["creates"] == 0

    def test_is_paid_for_once_however_often_a_host_rolls_back(self, remote: Emulator) -> None:
        for _ in range(2):
            with pytest.raises(RuntimeError), transaction.atomic():
                services.generate("Hello", idempotency_key="k")
        assert services.generate("Hello", idempotency_key="k").status == "done"
        assert remote.counters["creates"] == 1

    def test_refuses_a_transaction_without_atomic(self, remote: Emulator) -> None:
        transaction.set_autocommit(False)
        try:
            with pytest.raises(RuntimeError, match="rollback"):
                services.generate("Hello")
        finally:
            transaction.rollback()
            transaction.set_autocommit(True)

    @pytest.mark.django_db(transaction=False)
    def test_works_in_the_transaction_of_a_test_case(self, remote: Emulator) -> None:
        assert connection.in_atomic_block
        assert services.generate("Hello").status == "done"
        with transaction.atomic(), pytest.raises(RuntimeError, match="outside of atomic"):
            services.generate("Hello")


def begin_run(prompt: str) -> Any:
    return chat.submit_run(prompt, tools=[round_up])


def round_up(number: float) -> int:
    """Round up."""
    return -int(-number // 1)


def send(generation: Generation) -> None:
    prepared = prepare_send(generation)
    assert prepared is not None
    settle_send(prepared, call_quietly(prepared))


WORK: dict[str, tuple[Callable[[str], Any], Callable[[Any], object]]] = {
    "sweep": (services.submit, lambda _: services.sweep()),
    "command": (services.submit, lambda _: call_command("textgen_sweep")),
    "send": (services.submit, lambda row: services.send_generation(row.pk)),
    "task": (services.submit, lambda row: tasks.submit(str(row.pk))),
    "pump": (services.begin_stream, lambda row: services.pump_stream(row.pk)),
    "run": (begin_run, lambda row: tasks.run(str(row.pk))),
    "any": (services.submit, send),
}


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("save", "work"), WORK.values(), ids=WORK)
class TestWork:
    """What a worker does, called by the host itself."""

    @pytest.fixture(autouse=True)
    def _no_worker(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("submit", "stream", "sweep", "run"):
            monkeypatch.setattr(enqueue, name, lambda *_, **__: None)

    def test_is_paid_for_once_however_often_a_host_rolls_back(
        self,
        remote: Emulator,
        save: Callable[[str], Any],
        work: Callable[[Any], object],
    ) -> None:
        generation = save("Hello")
        Generation.objects.update(due_at=generation.created_at)
        for _ in range(2):
            with pytest.raises(RuntimeError, match="rollback"), transaction.atomic():
                work(generation)
        assert remote.counters["creates"] == 0
        work(generation)
        assert 0 < remote.counters["creates"] == Generation.objects.count()

    def test_refuses_a_transaction_without_atomic(
        self,
        remote: Emulator,
        save: Callable[[str], Any],
        work: Callable[[Any], object],
    ) -> None:
        generation = save("Hello")
        transaction.set_autocommit(False)
        try:
            with pytest.raises(RuntimeError, match="rollback"):
                work(generation)
        finally:
            transaction.rollback()
            transaction.set_autocommit(True)


@pytest.mark.django_db(transaction=True)
class TestSchedule:
    def test_is_not_touched_before_the_hosts_commit(self, published: list[str]) -> None:
        with transaction.atomic(), CaptureQueriesContext(connection) as asked:
            services.submit_many([{"messages": "Hello"}])
        within = [query["sql"] for query in asked if SweepSchedule._meta.db_table in query["sql"]]
        assert not within
        assert SweepSchedule.objects.get().due_at is not None
        assert published == [enqueue.SWEEP]

    def test_of_what_was_rolled_back_swallows_no_other(self, published: list[str]) -> None:
        with transaction.atomic():
            services.submit_many([{"messages": "Hello"}])
            transaction.set_rollback(True)
        assert published == []
        services.submit_many([{"messages": "Hello"}])
        assert published == [enqueue.SWEEP]
        assert Generation.objects.count() == 1

    def test_is_set_after_the_commit_of_one_that_refreshes(
        self, remote: Emulator, published: list[str]
    ) -> None:
        generation = services.submit("Hello")
        services.send_generation(generation.pk)
        SweepSchedule.objects.update(due_at=None)
        with transaction.atomic():
            services.refresh(generation)
            assert SweepSchedule.objects.get().due_at is None


@pytest.mark.django_db(transaction=True)
class TestCircuit:
    def test_counts_after_the_hosts_commit(self) -> None:
        with transaction.atomic():
            circuit.report_failure("default", now=services.submit("Hello").created_at)
            assert not Circuit.objects.exists()
        assert Circuit.objects.get().failures == 1


@pytest.mark.django_db(transaction=True)
class TestAfterCommit:
    def test_of_what_fails_leaves_the_hosts_commit_alone(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        def fail() -> None:
            raise DatabaseError("gone")

        with transaction.atomic():
            services.submit("Hello")
            databases.after_commit(fail)
        assert Generation.objects.count() == 1
        assert "gone" in caplog.text
