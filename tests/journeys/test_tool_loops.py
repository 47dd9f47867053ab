"""Loops of three requests with parallel calls, with models that want their opaque fields back."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.models import User
from django.test import Client

from creatify_textgen import chat, enqueue, services
from creatify_textgen.chat import Conversation, Run
from creatify_textgen.emulator import Emulator
from creatify_textgen.models import Generation
from tests.ui_message_streams import message_of, read_parts

pytestmark = pytest.mark.django_db(transaction=True)

QUESTION = "What is the weather in Paris?"
GEMINI_3 = ("missing_signature",)
GEMINI_35 = ("missing_signature", "missing_response_id")

Start = Callable[[User, list[Any]], Run]


@pytest.fixture(autouse=True, params=[GEMINI_3, GEMINI_35], ids=["gemini-3", "gemini-3.5"])
def remote(
    request: pytest.FixtureRequest,
    creatify_emulator: Emulator,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> Emulator:
    """Return a remote that calls two functions at once, until `get_weather` was called twice."""
    account = {"API_ID": "id", "API_KEY": "key", "BASE_URL": creatify_emulator.url}
    settings.CREATIFY_TEXTGEN = {"ACCOUNTS": {"default": account}, "POLL_INTERVAL": 0.01}
    creatify_emulator.switches.set(
        pending_seconds=0,
        running_seconds=0,
        chunk_interval=0,
        final_state="function_calls",
        function_call_count=2,
        call_fields=["id", "thought_signature"],
        call_checks=request.param,
    )
    monkeypatch.setattr(enqueue, "stream", services.pump_stream)
    monkeypatch.setattr(enqueue, "run", lambda run_id, **options: None)
    return creatify_emulator


@pytest.fixture
def owner() -> User:
    return User.objects.create_user("ada")


@pytest.fixture
def tools(remote: Emulator) -> list[Any]:
    """Return two functions; after four calls the remote answers with text."""
    calls: list[str] = []

    def get_weather(city: str) -> str:
        """Return the weather of a city."""
        return note(city)

    async def get_time(city: str) -> str:
        """Return the time in a city."""
        return note(city)

    def note(city: str) -> str:
        calls.append(city)
        if len(calls) == 4:
            remote.switches.set(final_state="done")
        return "noon"

    return [get_weather, get_time]


def start_sync(owner: User, tools: list[Any]) -> Run:
    return chat.run(QUESTION, tools=tools, owner=owner)


def start_async(owner: User, tools: list[Any]) -> Run:
    return async_to_sync(chat.arun)(QUESTION, tools=tools, owner=owner)


def start_in_a_conversation(owner: User, tools: list[Any]) -> Run:
    return chat.run(QUESTION, tools=tools, conversation=Conversation.start(owner=owner))


def start_streamed(owner: User, tools: list[Any]) -> Run:
    return chat.run(QUESTION, tools=tools, owner=owner, stream=True)


def check_sent(remote: Emulator) -> None:
    """Fail unless each request after the first gives every call and response its fields back."""
    assert not Generation.objects.filter(calls_as_text=True).exists()
    asked = [row.request["messages"] for row in remote.generations]
    for messages in asked[1:]:
        calls = [one["function_call"] for one in messages if "function_call" in one]
        answers = [one["function_response"] for one in messages if "function_response" in one]
        assert [call["id"] for call in calls] == [answer["id"] for answer in answers]
        assert len({call["id"] for call in calls}) == len(calls)
        assert ["thought_signature" in call for call in calls] == [True, False] * (len(calls) // 2)


@pytest.mark.parametrize(
    "start", [start_sync, start_async, start_streamed, start_in_a_conversation]
)
def test_three_requests(start: Start, owner: User, tools: list[Any], remote: Emulator) -> None:
    run = start(owner, tools)
    assert (run.state, run.steps.count(), run.calls.count()) == ("done", 3, 4)
    assert run.text
    assert run.credits_used
    assert [call.state for call in run.calls] == ["done"] * 4
    check_sent(remote)


def test_a_run_that_waits_is_approved_by_rest(owner: User, remote: Emulator) -> None:
    client = Client()
    client.force_login(owner)
    conversation = Conversation.start(owner=owner)
    run = chat.run(QUESTION, tools=[ask_first], conversation=conversation)
    for _ in range(2):
        path = f"/textgen/runs/{run.pk}/"
        shown = client.get(path).json()
        assert shown["state"] == "waiting"
        for call in shown["calls"]:
            if call["state"] == "waiting":
                assert client.post(f"{path}calls/{call['id']}/approve/").status_code == 200
        remote.switches.set(final_state="done" if len(shown["calls"]) > 2 else "function_calls")
        # Another process: it finds the function by its name.
        run = chat.resume(Run.objects.get(pk=run.pk))
    assert client.get(path).json()["state"] == "done"
    assert conversation.turns.count() == 3
    check_sent(remote)


def test_a_conversation_goes_on_after_a_restart(
    owner: User, tools: list[Any], remote: Emulator
) -> None:
    run = chat.run(QUESTION, tools=tools, conversation=Conversation.start(owner=owner))
    conversation = Conversation.objects.get()  # All that another process has.
    assert conversation.ask("And tomorrow?").status == "done"
    with conversation.stream("Really?") as stream:
        assert stream.until_done().status == "done"
    assert conversation.history()[-1] == {"role": "model", "content": stream.text}
    assert [turn.number for turn in conversation.turns.all()] == [1, 2, 3, 4, 5]
    assert {"role": "model", "content": run.text} in conversation.history()
    check_sent(remote)


def test_streamed_by_rest_with_the_outputs_of_a_page(owner: User, remote: Emulator) -> None:
    client = Client()
    client.force_login(owner)
    declared = [{"name": "get_weather"}, {"name": "get_time"}]
    conversation = Conversation.start(owner=owner, tools=declared)
    path = f"/textgen/conversations/{conversation.pk}/messages/stream/?format=ui-message-stream"
    message = {"id": "u", "role": "user", "parts": [{"type": "text", "text": QUESTION}]}
    for request in range(3):
        remote.switches.set(final_state="done" if request == 2 else "function_calls")
        body = json.dumps({"id": "c", "messages": [message], "trigger": "submit-message"})
        response: Any = client.post(path, body, content_type="application/json")
        shown = message_of(read_parts(b"".join(response.streaming_content)))
        answered = {"state": "output-available", "output": "noon"}
        parts = [{**one, **answered} if "toolCallId" in one else one for one in shown["parts"]]
        message = {"id": shown["id"], "role": "assistant", "parts": parts}
    assert parts[-1]["type"] == "text"
    assert len(conversation.history()) == 10
    check_sent(remote)


@chat.tool(needs_approval=True)
def ask_first(city: str) -> str:
    """Return the weather of a city."""
    return "noon"
