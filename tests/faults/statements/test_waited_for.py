"""What exists only in this process waits for a database that fails, and is written once."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from django.db import Error, OperationalError, connection
from django.db.models import F

from creatify_textgen import chat, enqueue, lifecycle, services
from creatify_textgen.chat import Run, ToolCall
from creatify_textgen.emulator import Emulator
from creatify_textgen.lifecycle import transactions
from creatify_textgen.models import Generation
from creatify_textgen.signals import run_finished
from creatify_textgen.states import Status
from creatify_textgen.streams import database, pickup
from tests.faults.statements.test_statements import start_here

pytestmark = pytest.mark.django_db(transaction=True)

Fail = Callable[..., None]


@pytest.fixture
def fail(monkeypatch: pytest.MonkeyPatch) -> Iterator[Fail]:
    """Return what has the next statements of this thread fail that have all of these words."""
    waiting: list[tuple[tuple[str, ...], bool]] = []

    def execute(call: Any, sql: Any, params: Any, many: Any, context: Any) -> Any:
        for words, is_after in waiting:
            if all(word in sql for word in words):
                waiting.remove((words, is_after))
                if is_after:
                    call(sql, params, many, context)
                raise OperationalError("disk I/O error")
        return call(sql, params, many, context)

    def fail(*words: str, is_after: bool = False, times: int = 1) -> None:
        waiting.extend([(words, is_after)] * times)

    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    monkeypatch.setattr(database, "start", start_here)
    monkeypatch.setattr(enqueue, "stream", lambda generation_id: None)
    with connection.execute_wrapper(execute):
        yield fail
    vars(database._here).clear()
    assert waiting == []


def book_seat(row: int) -> str:
    """Book a seat, which nobody wants twice."""
    return f"Booked in row {row}"


@pytest.fixture
def run(remote: Emulator, fail: Fail) -> Run:
    remote.switches.set(function_call_count=1)
    return chat.submit_run("Book a seat.", tools=[book_seat])


class TestResult:
    @pytest.mark.parametrize("is_after", [False, True], ids=["lost", "written unseen"])
    def test_of_a_function_reaches_the_model(self, run: Run, fail: Fail, *, is_after: bool) -> None:
        fail("UPDATE", "toolcall", "response", "started_at", is_after=is_after, times=2)
        chat.go_on(run.pk)
        run.refresh_from_db()
        assert (run.state, ToolCall.objects.get().state) == ("done", "done")
        assert "Booked in row" in str(run.generation.content.messages[-1])

    def test_of_a_call_that_another_process_has_decided_is_not_written(
        self, run: Run, fail: Fail, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def taken_over(row: int) -> str:
            ToolCall.objects.update(state="lost", response={"error": "lost"})
            return book_seat(row)

        tool = chat.loop.Toolbox.of([book_seat]).get("book_seat")
        monkeypatch.setattr(type(tool), "call", lambda self, _: ({"result": taken_over(1)}, False))
        chat.go_on(run.pk)
        assert ToolCall.objects.get().state == "lost"


class TestEndOfRun:
    def test_is_reported_although_its_responses_were_not_deleted_at_first(
        self, run: Run, fail: Fail
    ) -> None:
        reported: list[Run] = []
        run_finished.connect(receiver := lambda run, **_: reported.append(run), weak=False)
        # After both updates of the end, which follow the deletion for the second step.
        for _ in range(2):
            with suppress(Error):
                fail("UPDATE", "toolcall", "response", "IN (SELECT")
                chat.go_on(run.pk)
            Run.objects.filter(finished_at=None).update(claim=None, due_at=F("created_at"))
            Generation.objects.exclude(due_at=None).update(due_at=F("created_at"))
        chat.go_on(run.pk)
        run_finished.disconnect(receiver)
        assert [one.state for one in reported] == ["done"]
        assert not ToolCall.objects.exclude(response=None).exists()

    def test_by_a_person_is_reported_once(self, run: Run, fail: Fail) -> None:
        fail("UPDATE", "toolcall")
        with pytest.raises(OperationalError):
            chat.stop_run(run)
        assert not Run.objects.get().has_ended
        assert chat.stop_run(run).state == "stopped"


class TestStream:
    def test_is_claimed_once_the_database_answers(self, remote: Emulator, fail: Fail) -> None:
        generation = services.begin_stream("Hello")
        fail("SELECT", "generationcontent", "open_until")
        services.pump_stream(generation.pk)
        generation.refresh_from_db()
        assert generation.status == Status.DONE

    def test_is_given_up_once_the_database_answers(
        self, remote: Emulator, fail: Fail, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        generation = services.begin_stream("Hello")
        prepare = pickup.prepare_send

        def prepare_late(row: Generation) -> Any:
            send = prepare(row)
            assert send is not None
            send.begin_within = type(send.begin_within)(-1)
            fail("UPDATE", "status", "lease_until")
            return send

        monkeypatch.setattr(pickup, "prepare_send", prepare_late)
        services.pump_stream(generation.pk)
        generation.refresh_from_db()
        assert (generation.status, generation.credits_used) == (Status.CANCELLED, 0)
        assert remote.counters["creates"] == 0

    def test_whose_end_was_written_unseen_is_not_written_again(
        self, remote: Emulator, fail: Fail, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        generation = services.begin_stream("Hello")
        done, failures = lifecycle.mark_done, [OperationalError("gone")]

        def mark_unseen(*arguments: Any, **options: Any) -> bool:
            is_done = done(*arguments, **options)
            if failures:
                raise failures.pop()
            return is_done

        monkeypatch.setattr(lifecycle, "mark_done", mark_unseen)
        services.pump_stream(generation.pk)
        told = generation.events.order_by("id").values_list("status", flat=True)
        assert list(told) == ["submitting", "running", "done"]


class TestIntent:
    @pytest.mark.parametrize("key", [None, "key"])
    def test_that_lost_a_deadlock_is_saved(
        self, fail: Fail, monkeypatch: pytest.MonkeyPatch, key: str | None
    ) -> None:
        monkeypatch.setattr(transactions, "_is_passing", lambda error: True)
        fail("INSERT", "generationcontent")
        generation = services.submit("Hello", idempotency_key=key)
        assert Generation.objects.get() == generation

    def test_among_many_that_lost_a_deadlock_is_saved_once(
        self, fail: Fail, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(transactions, "_is_passing", lambda error: True)
        fail("INSERT", "generationcontent")
        services.submit_many([{"messages": "Hello"}, {"messages": "Hi"}])
        assert Generation.objects.count() == 2
