"""POST generations/: what is asked for becomes a row and an answer, or nothing at all."""

from __future__ import annotations

import base64
import json
import uuid
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from rest_framework.test import APIClient

from creatify_textgen.emulator import Emulator
from creatify_textgen.models import Generation
from creatify_textgen.rest.serializers import GenerationSerializer
from tests.bad_requests import PNG

from .conftest import URL

GUIDE = {
    "model_name": "gemini-2.5-flash",
    "messages": [{"role": "user", "content": "Write a short tagline for an AI video tool."}],
    "system_instruction": "You are a creative marketing copywriter.",
    "config": {"temperature": 0.8, "max_output_tokens": 256},
}


class TestAsynchronous:
    def test_answers_202_and_where_to_look(self, api: APIClient) -> None:
        response = api.post(URL, GUIDE, format="json")
        assert response.status_code == 202
        assert response["Location"] == f"{URL}{response.json()['id']}/"
        assert api.get(response["Location"]).json() == response.json()

    def test_has_the_remotes_names_and_ours(self, api: APIClient) -> None:
        body = api.post(URL, GUIDE, format="json").json()
        assert list(body) == list(GenerationSerializer().fields)
        assert {name: body[name] for name in GUIDE} == GUIDE
        assert body["status"] == "queued"
        assert body["mode"] == "async"
        assert body["credits_used"] is None
        assert body["response_text"] == ""
        assert body["response_function_calls"] == []
        assert body["remote_id"] is None

    def test_belongs_to_the_caller(self, api: APIClient, owner: User) -> None:
        api.post(URL, GUIDE, format="json")
        assert Generation.objects.get().owner == owner

    def test_needs_messages_alone(self, api: APIClient) -> None:
        response = api.post(URL, {"messages": GUIDE["messages"]}, format="json")
        assert response.json()["model_name"] == "gemini-3-flash-preview"

    def test_keeps_metadata(self, api: APIClient) -> None:
        body = {**GUIDE, "metadata": {"order": [1, {"a": None}]}}
        assert api.post(URL, body, format="json").json()["metadata"] == {"order": [1, {"a": None}]}

    def test_keeps_tools(self, api: APIClient) -> None:
        tools = [{"function_declarations": [{"name": "get_weather"}]}]
        choice = {"function_calling_config": {"mode": "ANY"}}
        body = {**GUIDE, "tools": tools, "tool_config": choice}
        answer = api.post(URL, body, format="json").json()
        assert answer["tools"][0]["function_declarations"][0]["name"] == "get_weather"
        assert answer["tool_config"] == choice

    def test_keeps_json_as_deep_as_it_may_be(self, api: APIClient) -> None:
        deep = json.loads('{"a":' * 24 + "1" + "}" * 24)
        messages = [
            *GUIDE["messages"],  # type: ignore[misc]
            {"role": "model", "function_call": {"name": "f", "args": deep}},
            {"role": "user", "function_response": {"name": "f", "response": deep}},
        ]
        body = {
            "messages": messages,
            "config": {"response_json_schema": deep},
            "tools": [{"function_declarations": [{"name": "f", "parameters": deep}]}],
            "metadata": deep,
        }
        response = api.post(URL, body, format="json")
        assert response.status_code == 202
        answer = response.json()
        kept = {name: answer[name] for name in ("messages", "tools", "metadata")}
        assert kept == {name: body[name] for name in kept}
        assert answer["config"]["response_json_schema"] == deep

    @pytest.mark.parametrize("levels", [25, 40])
    @pytest.mark.parametrize("field", ["metadata", "config", "tools"])
    def test_refuses_deeper_json_before_a_database_does(
        self, api: APIClient, field: str, levels: int
    ) -> None:
        deep = json.loads('{"a":' * levels + "1" + "}" * levels)
        values: dict[str, Any] = {
            "metadata": deep,
            "config": {"response_json_schema": deep},
            "tools": [{"function_declarations": [{"name": "f", "parameters": deep}]}],
        }
        body = {"messages": GUIDE["messages"], field: values[field]}
        response = api.post(URL, body, format="json")
        assert response.status_code == 400
        [(path, [rule])] = response.json()["errors"].items()
        assert path.startswith(field)
        assert "deeper than 24 levels; give the inner part as a string of JSON" in rule

    def test_shows_a_medium_by_its_id(self, api: APIClient) -> None:
        file = SimpleUploadedFile("pixel.png", PNG, content_type="image/png")
        media_id = api.post("/textgen/media/", {"file": file}, format="multipart").json()["id"]
        part = {"type": "image", "media": media_id}
        messages = [{"role": "user", "content": [part, {"type": "text", "text": "What is it?"}]}]
        body = api.post(URL, {"messages": messages}, format="json").json()
        assert body["messages"][0]["content"] == [
            {"type": "image", "mime_type": "image/png", "media": media_id},
            {"type": "text", "text": "What is it?"},
        ]

    def test_never_shows_base64(self, api: APIClient) -> None:
        data = base64.b64encode(PNG).decode()
        part = {"type": "image", "data": data, "mime_type": "image/png"}
        messages = [{"role": "user", "content": [part]}]
        response = api.post(URL, {"messages": messages}, format="json")
        assert response.status_code == 202
        assert b"iVBOR" not in response.content

    def test_replaces_what_no_database_takes(self, api: APIClient) -> None:
        body = '{"messages": [{"role": "user", "content": "a\\u0000b\\ud800c"}]}'
        response = api.post(URL, body, content_type="application/json")
        assert response.json()["messages"][0]["content"] == "a\ufffdb\ufffdc"


