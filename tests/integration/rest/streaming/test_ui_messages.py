"""`?format=ui-message-stream`: what `useChat` receives, sends and resumes."""

from __future__ import annotations

import base64
import re
from typing import Any

import pytest
from django.contrib.auth.models import User
from rest_framework.test import APIClient

from creatify_textgen import enqueue
from creatify_textgen.chat import Conversation
from creatify_textgen.models import Generation
from creatify_textgen.remote.chunks import text_chunk
from creatify_textgen.states import Mode, Status
from creatify_textgen.streams.hub import get_hub
from creatify_textgen.streams.own_frames import ending
from creatify_textgen.streams.transcript import Transcript
from creatify_textgen.testing import Answer, Stub
from tests import bad_requests
from tests.factories import make_generation
from tests.ui_message_streams import message_of, read_parts

pytestmark = pytest.mark.django_db

QUERY = "?format=ui-message-stream"
GENERATIONS = f"/textgen/generations/stream/{QUERY}"
WEATHER = [{"name": "get_weather", "parameters": {"type": "object", "properties": {}}}]
PNG = base64.b64encode(bad_requests.PNG).decode()


@pytest.fixture
def conversation(owner: User) -> Conversation:
    return Conversation.start(owner=owner, tools=WEATHER)


@pytest.fixture
def waiting(owner: User) -> Generation:
    """Return a stream that is under way."""
    return make_generation(owner=owner, mode=Mode.STREAM, status=Status.RUNNING)


def path_of(conversation: Conversation) -> str:
    return f"/textgen/conversations/{conversation.pk}/messages/stream/{QUERY}"


def user(text: str, *parts: dict[str, Any]) -> dict[str, Any]:
    return {"id": "u1", "role": "user", "parts": [{"type": "text", "text": text}, *parts]}


def chat(*messages: dict[str, Any], trigger: str = "submit-message", **more: Any) -> dict[str, Any]:
    """Return what `DefaultChatTransport` sends."""
    return {"id": "chat-1", "messages": list(messages), "trigger": trigger, **more}


def post(api: APIClient, path: str, body: Any) -> Any:
    return api.post(path, body, format="json")


def parts_of(response: Any) -> list[dict[str, Any]]:
    assert response.status_code == 200, response.content
    return read_parts(b"".join(response.streaming_content))


class TestStream:
    def test_is_one_message_with_its_cost(self, api: APIClient, creatify_stub: Stub) -> None:
        creatify_stub.answer(Answer("Hello there", thoughts="Let me think."))
        response = post(api, GENERATIONS, chat(user("Hello")))
        assert response["x-vercel-ai-ui-message-stream"] == "v1"
        assert response["content-type"] == "text/event-stream"
        message = message_of(parts_of(response))
        row = Generation.objects.get()
        assert message["id"] == message["metadata"]["generation"] == str(row.pk)
        assert message["parts"] == [
            {"type": "step-start"},
            {"type": "reasoning", "text": "Let me think."},
            {"type": "text", "text": "Hello there"},
        ]
        metadata = message["metadata"]
        assert (metadata["status"], metadata["credits_used"]) == ("done", "0.0005")
        assert metadata["finish_reason"] == "STOP"
        assert metadata["model_version"] == row.model_name

    @pytest.mark.parametrize(
        ("answer", "reason"),
        [
            ("Hello", "stop"),
            (Answer("Hello there all", fault="truncated"), "length"),
            (Answer(function_calls=[{"name": "get_weather", "args": {}}]), "tool-calls"),
        ],
    )
    def test_says_why_it_ended(
        self, api: APIClient, creatify_stub: Stub, answer: Any, reason: str
    ) -> None:
        creatify_stub.answer(answer)
        body = chat(user("Hello"), tools=[{"function_declarations": WEATHER}])
        *_, last = parts_of(post(api, GENERATIONS, body))
        assert (last["type"], last["finishReason"]) == ("finish", reason)

    def test_gives_each_call_an_id_and_keeps_its_signature(
        self, api: APIClient, creatify_stub: Stub
    ) -> None:
        calls = [
            {"name": "get_weather", "args": {"city": "Rome"}, "id": "c1", "thought_signature": "s"},
            {"name": "get_weather", "args": {"city": "Oslo"}},
        ]
        creatify_stub.answer(Answer("Let me look.", function_calls=calls))
        body = chat(user("Hello"), tools=[{"function_declarations": WEATHER}])
        message = message_of(parts_of(post(api, GENERATIONS, body)))
        _, text, first, second = message["parts"]
        assert text["text"] == "Let me look."
        assert first == {
            "type": "tool-get_weather",
            "toolCallId": "c1",
            "state": "input-available",
            "input": {"city": "Rome"},
            "callProviderMetadata": {"google": {"thoughtSignature": "s"}},
        }
        assert second["toolCallId"] == f"textgen-{message['id']}-2"

    def test_reports_the_cost_before_an_error(self, api: APIClient, creatify_stub: Stub) -> None:
        creatify_stub.fail("failed")
        parts = parts_of(post(api, GENERATIONS, chat(user("Hello"))))
        kinds = [part["type"] for part in parts]
        assert kinds[-4:] == ["message-metadata", "error", "finish-step", "finish"]
        assert parts[-1]["finishReason"] == "error"
        assert parts[-4]["messageMetadata"]["credits_used"] == "0.0005"

    def test_refusals_before_the_first_chunk_are_json(
        self, api: APIClient, creatify_stub: Stub
    ) -> None:
        creatify_stub.fail("insufficient_credits")
        response = post(api, GENERATIONS, chat(user("Hello")))
        assert response.status_code == 402
        assert response.json()["code"] == "insufficient_credits"

    def test_takes_a_body_of_this_api_as_well(self, api: APIClient, creatify_stub: Stub) -> None:
        creatify_stub.answer("Hi")
        message = message_of(parts_of(post(api, GENERATIONS, {"messages": "Hello"})))
        assert message["parts"][-1]["text"] == "Hi"


