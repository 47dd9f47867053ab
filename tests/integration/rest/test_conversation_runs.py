"""`ConversationRunView`: a site's own path at which a message is answered with functions."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from itertools import chain, repeat
from typing import Any
from unittest.mock import DEFAULT, patch
from uuid import UUID

import pytest
from django.contrib.auth.models import User
from django.db import OperationalError
from django.test import override_settings
from django.urls import include, path
from drf_spectacular.drainage import GENERATOR_STATS
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.validation import validate_schema
from rest_framework.test import APIClient

from creatify_textgen import chat, clock, services
from creatify_textgen.chat import Conversation, Run
from creatify_textgen.models import Generation
from creatify_textgen.rest import openapi as _registered  # noqa: F401
from creatify_textgen.rest.runs import ConversationRunView
from creatify_textgen.rest.streaming import runs
from creatify_textgen.rest.streaming.limits import reader_slots
from creatify_textgen.states import Mode, Status
from creatify_textgen.streams.follow import follow
from creatify_textgen.streams.hub import Position
from creatify_textgen.streams.own_frames import broken_off
from creatify_textgen.testing import Answer, Stub
from tests.factories import make_generation
from tests.ui_message_streams import message_of, read_parts


def get_weather(city: str) -> str:
    """Return the weather of a city."""
    return f"Clear in {city}"


@chat.tool(needs_approval=True)
def send_mail(to: str) -> str:
    """Send a mail."""
    return f"Sent to {to}"


def note(text: str) -> dict[str, Any]:
    """Note something."""
    return {}


urlpatterns = [
    path(
        "say/<uuid:conversation_id>/",
        ConversationRunView.as_view(tools=[get_weather, send_mail, note], limit=3),
    ),
    path("textgen/", include("creatify_textgen.urls")),
]
ROME = Answer(function_calls=[{"name": "get_weather", "args": {"city": "Rome"}}])
MAIL = Answer(function_calls=[{"name": "send_mail", "args": {"to": "Ann"}}])


@pytest.fixture(autouse=True)
def _paths() -> Any:
    with override_settings(ROOT_URLCONF=__name__):
        yield


@pytest.fixture
def conversation(owner: User) -> Conversation:
    return Conversation.start(owner=owner)


def say(api: APIClient, conversation: Conversation, body: Any, **headers: str) -> Any:
    return api.post(f"/say/{conversation.pk}/", body, format="json", headers=headers)


def turns(api: APIClient, conversation: Conversation) -> list[dict[str, Any]]:
    response = api.get(f"/textgen/conversations/{conversation.pk}/messages/")
    found: list[dict[str, Any]] = response.json()["results"]
    return found


class TestPost:
    def test_answers_202_with_the_run(
        self, api: APIClient, conversation: Conversation, creatify_stub: Stub
    ) -> None:
        creatify_stub.answer([ROME, "Clear."])
        response = say(api, conversation, {"content": "Weather in Rome?"})
        run = api.get(f"/textgen/runs/{response.json()['id']}/").json()
        assert (response.status_code, run["state"], run["text"]) == (202, "done", "Clear.")
        assert (run["limit"], [call["name"] for call in run["calls"]]) == (3, ["get_weather"])
        assert [asked.is_stream for asked in creatify_stub.asked] == [True, True]

    def test_makes_turns_that_name_their_run(
        self, api: APIClient, conversation: Conversation, creatify_stub: Stub
    ) -> None:
        creatify_stub.answer([ROME, "Clear.", "No run."])
        run = say(api, conversation, {"content": "Weather in Rome?"}).json()
        conversation.ask("And without tools?")
        found = turns(api, conversation)
        assert [turn["run"] for turn in found] == [run["id"], run["id"], None]
        assert [turn["generation"] for turn in found[:2]] == list(
            map(str, Run.objects.get().steps.values_list("generation_id", flat=True))
        )

    def test_lets_the_owner_decide(
        self, api: APIClient, conversation: Conversation, creatify_stub: Stub
    ) -> None:
        creatify_stub.answer([MAIL, "Sent."])
        run = say(api, conversation, {"content": "Mail Ann."}).json()
        run = api.get(f"/textgen/runs/{run['id']}/").json()
        busy = say(api, conversation, {"content": "Hello?"})
        assert (run["state"], busy.json()["code"]) == ("waiting", "conversation_busy")
        api.post(f"/textgen/runs/{run['id']}/calls/{run['calls'][0]['id']}/approve/")
        assert turns(api, conversation)[-1]["response_text"] == "Sent."

    def test_repeats_nothing_for_a_key(
        self, api: APIClient, conversation: Conversation, creatify_stub: Stub
    ) -> None:
        ids = {
            say(api, conversation, {"content": "Hello"}, **{"Idempotency-Key": "k"}).json()["id"]
            for _ in range(2)
        }
        assert len(ids) == 1
        creatify_stub.assert_asked(times=1)


def ui(api: APIClient, conversation: Conversation, text: str) -> dict[str, Any]:
    """Send what `useChat` sends, and return the message as a page shows it."""
    said = {"id": "u1", "role": "user", "parts": [{"type": "text", "text": text}]}
    body = {"id": "c1", "messages": [said], "trigger": "submit-message"}
    path = f"/say/{conversation.pk}/?format=ui-message-stream"
    response = api.post(path, body, format="json")
    assert response["x-vercel-ai-ui-message-stream"] == "v1"
    return message_of(read_parts(b"".join(response.streaming_content)))


def resumed(
    api: APIClient, conversation: Conversation, query: str = "?format=ui-message-stream"
) -> Any:
    return api.get(f"/textgen/conversations/{conversation.pk}/messages/stream/{query}")


class TestResume:
    """What `GET messages/stream/` answers while a run is between two steps, or has ended."""

    @pytest.fixture
    def waiting(self, api: APIClient, conversation: Conversation, creatify_stub: Stub) -> str:
        """Return the id of a run that waits for a person."""
        creatify_stub.answer([MAIL, "Sent."])
        return str(say(api, conversation, {"content": "Mail Ann."}).json()["id"])

    @pytest.mark.parametrize("query", ["", "?format=ui-message-stream"])
    def test_names_the_run_that_waits(
        self, api: APIClient, conversation: Conversation, waiting: str, query: str
    ) -> None:
        response = resumed(api, conversation, query)
        assert (response.status_code, response["X-Run-Id"]) == (204, waiting)

    @pytest.mark.parametrize(
        ("model", "status"), [(Run, 204), (Generation, 200)], ids=["between steps", "in a step"]
    )
    def test_names_the_run_that_goes_on(
        self,
        api: APIClient,
        conversation: Conversation,
        waiting: str,
        model: type[Run | Generation],
        status: int,
    ) -> None:
        """With 200 the current step is streamed, and more follows it."""
        key = "state" if model is Run else "status"
        model.objects.update(due_at=clock.now(), **{key: "running"})
        response = resumed(api, conversation, "")
        assert (response.status_code, response["X-Run-Id"]) == (status, waiting)
        response.close()

    def test_names_none_after_its_end(
        self, api: APIClient, conversation: Conversation, creatify_stub: Stub
    ) -> None:
        creatify_stub.answer([ROME, "Clear."])
        say(api, conversation, {"content": "Weather in Rome?"})
        response = resumed(api, conversation, "")
        assert (response.status_code, "X-Run-Id" in response) == (204, False)


class TestUIMessages:
    def test_are_one_for_all_steps(
        self, api: APIClient, conversation: Conversation, creatify_stub: Stub
    ) -> None:
        creatify_stub.answer([ROME, Answer("Clear.", thoughts="Hm.")])
        message = ui(api, conversation, "Weather in Rome?")
        run = Run.objects.get()
        first, second = run.steps.order_by("number")
        assert message["parts"] == [
            {"type": "step-start"},
            {
                "type": "tool-get_weather",
                "toolCallId": f"textgen-{first.generation_id}-1",
                "state": "output-available",
                "input": {"city": "Rome"},
                "output": {"result": "Clear in Rome"},
            },
            {"type": "step-start"},
            {"type": "reasoning", "text": "Hm."},
            {"type": "text", "text": "Clear."},
        ]
        metadata = message["metadata"]
        assert message["id"] == str(first.generation_id)
        assert metadata["generation"] == str(second.generation_id)
        assert (metadata["run"], metadata["state"]) == (str(run.pk), "done")
        assert metadata["credits_used"] == "0.001"
        assert message["error"] == ""

    def test_end_where_a_person_decides_and_begin_again(
        self, api: APIClient, conversation: Conversation, creatify_stub: Stub
    ) -> None:
        creatify_stub.answer([MAIL, "Sent."])
        message = ui(api, conversation, "Mail Ann.")
        [waiting] = message["metadata"]["waiting"]
        tool = message["parts"][1]
        assert (message["metadata"]["state"], tool["state"]) == ("waiting", "input-available")
        assert waiting == {
            "id": str(Run.objects.get().calls[0].pk),
            "toolCallId": tool["toolCallId"],
            "name": "send_mail",
        }
        assert resumed(api, conversation).status_code == 204
        api.post(f"/textgen/runs/{Run.objects.get().pk}/calls/{waiting['id']}/reject/")
        assert resumed(api, conversation).status_code == 204
        Run.objects.update(state="running", due_at=clock.now())
        response = resumed(api, conversation)
        streamed: list[bytes] = []
        for piece in response.streaming_content:
            streamed.append(piece)
            if b"tool-output-error" in piece:
                Run.objects.update(state="done", due_at=None)
        again = message_of(read_parts(b"".join(streamed)))
        assert again["id"] == message["id"]
        assert again["parts"][1]["errorText"].startswith("A person refused this call.")
        assert again["parts"][-1] == {"type": "text", "text": "Sent."}

    @pytest.mark.parametrize(
        ("answers", "words"),
        [
            ([ROME, Answer(fault="blocked")], "blocked"),
            ([ROME, ROME, ROME], "limit_reached"),
        ],
    )
    def test_end_with_the_error_of_the_run(
        self,
        api: APIClient,
        conversation: Conversation,
        creatify_stub: Stub,
        answers: list[Answer],
        words: str,
    ) -> None:
        creatify_stub.answer(answers)
        message = ui(api, conversation, "Weather in Rome?")
        assert message["error"]
        assert message["metadata"]["state"] == "failed"
        assert message["metadata"]["error_code"] == words
        assert message["parts"][1]["state"] == "output-available"

    def test_show_errors_of_functions(
        self, api: APIClient, conversation: Conversation, creatify_stub: Stub
    ) -> None:
        wrong = [{"name": "get_weather", "args": {}}, {"name": "get_time", "args": {}}]
        creatify_stub.answer([Answer(function_calls=wrong), "Sorry."])
        message = ui(api, conversation, "Weather?")
        texts = [part["errorText"] for part in message["parts"] if "errorText" in part]
        assert texts == ["RequestError: city: Missing required argument", "No such function."]

    def test_are_refused_as_any_message_is(
        self, api: APIClient, conversation: Conversation, creatify_stub: Stub
    ) -> None:
        path = f"/say/{conversation.pk}/?format=ui-message-stream"
        response = api.post(path, {"messages": [{"role": "user", "parts": []}]}, format="json")
        assert response.status_code == 400
        assert reader_slots.count() == 0

    def test_wait_for_a_step_whose_process_died(
        self, api: APIClient, conversation: Conversation, creatify_stub: Stub
    ) -> None:
        creatify_stub.answer("Clear.")
        say(api, conversation, {"content": "Weather?"})
        run = Run.objects.get()
        Run.objects.update(state="running", due_at=clock.now())

        def break_off_first(generation_id: Any, *, after: Position) -> Iterator[Any]:
            if run.state == "done":
                run.state = "running"
                lost = make_generation(mode=Mode.STREAM, status=Status.RUNNING)
                yield broken_off(lost, after)
                return
            yield from follow(generation_id, after=after)
            Run.objects.update(state="done", due_at=None)

        with patch("creatify_textgen.rest.streaming.runs.follow", break_off_first):
            response = resumed(api, conversation)
            message = message_of(read_parts(b"".join(response.streaming_content)))
        assert message["error"] == ""
        assert message["parts"] == [{"type": "step-start"}, {"type": "text", "text": "Clear."}]

    def test_show_a_result_without_fields_at_once(
        self, api: APIClient, conversation: Conversation, creatify_stub: Stub
    ) -> None:
        noted = {"name": "note", "args": {"text": "Ann"}}
        creatify_stub.answer([Answer(function_calls=[noted, *MAIL.function_calls])])
        message = ui(api, conversation, "Note Ann, then mail her.")
        first, second = message["parts"][1:]
        assert (first["state"], first.get("output")) == ("output-available", {})
        assert second["state"] == "input-available"

    @pytest.mark.parametrize("failures", [1, 9])
    def test_wait_for_a_database_that_does_not_answer(
        self, api: APIClient, conversation: Conversation, creatify_stub: Stub, failures: int
    ) -> None:
        creatify_stub.answer("Clear.")
        faults = [OperationalError("away")] * failures
        reads = chain(repeat(DEFAULT, 1), faults, repeat(DEFAULT))
        with (
            patch.object(runs, "read_progress", side_effect=reads, wraps=runs.read_progress),
            patch("creatify_textgen.streams.follow.ROW_PAUSES", (0, 0)),
        ):
            message = ui(api, conversation, "Weather?")
        assert message["parts"][-1] == {"type": "text", "text": "Clear."}
        assert message["error"] == ("" if failures == 1 else runs.BROKEN_OFF)

    def test_close_a_text_that_broke_off_if_the_run_is_stopped(
        self, api: APIClient, conversation: Conversation, creatify_stub: Stub
    ) -> None:
        creatify_stub.answer("Clear.")
        say(api, conversation, {"content": "Weather?"})
        Run.objects.update(state="running", due_at=clock.now())

        def follow_a_text(generation_id: Any, *, after: Position) -> Iterator[Any]:
            frames = [frame for batch in follow(generation_id, after=after) for frame in batch]
            yield [frame for frame in frames if not frame.event]
            Run.objects.update(state="stopped", due_at=None)

        with patch.object(runs, "follow", follow_a_text):
            body = b"".join(resumed(api, conversation).streaming_content)
        assert read_parts(body)[-1] == {"type": "abort"}
        assert message_of(read_parts(body))["parts"][-1] == {"type": "text", "text": "Clear."}

    def test_end_with_a_step_that_was_deleted(
        self, api: APIClient, conversation: Conversation, creatify_stub: Stub
    ) -> None:
        creatify_stub.answer("Clear.")
        say(api, conversation, {"content": "Weather?"})
        run = Run.objects.get()
        Run.objects.update(state="running", due_at=clock.now())
        response = resumed(api, conversation)
        services.delete(run.generation)
        [error] = read_parts(b"".join(response.streaming_content))[-1:]
        assert error == {"type": "error", "errorText": "content_removed"}


@pytest.mark.django_db(transaction=True)
def test_both_kinds_of_server_send_the_same(
    api: APIClient, conversation: Conversation, creatify_stub: Stub
) -> None:
    creatify_stub.answer([ROME, "Clear.", "Bye."])
    for text in ("Weather in Rome?", "Thanks."):
        say(api, conversation, {"content": text})

    async def read(run_id: UUID) -> bytes:
        reader = runs.AsyncRunReader(runs.RunReading(run_id), reader_slots.take(1))
        return b"".join([piece async for piece in reader])

    for run in Run.objects.all():
        here = runs.SyncRunReader(runs.RunReading(run.pk), reader_slots.take(1))
        body = asyncio.run(read(run.pk))
        assert body == b"".join(here)
        assert message_of(read_parts(body))["parts"][-1]["text"] == run.text


class TestDocument:
    def test_draws_no_complaint(self, settings: Any) -> None:
        settings.REST_FRAMEWORK = {"DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema"}
        GENERATOR_STATS.reset()
        document = SchemaGenerator().get_schema(request=None, public=True)
        validate_schema(document)
        assert not GENERATOR_STATS
        assert "202" in document["paths"]["/say/{conversation_id}/"]["post"]["responses"]


class TestRefusal:
    @pytest.mark.parametrize(
        ("body", "field"),
        [({}, "content"), ([], ""), ({"content": 3}, "content"), ({"content": "x", "a": 1}, "a")],
    )
    def test_names_what_is_wrong(
        self, api: APIClient, conversation: Conversation, body: Any, field: str
    ) -> None:
        response = say(api, conversation, body)
        assert (response.status_code, list(response.json()["errors"])) == (400, [field])
        assert not Run.objects.exists()

    def test_of_others(self, api: APIClient) -> None:
        other = Conversation.start(owner=User.objects.create_user("other"))
        assert say(api, other, {"content": "Hello"}).status_code == 404

    def test_of_those_who_may_not_spend(
        self, api: APIClient, conversation: Conversation, settings: Any
    ) -> None:
        settings.CREATIFY_TEXTGEN = {"CREATE_PERMISSION": "creatify_textgen.add_generation"}
        assert say(api, conversation, {"content": "Hello"}).status_code == 403
