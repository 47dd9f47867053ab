"""Refresh, retry and cancel, from the list and from the page of one generation."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.urls import resolve

from creatify_textgen import services
from creatify_textgen.emulator import Emulator
from creatify_textgen.exceptions import RequestError, TextgenError
from creatify_textgen.models import Generation
from tests import factories

from .conftest import EVERYTHING, HISTORY, make_done, page_of

LIST_ACTIONS = ("refresh_selected", "retry_selected", "cancel_selected")


def act(client: Client, action: str, *rows: Generation, **more: str) -> Any:
    selected = [str(row.pk) for row in rows]
    form = {"action": action, "_selected_action": selected, **more}
    return client.post(HISTORY, form, follow=True)


def messages_of(response: Any) -> list[str]:
    return [str(message) for message in response.context["messages"]]


def ticket_in(page: Any) -> str:
    found = re.search(r'name="ticket" value="([^"]+)"', page.text)
    assert found
    return found[1]


class TestCancel:
    def test_reports_each_row(self, operator: Client) -> None:
        queued, done = factories.make_generation(), make_done()
        messages = messages_of(act(operator, "cancel_selected", queued, done))
        queued.refresh_from_db()
        assert queued.status == "cancelled"
        assert any("was cancelled" in text and str(queued.pk) in text for text in messages)
        assert any("only a queued one" in text and str(done.pk) in text for text in messages)

    def test_is_a_button_too(self, operator: Client) -> None:
        queued = factories.make_generation()
        response = operator.post(page_of(queued, action="cancel"), follow=True)
        assert response.redirect_chain == [(page_of(queued), 302)]
        assert "was cancelled" in messages_of(response)[0]

    def test_is_noted_with_the_name_of_who_did_it(self, operator: Client) -> None:
        queued = factories.make_generation()
        operator.post(page_of(queued, action="cancel"))
        entry = LogEntry.objects.get(object_id=str(queued.pk))
        assert "was cancelled" in entry.get_change_message()


class TestRefresh:
    @pytest.mark.django_db(transaction=True)
    def test_says_that_the_remote_is_away(self, operator: Client) -> None:
        row = factories.make_generation(status="pending", remote_id=str(uuid.uuid4()))
        response = operator.post(page_of(row, action="refresh"), follow=True)
        assert response.status_code == 200
        assert messages_of(response)[0].startswith(f'<a href="{page_of(row)}">')

    @pytest.mark.django_db(transaction=True)
    def test_shows_what_the_remote_says(self, operator: Client, remote: Emulator) -> None:
        generation = services.submit("Hello")
        services.send_generation(generation.pk)
        generation.refresh_from_db()
        remote.finish(generation.remote_id)
        response = act(operator, "refresh_selected", generation)
        assert "is now done" in messages_of(response)[0]

    def test_begins_no_row_after_its_time(
        self, operator: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("creatify_textgen.admin.operations.TIME_LIMIT_SECONDS", -1)
        assert "The time was up" in messages_of(act(operator, "refresh_selected", make_done()))[0]

    def test_takes_no_more_rows_than_one_can_wait_for(
        self, operator: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("creatify_textgen.admin.operations.MOST_ROWS", 1)
        response = act(operator, "refresh_selected", make_done(), make_done())
        assert messages_of(response) == ["Nothing was done: select at most 1 generations."]


class TestRetry:
    def test_asks_first(self, operator: Client) -> None:
        rows = [make_done(), make_done(credits_used=None)]
        page = act(operator, "retry_selected", *rows)
        assert "each spends credits" in page.text
        assert "2 new generations" in page.text
        assert "The cost of 1 original is unknown" in page.text
        assert Generation.objects.count() == 2

    def test_warns_of_paying_twice(self, operator: Client) -> None:
        row = factories.make_generation(status="pending")
        page = operator.get(page_of(row, action="retry"))
        assert "could be paid for twice" in page.text

    def test_makes_one_of_each_after_the_confirmation(self, operator: Client) -> None:
        rows = [make_done(), make_done()]
        ticket = ticket_in(act(operator, "retry_selected", *rows))
        act(operator, "retry_selected", *rows, ticket=ticket)
        assert Generation.objects.filter(retry_of__in=rows).count() == 2

    def test_acts_once_on_a_confirmation(self, operator: Client) -> None:
        row = make_done()
        ticket = ticket_in(operator.get(page_of(row, action="retry")))
        for _press in range(2):
            response = operator.post(page_of(row, action="retry"), {"ticket": ticket}, follow=True)
        assert row.retries.count() == 1
        assert str(row.retries.get().pk) in messages_of(response)[0]

    def test_says_how_often_it_was_done_before(self, operator: Client) -> None:
        row = make_done()
        make_done(retry_of=row)
        assert "retried 1 time before" in operator.get(page_of(row, action="retry")).text

    @pytest.mark.parametrize(
        "error",
        [
            RequestError("The file of media 1 is gone.", code="media_missing"),
            TextgenError("The media storage failed.", code="media_storage_failed"),
        ],
        ids=lambda error: error.code,
    )
    def test_shows_what_was_wrong(
        self, operator: Client, monkeypatch: pytest.MonkeyPatch, error: TextgenError
    ) -> None:
        def refuse(generation: Generation, **_: object) -> Generation:
            raise error

        monkeypatch.setattr(services, "retry", refuse)
        row = make_done()
        response = operator.post(page_of(row, action="retry"), {"ticket": "x1"}, follow=True)
        assert str(error) in messages_of(response)[0]


class TestPermission:
    @pytest.mark.parametrize("missing", ["view_generation", "operate_generation"])
    @pytest.mark.parametrize("verb", ["refresh", "retry", "cancel"])
    def test_is_needed_for_buttons(
        self, staff_with: Callable[..., Client], verb: str, missing: str
    ) -> None:
        row = factories.make_generation()
        client = staff_with(*set(EVERYTHING) - {missing})
        response = client.post(page_of(row, action=verb), {"ticket": "x2"})
        row.refresh_from_db()
        assert (response.status_code, row.status) == (403, "queued")

    @pytest.mark.parametrize("action", LIST_ACTIONS)
    def test_is_needed_for_list_actions(
        self, staff_with: Callable[..., Client], action: str
    ) -> None:
        row = factories.make_generation()
        client = staff_with("view_generation", "view_content")
        act(client, action, row, ticket="x3")
        row.refresh_from_db()
        assert (row.status, Generation.objects.count()) == ("queued", 1)

    def test_is_all_a_superusers(self, admin_client: Client) -> None:
        row = factories.make_generation()
        admin_client.post(page_of(row, action="cancel"))
        row.refresh_from_db()
        assert row.status == "cancelled"

    def test_of_strangers_is_a_login(self, db: None) -> None:
        row = factories.make_generation()
        response = Client().post(page_of(row, action="cancel"))
        assert response.status_code == 302
        assert "/login/" in response["Location"]


class TestButton:
    @pytest.mark.parametrize("verb", ["refresh", "cancel"])
    def test_is_no_link(self, operator: Client, verb: str) -> None:
        row = factories.make_generation()
        assert operator.get(page_of(row, action=verb)).status_code == 405

    @pytest.mark.parametrize("verb", ["refresh", "retry", "cancel"])
    def test_wants_its_csrf_token(self, operator: Client, verb: str) -> None:
        row = factories.make_generation()
        careful = Client(enforce_csrf_checks=True)
        careful.cookies = operator.cookies
        assert careful.post(page_of(row, action=verb), {"ticket": "x4"}).status_code == 403

    @pytest.mark.parametrize("verb", ["refresh", "retry", "cancel"])
    def test_of_a_generation_that_is_gone_is_404(self, operator: Client, verb: str) -> None:
        row = Generation(pk=uuid.uuid4())
        assert operator.post(page_of(row, action=verb)).status_code == 404

    @pytest.mark.parametrize(
        "path", ["", f"{uuid.UUID(int=1)}/refresh/", f"{uuid.UUID(int=2)}/retry/"]
    )
    def test_holds_no_transaction_open_while_it_waits(self, path: str) -> None:
        view = resolve(f"{HISTORY}{path}").func
        assert "default" in getattr(view, "_non_atomic_requests", set())