class TestFormat:
    @pytest.mark.parametrize("written", ["json", "UI-message-stream", "ui-message-stream/", "\x00"])
    def test_refuses_an_unknown_one(
        self, api: APIClient, waiting: Generation, written: str
    ) -> None:
        for call in (
            api.post(f"/textgen/generations/stream/?format={written}", {}, format="json"),
            api.get(f"/textgen/generations/{waiting.pk}/stream/", {"format": written}),
        ):
            assert call.status_code == 400
            assert list(call.json()["errors"]) == ["format"]
            assert "ui-message-stream" in call.json()["error"]
        assert Generation.objects.count() == 1


class TestBody:
    def test_becomes_messages(self, api: APIClient, creatify_stub: Stub) -> None:
        tool = {
            "type": "tool-get_weather",
            "toolCallId": "c1",
            "state": "output-available",
            "input": {"city": "Rome"},
            "output": "sunny",
            "callProviderMetadata": {"google": {"thoughtSignature": "s"}},
        }
        failed = {**tool, "toolCallId": "textgen-x-2", "state": "output-error", "errorText": "No."}
        del failed["callProviderMetadata"]
        answer = [
            {"type": "step-start"},
            {"type": "reasoning", "text": "Hm."},
            {"type": "text", "text": "Looking."},
            tool,
            failed,
            {**tool, "state": "input-available"},
            {"type": "step-start"},
            {"type": "text", "text": "Sunny."},
        ]
        image = {"type": "file", "mediaType": "image/png", "url": f"data:image/png;base64,{PNG}"}
        messages = [
            {"id": "s", "role": "system", "parts": [{"type": "text", "text": "Be brief."}]},
            user("Weather?"),
            {"id": "a1", "role": "assistant", "parts": answer},
            user("And this?", image, {"type": "data-note", "data": 1}),
        ]
        parts_of(post(api, GENERATIONS, chat(*messages, metadata={"order": 7})))
        row = Generation.objects.get()
        call = {"name": "get_weather", "args": {"city": "Rome"}}
        *earlier, last = row.content.messages
        assert earlier == [
            {"role": "user", "content": [{"type": "text", "text": "Weather?"}]},
            {"role": "model", "content": [{"type": "text", "text": "Looking."}]},
            {
                "role": "model",
                "function_call": {**call, "id": "c1", "thought_signature": "s"},
            },
            {"role": "model", "function_call": call},
            {
                "role": "user",
                "function_response": {
                    "name": "get_weather",
                    "response": {"result": "sunny"},
                    "id": "c1",
                },
            },
            {
                "role": "user",
                "function_response": {"name": "get_weather", "response": {"error": "No."}},
            },
            {"role": "model", "content": [{"type": "text", "text": "Sunny."}]},
        ]
        assert [part["type"] for part in last["content"]] == ["text", "image"]
        assert row.content.system_instruction == "Be brief."
        assert row.metadata == {"order": 7}

    def test_takes_only_text_of_the_system(self, api: APIClient, creatify_stub: Stub) -> None:
        image = {"type": "file", "mediaType": "image/png", "url": f"data:image/png;base64,{PNG}"}
        system = {"role": "system", "parts": [{"type": "text", "text": "Be brief."}, image]}
        parts_of(post(api, GENERATIONS, chat(system, user("Hello"))))
        assert Generation.objects.get().content.system_instruction == "Be brief."

    def test_refers_to_an_uploaded_medium(self, api: APIClient, creatify_stub: Stub) -> None:
        inline = {"type": "file", "mediaType": "image/png", "url": f"data:image/png;base64,{PNG}"}
        parts_of(post(api, GENERATIONS, chat(user("This?", inline))))
        medium = Generation.objects.get().media.get()
        url = f"/textgen/media/{medium.pk}/"
        parts_of(post(api, GENERATIONS, chat(user("Again?", {**inline, "url": url}))))
        assert [row.media.get() for row in Generation.objects.all()] == [medium, medium]

    @pytest.mark.parametrize(
        ("body", "path"),
        [
            (chat({"role": "tool", "parts": []}), "messages[0].role"),
            (chat({"role": ["user"], "parts": []}), "messages[0].role"),
            (chat({"role": "user", "parts": "Hello"}), "messages[0].parts"),
            (chat({"role": "user", "parts": ["Hello"]}), "messages[0].parts"),
            (chat(user("Hello"), {"role": "user", "content": "Hi"}), "messages[1].parts"),
            (chat({"role": "user", "parts": [{"type": "text"}]}), "messages[0].parts[0].text"),
            (chat({"role": "user", "parts": []}), "messages"),
            (chat({"role": "assistant", "parts": [{"type": "text", "text": "Hi"}]}), "messages"),
            (chat(user("Hello"), temperature=1), "temperature"),
            (
                chat(user("", {"type": "file", "mediaType": "audio/wav", "url": "data:,"})),
                "messages[0].parts[1].mediaType",
            ),
            (
                chat(user("", {"type": "file", "mediaType": "image/png", "url": "https://x.org/"})),
                "messages[0].parts[1].url",
            ),
            (chat(user("", {"type": "file", "url": 7})), "messages[0].parts[1].url"),
        ],
    )
    def test_names_what_is_wrong(self, api: APIClient, body: Any, path: str) -> None:
        response = post(api, GENERATIONS, body)
        assert response.status_code == 400
        assert path in response.json()["errors"]
        assert not Generation.objects.exists()

    def test_of_a_stranger_opens_no_medium(
        self, api: APIClient, strangers_api: APIClient, creatify_stub: Stub
    ) -> None:
        inline = {"type": "file", "mediaType": "image/png", "url": f"data:image/png;base64,{PNG}"}
        parts_of(post(api, GENERATIONS, chat(user("This?", inline))))
        url = f"/textgen/media/{Generation.objects.get().media.get().pk}/"
        response = post(strangers_api, GENERATIONS, chat(user("?", {**inline, "url": url})))
        assert response.status_code == 400
        assert list(response.json()["errors"]) == ["messages[0].content[1].media"]


