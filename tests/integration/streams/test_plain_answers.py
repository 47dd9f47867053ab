"""A stream's POST that is answered with plain JSON, or with nothing that is a stream."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest

from creatify_textgen import enqueue, services
from creatify_textgen.models import Generation
from creatify_textgen.states import Status
from tests.factories import let_time_pass
from tests.integration.remote.server import Connection, ScriptedServer, serving

pytestmark = pytest.mark.django_db(transaction=True)

REMOTE_ID = "0b3e6c62-7f0d-4a43-9d0f-3f1c5a0d7e11"
PROMPT = "Hello"
GENERATION: dict[str, Any] = {
    "id": REMOTE_ID,
    "status": "done",
    "model_name": "gemini-3-flash-preview",
    "messages": [{"role": "user", "content": PROMPT}],
    "response_text": "one two",
    "response_function_calls": [],
    "failed_reason": "",
    "credits_used": 0.0005,
}
CHUNK = {"candidates": [{"content": {"role": "model", "parts": [{"text": "one two"}]}}]}
LAST = {
    "candidates": [{"content": {"role": "model", "parts": []}, "finishReason": "STOP"}],
    "creatify": {"id": REMOTE_ID, "credits_used": 0.0005},
}

Pump = Callable[..., Generation]


@pytest.fixture
def pump(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pump]:
    """Return what streams from a server that answers the POST so, and every GET with `found`."""
    monkeypatch.setattr(enqueue, "stream", lambda generation_id: None)
    answers: dict[str, Any] = {}

    def answer(connection: Connection) -> None:
        is_post = server.requests[-1].line.startswith("POST")
        if not is_post:
            connection.answer(200, json.dumps(answers["found"]))
        elif answers["cut_after"]:
            connection.send(f"HTTP/1.1 200 OK\r\nContent-Length: {len(answers['body'])}\r\n\r\n")
            connection.send(answers["body"][: answers["cut_after"]])
            connection.end()
        else:
            connection.answer(200, answers["body"], **answers["headers"])

    def pump(body: Any, *, found: Any = None, cut_after: int = 0, **headers: str) -> Generation:
        text = body if isinstance(body, str) else json.dumps(body, indent=1)
        answers.update(body=text, found=found, cut_after=cut_after, headers=headers)
        generation = services.begin_stream(PROMPT)
        services.pump_stream(generation.pk)
        if found is not None:
            let_time_pass(generation.pk)
            services.sweep()
        assert posts(server) == 1
        return Generation.objects.select_related("content").get(pk=generation.pk)

    with serving(answer) as server:
        account = {"API_ID": "i", "API_KEY": "k", "BASE_URL": server.url}
        settings.CREATIFY_TEXTGEN = {"ACCOUNTS": {"default": account}}
        yield pump


def posts(server: ScriptedServer) -> int:
    return sum(request.line.startswith("POST") for request in server.requests)


class TestGeneration:
    @pytest.mark.parametrize("kind", ["application/json", "text/plain", "text/event-stream"])
    def test_that_is_done_is_the_answer(self, pump: Pump, kind: str) -> None:
        row = pump(GENERATION, Content_Type=kind)
        assert (row.status, row.remote_id) == (Status.DONE, REMOTE_ID)
        assert row.credits_used == Decimal("0.0005")
        assert row.content.response_text == "one two"

    def test_may_have_a_long_text_and_the_media_of_the_request(self, pump: Pump) -> None:
        text = "wort " * 100_000
        data = {"type": "image", "mime_type": "image/png", "data": "QUJD" * 1024 * 1024}
        messages = [{"role": "user", "content": [data]}]
        row = pump({**GENERATION, "messages": messages, "response_text": text})
        assert (row.status, row.remote_id) == (Status.DONE, REMOTE_ID)
        assert row.content.response_text == text

    def test_may_call_a_function(self, pump: Pump) -> None:
        call = {"name": "f", "args": {"b": 1, "a": 2}, "id": "c1", "thought_signature": "c2ln"}
        row = pump({**GENERATION, "response_text": "", "response_function_calls": [call]})
        assert (row.status, row.remote_id) == (Status.DONE, REMOTE_ID)
        assert row.content.response_function_calls == [call]

    def test_that_failed_fails_the_row_at_its_cost(self, pump: Pump) -> None:
        failed = {"status": "failed", "response_text": "", "failed_reason": "Out of credits."}
        row = pump({**GENERATION, **failed, "credits_used": 0.0001})
        assert (row.status, row.remote_id) == (Status.FAILED, REMOTE_ID)
        assert (row.error_code, row.credits_used) == ("insufficient_credits", Decimal("0.0001"))
        assert row.content.failed_reason == "Out of credits."

    @pytest.mark.parametrize("status", ["pending", "running", "thinking"])
    def test_that_is_not_finished_is_polled_by_its_id(self, pump: Pump, status: str) -> None:
        open_one = {**GENERATION, "status": status, "response_text": "", "credits_used": 0}
        row = pump(open_one, found=GENERATION)
        assert (row.status, row.remote_id) == (Status.DONE, REMOTE_ID)
        assert (row.credits_used, row.partial) == (Decimal("0.0005"), False)
        assert row.content.response_text == "one two"

    def test_that_is_cut_off_is_polled_by_its_id(self, pump: Pump) -> None:
        row = pump(GENERATION, found=GENERATION, cut_after=100)
        assert (row.status, row.remote_id) == (Status.DONE, REMOTE_ID)
        assert row.content.response_text == "one two"

    def test_that_asks_something_else_is_not_taken(self, pump: Pump) -> None:
        other = {**GENERATION, "messages": [{"role": "user", "content": "Other"}]}
        row = pump(GENERATION, found=other, cut_after=100)
        assert (row.status, row.remote_id) == (Status.EXPIRED, None)
        assert row.unverified_remote_id == REMOTE_ID


class TestChunks:
    @pytest.mark.parametrize(
        "body", [[CHUNK, LAST], {**CHUNK, **LAST}, [LAST]], ids=["list", "one", "last"]
    )
    def test_without_events_are_read(self, pump: Pump, body: Any) -> None:
        row = pump(body)
        assert (row.status, row.remote_id) == (Status.DONE, REMOTE_ID)
        assert row.credits_used == Decimal("0.0005")

    def test_without_events_are_the_text(self, pump: Pump) -> None:
        assert pump([CHUNK, LAST]).content.response_text == "one two"


class TestPlace:
    @pytest.mark.parametrize(
        "body", ["", "<html>", {"detail": "accepted"}], ids=["empty", "html", "json"]
    )
    def test_in_the_head_is_asked(self, pump: Pump, body: Any) -> None:
        place = f"/sse/text_generator/{REMOTE_ID}/"
        row = pump(body, found=GENERATION, Location=place)
        assert (row.status, row.remote_id) == (Status.DONE, REMOTE_ID)
        assert row.content.response_text == "one two"


class TestNoStream:
    @pytest.mark.parametrize(
        "body",
        ["", " \n", "<html>Hello</html>", {"detail": "x"}],
        ids=["empty", "blank", "html", "json"],
    )
    def test_leaves_the_row_to_the_search_in_the_list(self, pump: Pump, body: Any) -> None:
        row = pump(body)
        assert (row.status, row.remote_id, row.credits_used) == (Status.UNCONFIRMED, None, None)
        assert "may have been charged" in row.content.failed_reason

    @pytest.mark.parametrize("after", ["", "\n\n", "\r\n\r\ndata: x\r\n\r\n"], ids=repr)
    def test_but_an_error_fails_the_row(self, pump: Pump, after: str) -> None:
        row = pump('{"error": {"code": 503, "status": "UNAVAILABLE", "message": "x"}}' + after)
        assert (row.status, row.error_code) == (Status.FAILED, "remote_unavailable")
        assert row.credits_used is None

    def test_but_an_error_about_an_accepted_one_has_it_asked(self, pump: Pump) -> None:
        row = pump({"error": "late", "generation": {**GENERATION, "status": "running"}})
        assert (row.status, row.unverified_remote_id) == (Status.UNCONFIRMED, REMOTE_ID)