@pytest.mark.django_db(transaction=True)
class TestSynchronous:
    def test_answers_201_with_the_result(self, remote: Emulator, api: APIClient) -> None:
        response = api.post(URL, {**GUIDE, "sync": True}, format="json")
        body = response.json()
        assert response.status_code == 201
        assert (body["status"], body["mode"]) == ("done", "sync")
        assert body["response_text"]
        assert float(body["credits_used"]) > 0
        assert "e" not in body["credits_used"].lower()
        assert body["finished_at"].endswith("Z")

    def test_answers_202_where_the_wait_ran_out(
        self, remote: Emulator, api: APIClient, settings: Any
    ) -> None:
        remote.switches.set(sync_answer="pending", stuck=True)
        settings.CREATIFY_TEXTGEN["TIMEOUTS"] = {"sync": 0.5}
        response = api.post(URL, {**GUIDE, "sync": True}, format="json")
        assert response.status_code == 202
        assert response.json()["status"] in {"pending", "running"}
        assert response["Location"].endswith(f"{response.json()['id']}/")

    def test_shows_a_failure_as_the_remote_does(self, remote: Emulator, api: APIClient) -> None:
        remote.switches.set(final_state="failed")
        body = api.post(URL, {**GUIDE, "sync": True}, format="json").json()
        assert body["status"] == "failed"
        assert body["failed_reason"] == "The model is overloaded. Please try again later."
        assert body["error_code"]


class TestIdempotencyKey:
    def post(self, api: APIClient, key: str, **changes: Any) -> Any:
        body = {**GUIDE, **changes}
        return api.post(URL, body, format="json", headers={"Idempotency-Key": key})

    def test_gives_the_same_generation_for_the_same_body(self, api: APIClient) -> None:
        first, second = self.post(api, "k"), self.post(api, "k")
        assert first.json()["id"] == second.json()["id"]
        assert second.status_code == 202
        assert Generation.objects.count() == 1

    def test_refuses_another_body(self, api: APIClient) -> None:
        self.post(api, "k")
        response = self.post(api, "k", model_name="gemini-2.5-pro")
        assert response.status_code == 409
        assert response.json()["code"] == "idempotency_conflict"

    def test_is_the_callers_own(self, api: APIClient, strangers_api: APIClient) -> None:
        ids = {self.post(client, "k").json()["id"] for client in (api, strangers_api)}
        assert len(ids) == 2

    @pytest.mark.parametrize("key", ["", "x" * 256], ids=["empty", "too long"])
    def test_has_a_length(self, api: APIClient, key: str) -> None:
        response = self.post(api, key)
        assert response.status_code == 400
        assert "Idempotency-Key" in response.json()["errors"]


class TestRefusal:
    def test_names_the_field(self, api: APIClient) -> None:
        response = api.post(URL, {**GUIDE, "config": {"temperature": 3}}, format="json")
        assert response.status_code == 400
        assert "config.temperature" in response.json()["errors"]
        assert response.json()["code"] == "invalid_request"

    def test_leaves_nothing_behind(self, api: APIClient) -> None:
        api.post(URL, {"messages": []}, format="json")
        assert not Generation.objects.exists()

    def test_says_whose_webhooks_are(self, api: APIClient) -> None:
        response = api.post(URL, {**GUIDE, "webhook_url": "https://x.example/"}, format="json")
        assert response.status_code == 400
        assert "WEBHOOK_BASE_URL" in response.json()["errors"]["webhook_url"][0]

    @pytest.mark.parametrize(
        "raw",
        [
            pytest.param(b"", id="nothing"),
            pytest.param(b"{", id="cut"),
            pytest.param(b"[]", id="array"),
            pytest.param(b'"text"', id="string"),
            pytest.param(b"null", id="null"),
            pytest.param(b'{"messages": "a", "messages": "b"}', id="duplicate"),
            pytest.param(b'{"messages": NaN}', id="NaN"),
            pytest.param(b'{"messages": "\xff"}', id="not UTF-8"),
            pytest.param(b"[" * 100_000, id="deep"),
            pytest.param(b'{"\\ud800": 1, "messages": "a"}', id="surrogate name"),
            pytest.param(b'{"\\u0000": 1, "messages": "a"}', id="NUL name"),
        ],
    )
    def test_of_a_body_is_json(self, api: APIClient, raw: bytes) -> None:
        response = api.post(URL, raw, content_type="application/json")
        assert response.status_code == 400
        assert response.json()["error"]
        assert not Generation.objects.exists()

    @pytest.mark.parametrize(
        "content_type",
        ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "", "nonsense"],
    )
    def test_of_another_type_is_415(self, api: APIClient, content_type: str) -> None:
        response = api.generic("POST", URL, json.dumps(GUIDE), content_type)
        assert response.status_code == 415
        assert response.json()["code"] == "unsupported_media_type"
        assert "Send the body as application/json" in response.json()["error"]

    def test_of_a_large_body_names_setting_and_route(self, api: APIClient, settings: Any) -> None:
        settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1000
        response = api.post(URL, {"messages": "x" * 2000}, format="json")
        assert response.status_code == 413
        assert "DATA_UPLOAD_MAX_MEMORY_SIZE" in response.json()["error"]
        assert "media/" in response.json()["error"]

    def test_of_a_body_without_length(self, api: APIClient) -> None:
        response = api.post(URL, headers={"Transfer-Encoding": "chunked"})
        assert response.status_code == 411

    def test_of_a_strangers_medium(self, api: APIClient) -> None:
        part = {"type": "image", "media": str(uuid.uuid4())}
        messages = [{"role": "user", "content": [part]}]
        response = api.post(URL, {"messages": messages}, format="json")
        assert response.status_code == 400
        assert any("media" in path for path in response.json()["errors"])
