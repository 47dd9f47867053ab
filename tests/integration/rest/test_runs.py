"""runs/: what the owner of a run may see and decide."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from rest_framework.test import APIClient

from creatify_textgen import chat
from creatify_textgen.chat import Run
from creatify_textgen.rest.runs import CallSerializer, RunSerializer
from creatify_textgen.testing import Answer, Stub

URL = "/textgen/runs/"
CALLS = [{"name": "send_mail", "args": {"to": "ann"}}]
log: list[str] = []


@chat.tool(needs_approval=True)
def send_mail(to: str) -> str:
    """Send a mail."""
    log.append(to)
    return "sent"


@pytest.fixture
def run(owner: User, creatify_stub: Stub) -> Run:
    """Return a run that waits for the owner's approval."""
    log.clear()
    creatify_stub.answer([Answer(function_calls=CALLS), "Sent."])
    return chat.run("Mail Ann.", tools=[send_mail], owner=owner, metadata={"order": 3})


def path_of(run: Run, verb: str = "") -> str:
    call = f"calls/{run.calls[0].pk}/" if verb in ("approve", "reject") else ""
    return f"{URL}{run.pk}/{call}{verb}{'/' if verb else ''}"


class TestRead:
    def test_shows_what_waits(self, api: APIClient, run: Run) -> None:
        body = api.get(path_of(run)).json()
        assert list(body) == list(RunSerializer().fields)
        assert (body["state"], body["text"], body["credits_used"]) == ("waiting", "", "0.0005")
        [call] = body["calls"]
        assert list(call) == list(CallSerializer().fields)
        assert (call["name"], call["args"], call["state"]) == (
            "send_mail",
            {"to": "ann"},
            "waiting",
        )
        assert body["generations"] == [str(run.generation.pk)]

    def test_lists_ones_own(self, api: APIClient, run: Run, creatify_stub: Stub) -> None:
        creatify_stub.answer("Hello.")
        chat.run("Hello", tools=[])
        assert [one["id"] for one in api.get(URL).json()["results"]] == [str(run.pk)]


class TestDecide:
    def test_approves(self, api: APIClient, run: Run, owner: User) -> None:
        body = api.post(path_of(run, "approve")).json()
        assert (body["state"], body["text"], log) == ("done", "Sent.", ["ann"])
        assert run.calls[0].decided_by == owner

    def test_rejects_with_a_reason(self, api: APIClient, run: Run, creatify_stub: Stub) -> None:
        body = api.post(path_of(run, "reject"), {"reason": "Not Ann."}, format="json").json()
        assert (body["state"], log) == ("done", [])
        response = creatify_stub.asked[1].messages[-1]["function_response"]["response"]
        assert response == {"error": "A person refused this call. Not Ann."}

    @pytest.mark.parametrize("verb", ["approve", "reject"])
    def test_answers_409_to_a_second_decision(self, api: APIClient, run: Run, verb: str) -> None:
        api.post(path_of(run, "approve"))
        response = api.post(path_of(run, verb), {}, format="json")
        assert response.status_code == 409
        assert response.json()["code"] == "not_waiting"

    @pytest.mark.parametrize("body", [{"reason": 3}, {"reason": "x" * 1001}, {"why": ""}, []])
    def test_names_what_is_wrong(self, api: APIClient, run: Run, body: Any) -> None:
        response = api.post(path_of(run, "reject"), body, format="json")
        assert response.status_code == 400
        assert run.calls[0].state == "waiting"

    def test_of_a_call_of_another_run_is_404(
        self, api: APIClient, run: Run, owner: User, creatify_stub: Stub
    ) -> None:
        creatify_stub.answer("Hello.")
        other = chat.run("Hello", tools=[], owner=owner)
        path = path_of(run, "approve").replace(str(run.pk), str(other.pk))
        assert api.post(path).status_code == 404
        assert log == []


class TestStop:
    def test_ends_the_run(self, api: APIClient, run: Run) -> None:
        assert api.post(path_of(run, "stop")).json()["state"] == "stopped"
        assert api.post(path_of(run, "stop")).status_code == 409
        assert api.post(path_of(run, "approve")).status_code == 409
        assert log == []


class TestOthers:
    @pytest.mark.parametrize("verb", ["", "stop", "approve", "reject"])
    def test_get_404(self, strangers_api: APIClient, run: Run, verb: str) -> None:
        path = path_of(run, verb)
        response = strangers_api.post(path) if verb else strangers_api.get(path)
        assert response.status_code == 404
        run.refresh_from_db()
        assert (run.state, log) == ("waiting", [])
