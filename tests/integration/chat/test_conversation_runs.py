"""Runs inside a conversation: each step is a turn, and an open run keeps others waiting."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext

from creatify_textgen import chat, enqueue, services
from creatify_textgen.chat import Conversation, Run, Turn
from creatify_textgen.exceptions import RequestError, TransitionError
from creatify_textgen.models import Generation
from creatify_textgen.signals import run_finished
from creatify_textgen.testing import Answer, Stub

pytestmark = pytest.mark.django_db


def get_weather(city: str) -> str:
    """Return the weather of a city."""
    return f"Clear in {city}"


@chat.tool(needs_approval=True)
def send_mail(to: str) -> str:
    """Send a mail."""
    return f"Sent to {to}"


TOOLS = [get_weather, send_mail]
ROME = Answer(function_calls=[{"name": "get_weather", "args": {"city": "Rome"}}])
MAIL = Answer(function_calls=[{"name": "send_mail", "args": {"to": "Ann"}}])


@pytest.fixture
def ended(transactional_db: None) -> Iterator[list[tuple[str, str]]]:
    """Return the state and the code of each run whose end is reported."""
    seen: list[tuple[str, str]] = []

    def note(run: Run, **_: Any) -> None:
        seen.append((run.state, run.error_code))

    run_finished.connect(note)
    yield seen
    run_finished.disconnect(note)


@pytest.fixture
def conversation() -> Conversation:
    owner = User.objects.create_user("ada")
    return Conversation.start(owner=owner, system_instruction="Be brief.", model_name="gemini-9")


def run(conversation: Conversation, text: str = "Weather?", **options: Any) -> Run:
    return chat.run(text, tools=TOOLS, conversation=conversation, **options)


class TestTurns:
    def test_are_the_steps(self, conversation: Conversation, creatify_stub: Stub) -> None:
        creatify_stub.answer([ROME, "Clear."])
        made = run(conversation)
        turns = list(conversation.turns.order_by("number"))
        assert [turn.generation_id for turn in turns] == [
            step.generation_id for step in made.steps.order_by("number")
        ]
        assert [turn.added[0]["role"] for turn in turns] == ["user", "user"]
        assert turns[1].added[0]["function_response"]["response"] == {"result": "Clear in Rome"}
        assert (made.text, made.owner) == ("Clear.", conversation.owner)

    def test_have_the_settings_of_the_conversation(
        self, conversation: Conversation, creatify_stub: Stub
    ) -> None:
        creatify_stub.answer([ROME, "Clear."])
        run(conversation)
        for asked in creatify_stub.asked:
            assert (asked.system_instruction, asked.model_name) == ("Be brief.", "gemini-9")
            assert len(asked.tools[0]["function_declarations"]) == 2

    def test_are_what_the_next_message_continues(
        self, conversation: Conversation, creatify_stub: Stub
    ) -> None:
        creatify_stub.answer([ROME, "Clear.", "Warm."])
        run(conversation)
        conversation.ask("And tomorrow?")
        roles = [message["role"] for message in creatify_stub.asked[-1].messages]
        assert roles == ["user", "model", "user", "model", "user"]

    def test_refuse_what_the_conversation_decides(self, conversation: Conversation) -> None:
        with pytest.raises(TypeError, match="model_name"):
            run(conversation, model_name="gemini-8")
        assert not Generation.objects.exists()


class TestOpenRun:
    @pytest.fixture
    def waiting(self, conversation: Conversation, creatify_stub: Stub) -> Run:
        creatify_stub.answer([MAIL, "Done.", "Yes?"])
        return run(conversation, "Mail Ann.")

    @pytest.mark.parametrize("verb", ["ask", "erase", "run"])
    def test_keeps_others_waiting(
        self, conversation: Conversation, waiting: Run, verb: str
    ) -> None:
        verbs: dict[str, Callable[[], object]] = {
            "ask": lambda: conversation.ask("Hello?"),
            "erase": conversation.erase,
            "run": lambda: run(conversation),
        }
        with pytest.raises(TransitionError) as caught:
            verbs[verb]()
        assert caught.value.code == "conversation_busy"
        assert (waiting.state, Turn.objects.count()) == ("waiting", 1)

    def test_is_left_out_of_a_fork(self, conversation: Conversation, waiting: Run) -> None:
        assert conversation.fork().turns.count() == 0

    def test_goes_on_in_its_conversation(
        self, conversation: Conversation, waiting: Run, creatify_stub: Stub
    ) -> None:
        chat.approve(waiting.calls[0])
        chat.resume(waiting)
        assert conversation.turns.count() == 2
        assert conversation.ask("Hello?").content.response_text == "Yes?"

    def test_lets_others_go_on_once_it_is_stopped(
        self, conversation: Conversation, waiting: Run, creatify_stub: Stub
    ) -> None:
        chat.stop_run(waiting)
        conversation.ask("Never mind.")
        messages = creatify_stub.asked[-1].messages
        assert [message["content"] for message in messages] == ["Mail Ann.", "Never mind."]


class TestStream:
    def test_is_the_way_of_each_step(self, conversation: Conversation, creatify_stub: Stub) -> None:
        creatify_stub.answer([ROME, "Clear in Rome."])
        made = run(conversation, stream=True)
        assert (made.state, made.text) == ("done", "Clear in Rome.")
        assert [asked.is_stream for asked in creatify_stub.asked] == [True, True]

    def test_needs_no_other_worker(
        self,
        conversation: Conversation,
        creatify_stub: Stub,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        def refuse(generation_id: Any) -> None:
            raise AssertionError(f"a worker was asked to pump {generation_id}")

        creatify_stub.answer([ROME, "Clear."])
        # Taken back here: at its end the stub puts back what was there before it.
        with monkeypatch.context() as lone:
            lone.setattr(enqueue, "stream", refuse)
            assert run(conversation, stream=True).state == "done"

    @pytest.mark.parametrize(("stream", "queue"), [(True, "streams"), (False, "short")])
    def test_is_in_the_queue_of_streams(
        self, monkeypatch: pytest.MonkeyPatch, settings: Any, stream: bool, queue: str
    ) -> None:
        names = {"STREAM_QUEUE": "streams", "CELERY_QUEUE": "short", "STREAM_BACKEND": "redis://x"}
        settings.CREATIFY_TEXTGEN = {**settings.CREATIFY_TEXTGEN, **names}
        published: list[str] = []

        def note(name: str, args: Any, **options: Any) -> None:
            published.append(options["queue"])

        monkeypatch.setattr(enqueue, "_after_commit", note)
        chat.submit_run("Weather?", tools=TOOLS, stream=stream)
        assert queue in published

    def test_fails_with_its_answer(self, conversation: Conversation, creatify_stub: Stub) -> None:
        creatify_stub.answer(Answer(fault="blocked"))
        made = run(conversation, stream=True)
        assert (made.state, made.error_code) == ("failed", "blocked")


class TestKey:
    @pytest.mark.parametrize("is_in_conversation", [True, False])
    def test_returns_the_first_run(
        self, conversation: Conversation, creatify_stub: Stub, is_in_conversation: bool
    ) -> None:
        creatify_stub.answer([ROME, "Clear."])
        place: dict[str, Any] = {"conversation": conversation} if is_in_conversation else {}
        made = [chat.run("Weather?", tools=TOOLS, idempotency_key="k", **place) for _ in range(2)]
        assert made[0] == made[1]
        creatify_stub.assert_asked(times=2)

    def test_of_another_verb_is_refused(
        self, conversation: Conversation, creatify_stub: Stub
    ) -> None:
        conversation.ask("Weather?", idempotency_key="k")
        with pytest.raises(RequestError) as caught:
            run(conversation, idempotency_key="k")
        assert caught.value.code == "idempotency_conflict"


class TestDeletion:
    def test_of_a_conversation_deletes_its_runs(
        self, conversation: Conversation, creatify_stub: Stub
    ) -> None:
        creatify_stub.answer([ROME, "Clear."])
        run(conversation)
        conversation.erase()
        assert not Run.objects.exists()

    def test_of_the_answer_leaves_a_run_that_can_be_shown(
        self, conversation: Conversation, creatify_stub: Stub
    ) -> None:
        creatify_stub.answer("Clear.")
        made = run(conversation)
        services.delete(made.generation)
        assert Run.objects.get().text == ""

    def test_of_a_step_ends_a_run_that_waits(
        self, conversation: Conversation, creatify_stub: Stub, ended: list[tuple[str, str]]
    ) -> None:
        creatify_stub.answer([ROME, MAIL, "Yes?"])
        waiting = run(conversation, "Mail Ann.")
        services.delete(waiting.generation)
        waiting.refresh_from_db()
        assert ended == [("failed", "content_removed")]
        assert (waiting.claim, waiting.due_at) == (None, None)
        assert waiting.finished_at is not None
        assert conversation.ask("Hello?").content.response_text == "Yes?"
        conversation.erase()

    def test_of_an_earlier_step_forgets_results(
        self, conversation: Conversation, creatify_stub: Stub, ended: list[tuple[str, str]]
    ) -> None:
        both = [*ROME.function_calls, *MAIL.function_calls]
        creatify_stub.answer([ROME, Answer(function_calls=both)])
        waiting = run(conversation, "Mail Ann.")
        assert waiting.calls[1].response == {"result": "Clear in Rome"}
        services.delete(waiting.steps.get(number=1).generation)
        assert [made.response for made in waiting.calls] == [None, None]
        assert ended == [("failed", "content_removed")]

    def test_of_a_step_under_way_pays_for_no_other(
        self, conversation: Conversation, creatify_stub: Stub, ended: list[tuple[str, str]]
    ) -> None:
        """Let a function delete the generation that asked for it, and the sweep come after."""

        def delete_this(now: bool) -> str:
            """Delete the step."""
            services.delete(Run.objects.get().generation)
            return "deleted"

        deletion = Answer(function_calls=[{"name": "delete_this", "args": {"now": True}}])
        creatify_stub.answer([ROME, deletion, "Never sent."])
        made = chat.run("Go", tools=[get_weather, delete_this], conversation=conversation)
        assert (made.state, made.error_code) == ("failed", "content_removed")
        assert chat.sweep_runs(here=True) == 0
        creatify_stub.assert_asked(times=2)
        assert ended == [("failed", "content_removed")]

    @pytest.mark.parametrize("verb", ["run", "owner"])
    def test_of_an_open_run_is_no_end_of_it(
        self,
        conversation: Conversation,
        creatify_stub: Stub,
        ended: list[tuple[str, str]],
        verb: str,
    ) -> None:
        creatify_stub.answer(MAIL)
        waiting = run(conversation, "Mail Ann.")
        (waiting if verb == "run" else conversation.owner).delete()
        assert not Run.objects.exists()
        assert ended == []

    def test_of_generations_without_a_step_asks_for_no_run(self, creatify_stub: Stub) -> None:
        for _ in range(3):
            services.generate("Hello")
        with CaptureQueriesContext(connection) as queries:
            Generation.objects.all().delete()
        asked = [each["sql"] for each in queries]
        assert [sql for sql in asked if re.match("UPDATE .creatify_textgen_run.", sql)] == []