class TestConversation:
    def test_adds_the_last_message_alone(
        self, api: APIClient, conversation: Conversation, creatify_stub: Stub
    ) -> None:
        creatify_stub.answer(["Hi", "Fine"])
        first = message_of(parts_of(post(api, path_of(conversation), chat(user("Hello")))))
        answer = {"id": first["id"], "role": "assistant", "parts": first["parts"]}
        body = chat(user("Hello"), answer, user("How are you?"))
        second = message_of(parts_of(post(api, path_of(conversation), body)))
        assert second["parts"][-1]["text"] == "Fine"
        texts = [message["content"] for message in conversation.history()]
        assert texts == [
            [{"type": "text", "text": "Hello"}],
            "Hi",
            [{"type": "text", "text": "How are you?"}],
            "Fine",
        ]

    def test_continues_a_message_with_the_outputs_of_the_page(
        self, api: APIClient, conversation: Conversation, creatify_stub: Stub
    ) -> None:
        call = {"name": "get_weather", "args": {"city": "Rome"}, "id": "c1"}
        creatify_stub.answer([Answer(function_calls=[call, call | {"id": "c2"}]), "Sunny."])
        asked = message_of(parts_of(post(api, path_of(conversation), chat(user("Weather?")))))
        parts = [
            {**part, "state": "output-available", "output": {"sky": "clear"}}
            if part["type"].startswith("tool-")
            else part
            for part in asked["parts"]
        ]
        answered = {"id": asked["id"], "role": "assistant", "parts": parts}
        body = chat(user("Weather?"), answered, messageId=asked["id"])
        message = message_of(parts_of(post(api, path_of(conversation), body)))
        assert message["id"] == asked["id"] != message["metadata"]["generation"]
        assert message["parts"][-1]["text"] == "Sunny."
        turn = conversation.last_turn
        assert turn is not None
        assert [one["function_response"]["id"] for one in turn.added] == ["c1", "c2"]

    @pytest.mark.parametrize("again", [{"trigger": "regenerate-message"}, {"messageId": "u1"}])
    def test_sends_a_failed_message_again_but_keeps_an_answer(
        self, api: APIClient, conversation: Conversation, creatify_stub: Stub, again: Any
    ) -> None:
        creatify_stub.fail("failed")
        parts_of(post(api, path_of(conversation), chat(user("Hello"))))
        creatify_stub.answer("Hi")
        parts_of(post(api, path_of(conversation), chat(user("Hello"), **again)))
        refused = post(api, path_of(conversation), chat(user("Hello"), **again))
        assert (refused.status_code, refused.json()["code"]) == (400, "already_answered")
        assert len(conversation.history()) == 2

    def test_is_the_owners(self, strangers_api: APIClient, conversation: Conversation) -> None:
        assert strangers_api.get(path_of(conversation)).status_code == 404
        assert post(strangers_api, path_of(conversation), chat(user("Hi"))).status_code == 404


