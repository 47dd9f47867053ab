"""conversations/: a conversation by HTTP, seen by its owner alone."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from rest_framework.test import APIClient

from creatify_textgen import chat, clock, services
from creatify_textgen.chat import Conversation, Turn
from creatify_textgen.models import Generation
from creatify_textgen.remote.chunks import text_chunk
from creatify_textgen.rest.conversations import ConversationSerializer, TurnSerializer
from creatify_textgen.streams.hub import get_hub
from creatify_textgen.streams.transcript import Transcript
from creatify_textgen.testing import Answer, Stub
from tests.factories import make_generation

A_MINUTE = timedelta(minutes=1)
URL = "/textgen/conversations/"


@chat.tool(needs_approval=True)
def send_mail() -> str:
    """Send a mail."""
    return "Sent"


@pytest.fixture
def conversation(owner: User) -> Conversation:
    return Conversation.start(owner=owner, title="Weather")


def path_of(conversation: Conversation, rest: str = "") -> str:
    return f"{URL}{conversation.pk}/{rest}"


def say(api: APIClient, conversation: Conversation, text: str = "Hello", **body: Any) -> Any:
    path = path_of(conversation, "messages/")
    return api.post(path, {"content": text, **body}, format="json")


class TestStart:
    def test_answers_201_and_where_it_is(self, api: APIClient, owner: User) -> None:
        response = api.post(URL, {"title": "Weather", "window_messages": 6}, format="json")
        assert response.status_code == 201
        assert Conversation.objects.get().owner == owner
        assert api.get(response["Location"]).json() == response.json()
        assert list(response.json()) == list(ConversationSerializer().fields)

    @pytest.mark.parametrize(
        ("body", "field"),
        [
            ({"titel": "Weather"}, "titel"),
            ({"title": None}, "title"),
            ({"window_tokens": "9"}, "window_tokens"),
            ({"tools": [{"name": "a b"}]}, "tools[0].function_declarations[0].name"),
            ({"owner": 1}, "owner"),
            ([], ""),
        ],
    )
    def test_names_what_is_wrong(self, api: APIClient, body: Any, field: str) -> None:
        response = api.post(URL, body, format="json")
        assert response.status_code == 400
        assert set(response.json()["errors"]) == {field}
        assert not Conversation.objects.exists()


class TestSay:
    def test_answers_202_with_the_turn(
        self, api: APIClient, conversation: Conversation, creatify_stub: Stub
    ) -> None:
        response = say(api, conversation)
        body = response.json()
        assert response.status_code == 202
        assert list(body) == list(TurnSerializer().fields)
        assert (body["number"], body["status"]) == (1, "done")
        assert body["messages"] == [{"role": "user", "content": "Hello"}]
        assert response["Location"] == f"/textgen/generations/{body['generation']}/"

    def test_waits_if_asked_to(
        self, api: APIClient, conversation: Conversation, creatify_stub: Stub
    ) -> None:
        response = say(api, conversation, sync=True)
        assert response.status_code == 201
        assert response.json()["mode"] == "sync"
        assert response.json()["response_text"] == "An answer of the stub."

    def test_answers_409_until_the_last_answer_is_there(
        self, api: APIClient, conversation: Conversation
    ) -> None:
        say(api, conversation)
        response = say(api, conversation, "And?")
        assert response.status_code == 409
        assert response.json()["code"] == "conversation_busy"
        assert Generation.objects.count() == 1

    def test_repeats_nothing_for_a_key(
        self, api: APIClient, conversation: Conversation, creatify_stub: Stub
    ) -> None:
        path = path_of(conversation, "messages/")
        answers = [
            api.post(path, {"content": text}, format="json", headers={"Idempotency-Key": "k"})
            for text in ("Hello", "Hello", "Other")
        ]
        assert answers[0].json() == answers[1].json()
        assert answers[2].status_code == 409
        creatify_stub.assert_asked(times=1)

    @pytest.mark.parametrize(
        ("body", "field"),
        [
            ({}, "content"),
            ({"content": 3}, "content"),
            ({"content": [{"type": "text", "text": 3}]}, "content[0].text"),
            ({"content": "Hello", "sync": 1}, "sync"),
            ({"content": "Hello", "model_name": "x"}, "model_name"),
            ({"content": "Hello", "config": {"temperature": 9}}, "config.temperature"),
        ],
    )
    @pytest.mark.parametrize("door", ["messages/", "messages/stream/"])
    def test_names_what_is_wrong(
        self, api: APIClient, conversation: Conversation, body: Any, field: str, door: str
    ) -> None:
        response = api.post(path_of(conversation, door), body, format="json")
        assert response.status_code == 400
        assert set(response.json()["errors"]) == {field}
        assert not Generation.objects.exists()

    @pytest.mark.parametrize("door", ["messages/", "messages/stream/"])
    def test_needs_the_permission_to_spend(
        self, api: APIClient, conversation: Conversation, settings: Any, door: str
    ) -> None:
        settings.CREATIFY_TEXTGEN = {"CREATE_PERMISSION": "creatify_textgen.add_generation"}
        response = api.post(path_of(conversation, door), {"content": "Hello"}, format="json")
        assert response.status_code == 403
        assert not Generation.objects.exists()


class TestStream:
    def test_streams_the_answer(
        self, api: APIClient, conversation: Conversation, creatify_stub: Stub
    ) -> None:
        creatify_stub.answer("Once upon a time.")
        path = path_of(conversation, "messages/stream/")
        response = api.post(path, {"content": "A tale"}, format="json")
        text = b"".join(response).decode()  # type: ignore[arg-type]
        assert response["Content-Type"] == "text/event-stream"
        assert "upon" in text
        assert "event: end" in text
        [turn] = api.get(path_of(conversation, "messages/")).json()["results"]
        assert turn["response_text"] == "Once upon a time."
        assert turn["generation"] == response["X-Generation-Id"]

    def test_resumes_for_a_key(
        self, api: APIClient, conversation: Conversation, creatify_stub: Stub
    ) -> None:
        path = path_of(conversation, "messages/stream/")
        headers = {"Idempotency-Key": "k"}
        first = api.post(path, {"content": "A tale"}, format="json", headers=headers)
        b"".join(first)  # type: ignore[arg-type]
        again = api.post(
            path, {"content": "A tale"}, format="json", headers={**headers, "Last-Event-ID": "end"}
        )
        assert again.status_code == 204
        creatify_stub.assert_asked(times=1)

    def test_has_nothing_to_resume_while_a_run_waits(
        self, api: APIClient, conversation: Conversation, creatify_stub: Stub
    ) -> None:
        creatify_stub.answer(Answer(function_calls=[{"name": "send_mail", "args": {}}]))
        run = chat.run("Mail.", tools=[send_mail], conversation=conversation, stream=True)
        assert run.state == "waiting"
        assert api.get(path_of(conversation, "messages/stream/")).status_code == 204

    @pytest.mark.parametrize(
        ("place", "text"),
        [
            ("", "Once upon a time."),
            ("1-4@{}", " upon a time."),
            ("1-4", " upon a time."),
            ("1-4@another", "Once upon a time."),
            ("end@another", "Once upon a time."),
        ],
        ids=["none", "its", "without a name", "of another step", "end of another step"],
    )
    def test_resumes_where_the_reader_of_this_generation_is(
        self, api: APIClient, conversation: Conversation, place: str, text: str
    ) -> None:
        """An EventSource sends the id of its last frame, whatever streams at its URL by now."""
        generation = say_streamed(conversation)
        transcript = Transcript()
        pieces = ("Once", " upon a time.")
        frames = [transcript.add(text_chunk(piece, is_thought=False)) for piece in pieces]
        get_hub().publish(str(generation.pk), frames)
        headers = {"Last-Event-ID": place.format(generation.pk)} if place else {}
        response = api.get(path_of(conversation, "messages/stream/"), headers=headers)
        sent = next(block for block in response if b"data:" in block).decode()
        response.close()
        assert "".join(re.findall(r'"text": "([^"]*)"', sent)) == text
        assert f"id: 2-17@{generation.pk}\n" in sent

    def test_answers_409_while_busy(self, api: APIClient, conversation: Conversation) -> None:
        say(api, conversation)
        path = path_of(conversation, "messages/stream/")
        assert api.post(path, {"content": "And?"}, format="json").status_code == 409


def say_streamed(conversation: Conversation) -> Generation:
    """Return the generation of a turn that a pump elsewhere streams."""
    generation = make_generation(
        owner=conversation.owner, mode="stream", status="running", due_at=clock.now() + A_MINUTE
    )
    Turn.objects.create(conversation=conversation, number=1, generation=generation)
    return generation


class TestRead:
    def test_lists_ones_own_latest_first(
        self, api: APIClient, owner: User, stranger: User, conversation: Conversation
    ) -> None:
        later = Conversation.start(owner=owner)
        Conversation.start(owner=stranger)
        say(api, conversation)
        listed = api.get(URL).json()["results"]
        assert [one["id"] for one in listed] == [str(conversation.pk), str(later.pk)]

    def test_pages_messages_both_ways(
        self, api: APIClient, conversation: Conversation, creatify_stub: Stub
    ) -> None:
        for _ in range(5):
            say(api, conversation)
        path = path_of(conversation, "messages/")
        for ordering, numbers in (("number", [1, 2, 3, 4, 5]), ("-number", [5, 4, 3, 2, 1])):
            page = api.get(path, {"ordering": ordering, "page_size": 2}).json()
            seen = page["results"]
            while page["next"]:
                page = api.get(page["next"]).json()
                seen += page["results"]
            assert [turn["number"] for turn in seen] == numbers

    @pytest.mark.parametrize("cursor", ["cD14", "cD0tMQ==", "cD05OTk5OTk5OTk5OTk5OTk="])
    def test_answers_404_to_a_cursor_of_nobody(
        self, api: APIClient, conversation: Conversation, cursor: str
    ) -> None:
        response = api.get(path_of(conversation, "messages/"), {"cursor": cursor})
        assert response.status_code == 404

    def test_shows_an_answer_that_was_erased_as_empty(
        self, api: APIClient, conversation: Conversation, creatify_stub: Stub
    ) -> None:
        say(api, conversation)
        generation = conversation.turns.get().generation
        generation.content.messages, generation.content.response_text = [], ""
        generation.content.save()
        [turn] = api.get(path_of(conversation, "messages/")).json()["results"]
        assert (turn["messages"], turn["response_text"]) == ([], "")


class TestChange:
    def test_sets_the_title(self, api: APIClient, conversation: Conversation) -> None:
        response = api.patch(path_of(conversation), {"title": "Rain"}, format="json")
        assert response.json()["title"] == "Rain"
        assert Conversation.objects.get().title == "Rain"

    @pytest.mark.parametrize("body", [{}, {"title": 3}, {"title": "x" * 201}, {"tools": []}])
    def test_refuses_anything_else(
        self, api: APIClient, conversation: Conversation, body: Any
    ) -> None:
        assert api.patch(path_of(conversation), body, format="json").status_code == 400
        assert Conversation.objects.get().title == "Weather"

    def test_forks(self, api: APIClient, conversation: Conversation, creatify_stub: Stub) -> None:
        say(api, conversation)
        say(api, conversation, "More")
        response = api.post(path_of(conversation, "fork/"), {"at": 1}, format="json")
        assert response.status_code == 201
        assert response.json()["forked_from"] == str(conversation.pk)
        [turn] = api.get(f"{response['Location']}messages/").json()["results"]
        assert turn["number"] == 1

    @pytest.mark.parametrize("at", [7, "1", True, 1.5, [1]])
    def test_refuses_to_fork_at_no_turn(
        self, api: APIClient, conversation: Conversation, creatify_stub: Stub, at: Any
    ) -> None:
        say(api, conversation)
        response = api.post(path_of(conversation, "fork/"), {"at": at}, format="json")
        assert response.status_code == 400
        assert set(response.json()["errors"]) == {"at"}


DOORS = [
    ("get", ""),
    ("patch", ""),
    ("delete", ""),
    ("get", "messages/"),
    ("post", "messages/"),
    ("post", "messages/stream/"),
    ("post", "fork/"),
]
BODIES = {"": {"title": "Mine"}, "fork/": {}}


class TestDelete:
    def test_takes_the_generations_along(
        self, api: APIClient, conversation: Conversation, creatify_stub: Stub
    ) -> None:
        say(api, conversation)
        assert api.delete(path_of(conversation)).status_code == 204
        assert api.get(path_of(conversation)).status_code == 404
        assert not Generation.objects.exists()

    def test_leaves_forks_what_they_need(
        self, api: APIClient, conversation: Conversation, creatify_stub: Stub
    ) -> None:
        say(api, conversation)
        fork = conversation.fork()
        say(api, conversation, "More")
        api.delete(path_of(conversation))
        assert len(fork.history()) == 2
        assert Generation.objects.count() == 1

    def test_waits_for_the_last_answer(self, api: APIClient, conversation: Conversation) -> None:
        say(api, conversation)
        response = api.delete(path_of(conversation))
        assert (response.status_code, response.json()["code"]) == (409, "conversation_busy")
        assert Conversation.objects.exists()


class TestOthers:
    @pytest.mark.parametrize(("method", "rest"), DOORS)
    def test_get_404_everywhere(
        self, strangers_api: APIClient, conversation: Conversation, method: str, rest: str
    ) -> None:
        body = None if method == "get" else json.dumps(BODIES.get(rest, {"content": "Hello"}))
        response = strangers_api.generic(
            method.upper(), path_of(conversation, rest), body or "", "application/json"
        )
        assert response.status_code == 404
        assert not Generation.objects.exists()

    def test_staff_get_404_too(
        self, staff_with: Callable[..., APIClient], conversation: Conversation
    ) -> None:
        client = staff_with("view_generation", "view_content", "view_conversation")
        assert client.get(path_of(conversation)).status_code == 404

    @pytest.mark.parametrize(("method", "rest"), DOORS)
    def test_visitors_get_403(self, conversation: Conversation, method: str, rest: str) -> None:
        response = APIClient().generic(method.upper(), path_of(conversation, rest), "{}")
        assert response.status_code in (401, 403)


class TestErased:
    def test_with_a_generation_goes_its_turn(
        self, api: APIClient, conversation: Conversation, creatify_stub: Stub
    ) -> None:
        say(api, conversation)
        services.refresh(conversation.turns.get().generation)
        Generation.objects.all().delete()
        assert api.get(path_of(conversation, "messages/")).json()["results"] == []
