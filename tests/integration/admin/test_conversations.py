"""Conversations in the admin: read only, and what was said only with permission."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from creatify_textgen.chat import Conversation
from creatify_textgen.testing import Stub

from .conftest import OVERRIDE, SCRIPT

LIST = "/admin/creatify_textgen/conversation/"
SECRETS = ("A title", "Be brief.", "get_weather", "order")


@pytest.fixture
def conversation(db: None, creatify_stub: Stub) -> Conversation:
    conversation = Conversation.start(
        owner=User.objects.create_user("owner"),
        title="A title",
        system_instruction="Be brief.",
        tools=[{"name": "get_weather"}],
        metadata={"order": 3},
    )
    conversation.say("Hello")
    return conversation


def read(client: Client, path: str) -> str:
    response = client.get(path)
    assert response.status_code == 200
    return response.content.decode()


class TestPages:
    def test_show_all_to_those_who_may_read(
        self, conversation: Conversation, staff_with: Callable[..., Client]
    ) -> None:
        client = staff_with("view_conversation", "view_generation", "view_content")
        page = read(client, f"{LIST}{conversation.pk}/change/")
        assert all(secret in page for secret in SECRETS)
        generation = conversation.turns.get().generation
        assert f"/generation/{generation.pk}/change/" in page
        assert "A title" in read(client, LIST)

    def test_show_no_content_without_permission(
        self, conversation: Conversation, staff_with: Callable[..., Client]
    ) -> None:
        client = staff_with("view_conversation")
        pages = read(client, LIST) + read(client, f"{LIST}{conversation.pk}/change/")
        assert str(conversation.pk) in pages
        assert not [secret for secret in SECRETS if secret in pages]
        assert str(conversation.turns.get().generation_id) not in pages

    @pytest.mark.parametrize(
        "query", ["?title__startswith=A", "?system_instruction__contains=B", "?q=title"]
    )
    def test_answer_no_question_about_content(
        self, conversation: Conversation, staff_with: Callable[..., Client], query: str
    ) -> None:
        response = staff_with("view_conversation").get(LIST + query)
        found = str(conversation.pk) in response.content.decode()
        assert response.status_code in (302, 400) or not found

    def test_count_turns_without_reading_those_of_other_pages(
        self, conversation: Conversation, staff_with: Callable[..., Client]
    ) -> None:
        Conversation.start(title="Silent")
        client = staff_with("view_conversation")
        with CaptureQueriesContext(connection) as queries:
            response = client.get(LIST)
        rows = response.context["cl"].result_list
        assert {row.title: row.turns_total for row in rows} == {"A title": 1, "Silent": 0}
        statements = [one["sql"] for one in queries if "creatify_textgen_turn" in one["sql"]]
        assert len(statements) == 1
        assert "JOIN" not in statements[0]

    def test_find_a_conversation_by_its_id(
        self, conversation: Conversation, staff_with: Callable[..., Client]
    ) -> None:
        Conversation.start()
        page = read(staff_with("view_conversation"), f"{LIST}?q={conversation.pk}")
        assert "1 conversation" in page

    def test_are_closed_without_permission(
        self, conversation: Conversation, staff_with: Callable[..., Client]
    ) -> None:
        assert staff_with("view_generation").get(LIST).status_code == 403

    @pytest.mark.parametrize("page", ["add/", "{}/delete/"])
    def test_change_nothing(
        self, conversation: Conversation, staff_with: Callable[..., Client], page: str
    ) -> None:
        client = staff_with("view_conversation", "add_conversation", "delete_conversation")
        assert client.post(LIST + page.format(conversation.pk)).status_code == 403

    def test_escape_what_they_show(
        self, conversation: Conversation, staff_with: Callable[..., Client]
    ) -> None:
        text = f"{SCRIPT}{OVERRIDE}"
        Conversation.objects.update(title=text, system_instruction=text, tools=[text])
        client = staff_with("view_conversation", "view_generation", "view_content")
        pages = read(client, LIST) + read(client, f"{LIST}{conversation.pk}/change/")
        assert SCRIPT not in pages
        assert OVERRIDE[0] not in pages
