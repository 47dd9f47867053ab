"""The guide's own requests, word for word, through the site's API over a socket."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from django.contrib.auth.models import User
from django.test import Client

from creatify_textgen.emulator import Emulator
from tests.bad_requests import PNG_TEXT
from tests.faults.processes import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

FIELDS = {
    "id",
    "status",
    "response_text",
    "response_function_calls",
    "failed_reason",
    "credits_used",
}
TAGLINE = """
"model_name": "gemini-2.5-flash",
"messages": [
{"role": "user", "content": "Write a short tagline for an AI video tool."}
],
"config": {
"temperature": 0.8,
"max_output_tokens": 256
}"""
WRITER = '"system_instruction": "You are a creative marketing copywriter."'
TOOLS = """
"tools": [
{
"function_declarations": [
{
"name": "get_weather",
"description": "Get the current weather for a given location.",
"parameters": {
"type": "object",
"properties": {
"location": {"type": "string", "description": "City name"}
},
"required": ["location"]
}
}
]
}
]"""
ASK = '{"role": "user", "content": "What is the weather in San Francisco?"}'
CALL = """{"role": "model", "function_call": {"name": "get_weather", "args":
{"location": "San Francisco"}}}"""
RESPONSE = """{"role": "user", "function_response": {"name": "get_weather", "response":
{"temperature": 62, "condition": "Foggy"}}}"""
WEATHER = f'"model_name": "gemini-2.5-flash", {TOOLS}'
AUTO = '"tool_config": {"function_calling_config": {"mode": "AUTO"}}'
IMAGE = f"""{{
"model_name": "gemini-2.5-flash",
"messages": [
{{
"role": "user",
"content": [
{{"type": "image", "data": "{PNG_TEXT}", "mime_type": "image/png"}},
{{"type": "text", "text": "Describe what you see in this image."}}
]
}}
]
}}"""
BODIES = {
    "async": f"{{{TAGLINE}, {WRITER}}}",
    "sync": f'{{{TAGLINE}, {WRITER}, "sync": true}}',
    "image": IMAGE,
    "function response": f'{{{WEATHER}, "messages": [{ASK}, {CALL}, {RESPONSE}], "sync": true}}',
}
FUNCTION_CALL = f'{{{WEATHER}, {AUTO}, "messages": [{ASK}], "sync": true}}'


class Visitor:
    """A client with its own session."""

    def __init__(self, origin: str, session: str) -> None:
        self._url = f"{origin}/textgen/generations/"
        self._http = requests.Session()
        self._http.cookies.set("sessionid", session)
        self._http.cookies.set("csrftoken", "c" * 32)
        self._http.headers["X-CSRFToken"] = "c" * 32

    def close(self) -> None:
        self._http.close()

    def finished(self, body: str) -> dict[str, Any]:
        """Post a body, and poll until the answer is final."""
        headers = {"Content-Type": "application/json"}
        response = self._http.post(self._url, data=body, headers=headers, timeout=30)
        assert response.status_code in {201, 202}, response.text
        created: dict[str, Any] = response.json()
        wait_until(lambda: self._read(created["id"])["status"] in {"done", "failed"})
        return self._read(created["id"])

    def streamed(self, body: str) -> str:
        headers = {"Content-Type": "application/json"}
        response = self._http.post(f"{self._url}stream/", data=body, headers=headers, timeout=30)
        assert response.status_code == 200, response.text
        return response.text

    def _read(self, key: str) -> dict[str, Any]:
        found: dict[str, Any] = self._http.get(f"{self._url}{key}/", timeout=30).json()
        return found


@pytest.fixture
def visitor(live_server: Any, remote: Emulator, host_worker: None) -> Iterator[Visitor]:
    client = Client()
    client.force_login(User.objects.create_user("reader", email="reader@example.com"))
    visitor = Visitor(live_server.url, client.cookies["sessionid"].value)
    yield visitor
    visitor.close()


class TestGuide:
    @pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
    def test_gives_the_text_and_what_it_cost(self, visitor: Visitor, body: str) -> None:
        generation = visitor.finished(body)
        assert set(generation) >= FIELDS
        assert generation["status"] == "done"
        assert generation["response_text"]
        assert generation["response_function_calls"] == []
        assert generation["failed_reason"] == ""
        assert float(generation["credits_used"]) > 0

    def test_gives_the_function_call(self, visitor: Visitor) -> None:
        generation = visitor.finished(FUNCTION_CALL)
        [call] = generation["response_function_calls"]
        assert (generation["status"], call["name"]) == ("done", "get_weather")
        assert "location" in call["args"]

    def test_is_sent_on_as_written(self, visitor: Visitor, remote: Emulator) -> None:
        visitor.finished(BODIES["sync"])
        [sent] = [request.body for request in remote.requests if request.method == "POST"]
        assert {**json.loads(BODIES["sync"]), **sent} == sent

    def test_streams_to_the_end(self, visitor: Visitor) -> None:
        frames = visitor.streamed(f"{{{TAGLINE}}}")
        assert "candidates" in frames
        assert "credits_used" in frames
        assert "event: end" in frames
