"""Requests to bodies and bodies to values, by the samples and by tables."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from creatify_textgen.exceptions import ContractError, WebhookError
from creatify_textgen.remote.contract import GenerationRequest
from creatify_textgen.remote.protocol import (
    build_create,
    build_stream,
    parse_credits,
    parse_generation,
    parse_webhook,
)
from tests.unit.remote.samples import sample

ID = "a1b2c3d4-5678-90ab-cdef-1234567890ab"
# Of the eight bytes that stand for an image in the sample.
SAMPLE_DIGEST = "4c4b6a3be1314ab86138bef4314dde022e600960d8689a2c8f8631802d20dab6"
FIELDS = (
    "status",
    "response_text",
    "response_function_calls",
    "messages",
    "config",
    "credits_used",
    "created_at",
    "failed_reason",
    "system_instruction",
)
MESSAGES = [{"role": "user", "content": "Hello"}]


def sent(body: Any) -> Any:
    return json.loads(b"".join(body))


class TestBuild:
    def test_leaves_out_what_was_not_given(self) -> None:
        body = build_create(GenerationRequest(model_name="m", messages=MESSAGES))

        assert sent(body) == {"model_name": "m", "messages": MESSAGES}

    def test_sends_everything_that_was(self) -> None:
        fields: dict[str, Any] = {
            "model_name": "m",
            "messages": MESSAGES,
            "system_instruction": "Be brief.",
            "config": {"temperature": 0.5},
            "tools": [{"function_declarations": [{"name": "f"}]}],
            "tool_config": {"function_calling_config": {"mode": "ANY"}},
            "webhook_url": "https://example.com/hook/",
            "sync": True,
        }

        assert sent(build_create(GenerationRequest(**fields))) == fields

    def test_does_not_send_the_stream_what_it_does_not_know(self) -> None:
        request = GenerationRequest(
            model_name="m", messages=MESSAGES, webhook_url="https://example.com/", sync=True
        )

        assert sent(build_stream(request)) == {"model_name": "m", "messages": MESSAGES}


class TestParseGeneration:
    def test_reads_a_pending_one(self) -> None:
        found = parse_generation(sample("generation_pending.json"))

        assert (found.id, found.status, found.model_name) == (ID, "pending", "gemini-2.5-flash")
        assert found.credits_used == 0
        assert found.config == {"temperature": 0.8, "max_output_tokens": 256}
        assert found.created_at == datetime(2026, 11, 22, 17, 0, 0, 123456, tzinfo=UTC)
        assert found.messages == [
            {"role": "user", "content": "Write a short tagline for an AI video tool."}
        ]

    def test_reads_the_cost_from_the_text(self) -> None:
        found = parse_generation(sample("generation_done.json"))

        assert found.credits_used == Decimal("0.00005")
        assert found.response_text == "Create stunning videos in seconds — powered by AI."

    def test_reads_function_calls(self) -> None:
        found = parse_generation(sample("generation_function_call.json"))

        assert found.response_function_calls == [
            {"name": "get_weather", "args": {"location": "San Francisco", "days": 1.5}}
        ]

    def test_takes_null_for_nothing(self) -> None:
        found = parse_generation(sample("generation_failed_nulls.json"))

        assert (found.response_text, found.system_instruction, found.config) == ("", "", {})
        assert (found.response_function_calls, found.messages) == ([], None)
        assert (found.credits_used, found.updated_at) == (None, None)
        assert found.failed_reason.startswith("400 INVALID_ARGUMENT")

    @pytest.mark.parametrize(
        "fields", [{"error": "busy"}, {"detail": "busy", "status": 503}, {"error": {"code": 1}}]
    )
    def test_refuses_an_error_with_an_id(self, fields: dict[str, Any]) -> None:
        with pytest.raises(ContractError):
            parse_generation({"id": "e1", "model_name": "m", "messages": [], **fields})

    @pytest.mark.parametrize(
        "fields",
        [
            {"error": None},
            {"error": "", "detail": ""},
            {"error": "blocked", "status": "failed"},
            {"error": "slow", "status": "pending"},
            {"error": "slow", "status": "in_queue", "response_text": ""},
        ],
    )
    def test_reads_a_generation_beside_an_error(self, fields: dict[str, Any]) -> None:
        assert parse_generation({"id": "r1", **fields}).id == "r1"

    def test_strips_echoed_media(self) -> None:
        found = parse_generation(sample("generation_media_echo.json"))

        assert found.messages == [
            {
                "role": "user",
                "content": [
                    {"type": "image", "mime_type": "image/png", "sha256": SAMPLE_DIGEST},
                    {"type": "text", "text": "Describe what you see in this image."},
                ],
            }
        ]

    @pytest.mark.parametrize("status", ["in_queue", "rejected", "Done", "\x00"])
    def test_keeps_a_status_it_does_not_know(self, status: str) -> None:
        found = parse_generation({"id": ID, "status": status})

        assert found.status == status.replace("\x00", "\ufffd").lower()

    @pytest.mark.parametrize("status", ["DONE", "Done", "Status.DONE", " done "])
    def test_reads_a_status_without_case_and_prefix(self, status: str) -> None:
        assert parse_generation({"id": ID, "status": status}).status == "done"

    def test_keeps_texts_of_another_type(self) -> None:
        answer = {"id": ID, "response_text": {"city": "Rome"}, "failed_reason": {"code": 7}}
        found = parse_generation(answer | {"response_function_calls": '{"name": "f"}'})

        assert found.response_text == '{"city": "Rome"}'
        assert found.failed_reason == '{"code": 7}'
        assert found.response_function_calls == [{"name": "f", "args": {}}]

    @pytest.mark.parametrize("nothing", [None, "", {}, [], False, 0])
    def test_knows_no_reason_that_is_empty(self, nothing: Any) -> None:
        assert parse_generation({"id": ID, "failed_reason": nothing}).failed_reason == ""

    @pytest.mark.parametrize(
        "body",
        ["", "<html>", "[]", "null", "{}", '{"id": null}', '{"id": "../x"}', "[" * 100_000],
        ids=lambda body: body[:16],
    )
    def test_refuses_what_has_no_id(self, body: str) -> None:
        with pytest.raises(ContractError) as caught:
            parse_generation(body)

        assert caught.value.request_sent

    @given(
        st.dictionaries(
            st.sampled_from(FIELDS),
            st.recursive(
                st.none()
                | st.booleans()
                | st.floats(allow_nan=False, allow_infinity=False)
                | st.text()
                | st.integers(),
                lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
            ),
        )
    )
    def test_reads_any_value_in_any_field(self, fields: dict[str, Any]) -> None:
        found = parse_generation(json.dumps(fields | {"id": ID}))

        json.dumps([found.messages, found.config, found.response_function_calls], allow_nan=False)


class TestParseCredits:
    @pytest.mark.parametrize("text", ["379.0", "379", '"379.00"'])
    def test_reads_a_balance(self, text: str) -> None:
        assert parse_credits(f'{{"remaining_credits": {text}}}') == 379

    def test_reads_a_negative_balance(self) -> None:
        assert parse_credits('{"remaining_credits": -0.5}') == Decimal("-0.5")

    @pytest.mark.parametrize(
        "body", ["", "{}", "379", '{"remaining_credits": null}', '{"remaining_credits": NaN}']
    )
    def test_refuses_anything_else(self, body: str) -> None:
        with pytest.raises(ContractError):
            parse_credits(body)


class TestParseWebhook:
    def test_reads_the_guides_delivery(self) -> None:
        found = parse_webhook(sample("webhook_done.json"))

        assert (found.id, found.status) == (ID, "done")
        assert found.response_text == "Create stunning videos in seconds — powered by AI."
        assert found.credits_used == Decimal("0.0005")
        assert (found.response_function_calls, found.failed_reason) == ([], "")

    @pytest.mark.parametrize("charset", ["utf-8-sig", "utf-16", "utf-16-be", "utf-32-le"])
    def test_reads_any_charset(self, charset: str) -> None:
        assert parse_webhook('{"id": "r1", "status": "done"}'.encode(charset)).id == "r1"

    def test_reads_nulls(self) -> None:
        found = parse_webhook(
            b'{"id":"x","status":null,"response_text":null,"response_function_calls":null,'
            b'"failed_reason":null,"credits_used":null}'
        )

        assert (found.status, found.credits_used) == ("", None)

    def test_reads_names_that_are_escaped(self) -> None:
        assert parse_webhook(b'{"\\u0069d": "x", "status": "done"}').id == "x"

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"\x00",
            b"\xff\xfe{\x00",
            b"{",
            b"[]",
            b'"x"',
            b'{"id": {}}',
            b"[" * 1_000_000,
            b'{"a":' * 1_000_000,
        ],
        ids=lambda body: repr(body[:16]),
    )
    def test_refuses_what_nobody_can_read(self, body: bytes) -> None:
        with pytest.raises(WebhookError):
            parse_webhook(body)

    @given(st.binary())
    @example(b'{"id":0,"":""}')
    def test_raises_nothing_else(self, body: bytes) -> None:
        with suppress(WebhookError):
            assert parse_webhook(body).id