class TestResume:
    @pytest.fixture
    def running(
        self, conversation: Conversation, creatify_stub: Stub, monkeypatch: pytest.MonkeyPatch
    ) -> Generation:
        """Return the answer of the conversation that is under way."""
        # Taken back here: at its end the stub puts back what was there before it.
        with monkeypatch.context() as lost:
            lost.setattr(enqueue, "stream", lambda generation_id: None)
            generation, _ = conversation.begin_stream("Hello")
        return generation

    def test_answers_204_if_nothing_is_under_way(
        self, api: APIClient, conversation: Conversation, creatify_stub: Stub
    ) -> None:
        assert api.get(path_of(conversation)).status_code == 204
        done = conversation.ask("Hello")
        assert api.get(path_of(conversation)).status_code == 204
        assert api.get(f"/textgen/generations/{done.pk}/stream/{QUERY}").status_code == 204

    def test_begins_with_the_first_chunk(
        self, api: APIClient, conversation: Conversation, running: Generation
    ) -> None:
        publish(running, "Hello there")
        message = message_of(parts_of(api.get(path_of(conversation), HTTP_LAST_EVENT_ID="1-5")))
        assert message["id"] == str(running.pk)
        assert message["parts"][-1]["text"] == "Hello there"

    def test_gives_an_answer_that_continued_a_message_its_own_id(
        self,
        api: APIClient,
        conversation: Conversation,
        creatify_stub: Stub,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        creatify_stub.answer(Answer(function_calls=[{"name": "get_weather", "args": {}}]))
        asked = conversation.ask("Weather?")
        with monkeypatch.context() as lost:
            lost.setattr(enqueue, "stream", lambda generation_id: None)
            output = {"name": "get_weather", "response": {"sky": "clear"}}
            running, _ = conversation.begin_stream([{"role": "user", "function_response": output}])
        publish(running, "Sunny.")
        message = message_of(parts_of(api.get(path_of(conversation))))
        # With the id of `asked` it would replace the call, which it does not have.
        assert message["id"] == str(running.pk) != str(asked.pk)
        assert [part["type"] for part in message["parts"]] == ["step-start", "text"]

    def test_without_a_format_begins_where_the_reader_is(
        self, api: APIClient, conversation: Conversation, running: Generation
    ) -> None:
        publish(running, "Hello there")
        path = path_of(conversation).removesuffix(QUERY)
        body = b"".join(api.get(path, HTTP_LAST_EVENT_ID="1-6").streaming_content).decode()
        assert '"text":"there"' in body.replace(" ", "")
        assert "Hello" not in body

    def test_ends_a_stopped_answer_with_abort(
        self, api: APIClient, conversation: Conversation, running: Generation
    ) -> None:
        publish(running, "Hello there", error_code="stopped")
        parts = parts_of(api.get(path_of(conversation)))
        assert [part["type"] for part in parts[-2:]] == ["message-metadata", "abort"]
        assert parts[-2]["messageMetadata"]["error_code"] == "stopped"
        assert parts[-3]["type"] == "text-end"


def publish(generation: Generation, text: str, *, error_code: str = "") -> None:
    """Put the frames of an answer into the hub, as a pump would."""
    transcript = Transcript()
    words = re.findall(r"\S+ ?", text)
    frames = [transcript.add(text_chunk(word, is_thought=False)) for word in words]
    row = Generation(pk=generation.pk, status=Status.DONE, error_code=error_code, partial=False)
    get_hub().publish(str(generation.pk), [*frames, *ending(row, transcript.position)])
