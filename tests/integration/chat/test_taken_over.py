"""Streamed runs whose process dies before a stream is begun: readers wait for the next process."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import connections
from django.db.models import F

from creatify_textgen import chat, clock, enqueue, services
from creatify_textgen.chat import Conversation, Run
from creatify_textgen.models import Generation
from creatify_textgen.testing import Answer, Stub

pytestmark = pytest.mark.django_db

ROME = Answer(function_calls=[{"name": "get_weather", "args": {"city": "Rome"}}])
SWEEPS: list[Callable[[], object]] = [
    lambda: chat.sweep_runs(),
    lambda: chat.sweep_runs(here=True),
]


def get_weather(city: str) -> str:
    """Return the weather of a city."""
    return f"Clear in {city}"


@pytest.fixture
def conversation() -> Conversation:
    return Conversation.start()


@pytest.fixture
def messages(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """Return the messages that were published to workers: none of them is delivered."""
    lost: list[Any] = []
    with monkeypatch.context() as noted:
        noted.setattr(enqueue, "run", lambda run_id, **_: lost.append(run_id))
        yield lost


def die(*_: Any, **__: Any) -> None:
    raise KeyboardInterrupt


def die_at_stream(number: int, monkeypatch: pytest.MonkeyPatch, **options: Any) -> Run:
    """Start a run whose process dies before the stream of this step is begun."""
    from_here = services.pump_stream
    begun = 0

    def pump(generation_id: Any) -> None:
        nonlocal begun
        begun += 1
        (die if begun == number else from_here)(generation_id)

    with monkeypatch.context() as dying:
        dying.setattr("creatify_textgen.chat.steps.pump_stream", pump)
        with pytest.raises(KeyboardInterrupt):
            chat.run("Weather?", tools=[get_weather], stream=True, **options)
    return Run.objects.get()


def pass_time(seconds: float) -> None:
    """Let all that waits have waited for so much longer."""
    ago = timedelta(seconds=seconds)
    Generation.objects.exclude(due_at=None).update(
        due_at=F("due_at") - ago, created_at=F("created_at") - ago
    )
    Run.objects.exclude(due_at=None).update(due_at=F("due_at") - ago)


class TestStep:
    @pytest.mark.parametrize("number", [1, 2])
    @pytest.mark.parametrize("sweep", SWEEPS, ids=["worker", "here"])
    def test_is_streamed_by_the_next_process(
        self,
        creatify_stub: Stub,
        monkeypatch: pytest.MonkeyPatch,
        number: int,
        sweep: Callable[[], object],
    ) -> None:
        creatify_stub.answer([ROME, "Clear."])
        run = die_at_stream(number, monkeypatch)
        for _ in range(3):
            pass_time(30)
            services.sweep()
            sweep()
        run.refresh_from_db()
        assert (run.state, run.error_code, run.text) == ("done", "", "Clear.")
        creatify_stub.assert_asked(times=2)

    def test_may_be_begun_late_by_a_worker_that_has_the_run(
        self, creatify_stub: Stub, monkeypatch: pytest.MonkeyPatch, messages: list[Any]
    ) -> None:
        creatify_stub.answer(["Clear."])
        run = chat.submit_run("Weather?", tools=[get_weather], stream=True)
        with monkeypatch.context() as dying:
            dying.setattr("creatify_textgen.chat.steps.pump_stream", die)
            with pytest.raises(KeyboardInterrupt):
                chat.go_on(run.pk)
        pass_time(61)
        services.sweep()
        chat.sweep_runs(here=True)
        run.refresh_from_db()
        assert (run.state, run.text) == ("done", "Clear.")

    def test_is_given_up_if_no_process_takes_it_over(
        self, creatify_stub: Stub, monkeypatch: pytest.MonkeyPatch, messages: list[Any]
    ) -> None:
        run = die_at_stream(1, monkeypatch)
        for _ in range(5):
            pass_time(61)
            services.sweep()
            chat.sweep_runs()
        run.refresh_from_db()
        assert (run.state, run.error_code) == ("failed", "not_taken_up")
        creatify_stub.assert_not_asked()


class TestReader:
    @pytest.mark.django_db(transaction=True)
    @pytest.mark.parametrize("number", [1, 2])
    def test_waits_for_the_next_process(
        self, creatify_stub: Stub, monkeypatch: pytest.MonkeyPatch, number: int
    ) -> None:
        creatify_stub.answer([ROME, "Clear."])
        run = die_at_stream(number, monkeypatch)
        pass_time(20)
        begun = run.generation
        stream = services.attach(begun)
        reader = threading.Thread(target=read, args=(stream,))
        reader.start()
        reader.join(timeout=1)
        assert reader.is_alive()
        pass_time(41)
        chat.sweep_runs(here=True)
        reader.join(timeout=20)
        assert not reader.is_alive()
        assert (stream.generation.status, stream.error_code) == ("done", "")
        assert stream.text == ("" if number == 1 else "Clear.")


def read(stream: services.GenerationStream) -> None:
    try:
        stream.until_done()
    finally:
        connections.close_all()


class TestRunThatNobodyTakesUp:
    def test_fails_with_the_code_of_its_stream(
        self, creatify_stub: Stub, conversation: Conversation, messages: list[Any]
    ) -> None:
        run = chat.submit_run(
            "Weather?", tools=[get_weather], stream=True, conversation=conversation
        )
        pass_time(16)
        services.sweep()
        chat.sweep_runs()
        run.refresh_from_db()
        [turn] = conversation.turns.all()
        assert (run.state, run.error_code) == ("failed", "not_taken_up")
        assert (turn.generation.status, turn.generation.error_code) == (
            "cancelled",
            "not_taken_up",
        )
        assert turn.has_ended
        creatify_stub.assert_not_asked()

    def test_is_done_by_the_sweep_if_it_is_no_stream(
        self, creatify_stub: Stub, messages: list[Any]
    ) -> None:
        run = chat.submit_run("Weather?", tools=[get_weather])
        pass_time(61)
        services.sweep()
        chat.sweep_runs(here=True)
        run.refresh_from_db()
        assert run.state == "done"

    def test_keeps_the_word_of_the_person_who_cancelled_it(
        self, creatify_stub: Stub, messages: list[Any]
    ) -> None:
        run = chat.submit_run("Weather?", tools=[get_weather], stream=True)
        services.cancel(run.generation)
        Run.objects.update(due_at=clock.now())
        chat.sweep_runs()
        run.refresh_from_db()
        assert (run.state, run.error_code) == ("failed", "cancelled")
