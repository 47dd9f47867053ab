"""Runs in the admin: read, and decided about by those who may read and operate."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from creatify_textgen import chat
from creatify_textgen.chat import Run
from creatify_textgen.testing import Answer, Stub

from .conftest import OVERRIDE, SCRIPT

RUNS, CALLS = "/admin/creatify_textgen/run/", "/admin/creatify_textgen/toolcall/"
OPERATOR = ("view_run", "view_toolcall", "view_generation", "view_content", "operate_generation")
log: list[str] = []


@chat.tool(needs_approval=True)
def send_mail(to: str) -> str:
    """Send a mail."""
    log.append(to)
    return "sent"


@pytest.fixture
def run(db: None, creatify_stub: Stub) -> Run:
    """Return a run that waits for approval."""
    log.clear()
    call = {"name": "send_mail", "args": {"to": "ann"}}
    creatify_stub.answer([Answer(function_calls=[call]), "Sent."])
    return chat.run("Mail Ann.", tools=[send_mail], owner=User.objects.create_user("owner"))


def read(client: Client, path: str) -> str:
    response = client.get(path)
    assert response.status_code == 200
    return response.content.decode()


def decide(client: Client, run: Run, action: str) -> str:
    body = {"action": action, "_selected_action": [str(run.calls[0].pk)]}
    return client.post(CALLS, body, follow=True).content.decode()


class TestPages:
    def test_show_runs_and_calls(self, run: Run, staff_with: Callable[..., Client]) -> None:
        client = staff_with(*OPERATOR)
        assert str(run.pk) in read(client, RUNS)
        assert f"/generation/{run.generation.pk}/" in read(client, f"{RUNS}{run.pk}/change/")
        assert "ann" in read(client, CALLS)
        assert "ann" in read(client, f"{CALLS}{run.calls[0].pk}/change/")

    def test_read_no_conversations_for_a_list_of_calls(
        self, run: Run, staff_with: Callable[..., Client]
    ) -> None:
        client = staff_with(*OPERATOR)
        with CaptureQueriesContext(connection) as queries:
            assert "ann" in read(client, CALLS)
        contents = [one["sql"] for one in queries if "generationcontent" in one["sql"]]
        assert len(contents) == 1
        assert '"messages"' not in contents[0]

    def test_show_no_arguments_without_permission(
        self, run: Run, staff_with: Callable[..., Client]
    ) -> None:
        client = staff_with("view_toolcall", "view_run", "operate_generation", "view_generation")
        pages = read(client, CALLS) + read(client, f"{CALLS}{run.calls[0].pk}/change/")
        assert "send_mail" in pages
        assert "ann" not in pages

    def test_escape_what_they_show(self, run: Run, staff_with: Callable[..., Client]) -> None:
        content = run.generation.content
        content.response_function_calls = [{"name": SCRIPT, "args": {SCRIPT: OVERRIDE}}]
        content.save()
        run.calls.update(name=SCRIPT)
        client = staff_with(*OPERATOR)
        pages = read(client, CALLS) + read(client, f"{CALLS}{run.calls[0].pk}/change/")
        assert SCRIPT not in pages
        assert OVERRIDE[0] not in pages

    @pytest.mark.parametrize("page", [RUNS, CALLS])
    def test_are_closed_without_permission(
        self, run: Run, staff_with: Callable[..., Client], page: str
    ) -> None:
        assert staff_with("view_generation").get(page).status_code == 403


class TestDecisions:
    @pytest.mark.parametrize(("action", "sent"), [("approve", ["ann"]), ("reject", [])])
    def test_let_the_run_go_on(
        self, run: Run, staff_with: Callable[..., Client], action: str, sent: list[str]
    ) -> None:
        page = decide(staff_with(*OPERATOR), run, action)
        run.refresh_from_db()
        assert "1 call was decided." in page
        assert (run.state, log) == ("done", sent)
        assert run.calls[0].decided_by is not None

    def test_are_made_once(self, run: Run, staff_with: Callable[..., Client]) -> None:
        client = staff_with(*OPERATOR)
        decide(client, run, "approve")
        assert "does not wait for approval" in decide(client, run, "reject")
        assert log == ["ann"]

    @pytest.mark.parametrize("lacking", ["view_content", "operate_generation"])
    def test_need_both_permissions(
        self, run: Run, staff_with: Callable[..., Client], lacking: str
    ) -> None:
        decide(staff_with(*(name for name in OPERATOR if name != lacking)), run, "approve")
        run.refresh_from_db()
        assert (run.state, log) == ("waiting", [])
