"""Strictness: every rule of the contract's section 3, broken once."""

from __future__ import annotations

from typing import Any

import pytest

from creatify_textgen.emulator.requests.media import Media
from creatify_textgen.emulator.requests.validation import check_request
from tests.unit.emulator.builders import PNG, WEATHER, media_of, request_with, settings_with

IMAGE = {"type": "image", "data": media_of(PNG), "mime_type": "image/png"}
CALL = {"name": "f", "args": {}}
RESPONSE = {"name": "f", "response": {}}


def big(size: int) -> Media:
    return Media(size=size, encoded_size=size * 4 // 3, sha256="", valid=True)


def with_message(**message: Any) -> dict[str, Any]:
    return {"model_name": "gemini-2.5-flash", "messages": [message]}


def with_part(**part: Any) -> dict[str, Any]:
    return request_with([part])


def with_config(**config: Any) -> dict[str, Any]:
    return request_with(config=config)


def with_declaration(**declaration: Any) -> dict[str, Any]:
    return request_with(tools=[{"function_declarations": [declaration]}])


def with_calling(**calling: Any) -> dict[str, Any]:
    tools = [{"function_declarations": [WEATHER]}]
    return request_with(tools=tools, tool_config={"function_calling_config": calling})


WRONG: list[tuple[str, Any]] = [
    ("", []),
    ("", "text"),
    ("", None),
    ("model_name", {"messages": [{"role": "user", "content": "x"}]}),
    ("model_name", {**request_with(), "model_name": 3}),
    ("model_name", {**request_with(), "model_name": ""}),
    ("model_name", {**request_with(), "model_name": "gemini-" + "x" * 249}),
    ("model_name", {**request_with(), "model_name": "gpt-9"}),
    ("messages", {"model_name": "gemini-2.5-flash"}),
    ("messages", {**request_with(), "messages": []}),
    ("messages", {**request_with(), "messages": "hello"}),
    ("messages", {**request_with(), "messages": None}),
    ("messages[0]", {**request_with(), "messages": ["hello"]}),
    ("messages[0].role", with_message(content="x")),
    ("messages[0].role", with_message(role="system", content="x")),
    ("messages[0].role", with_message(role="assistant", content="x")),
    ("messages[0].content", with_message(role="user", content=3)),
    ("messages[0].content", with_message(role="user", content=None)),
    ("messages[0].content", with_message(role="user", content={"text": "x"})),
    ("messages[0].content", request_with([])),
    ("messages[0].content[0].type", request_with(["x"])),
    ("messages[0].content[0].type", with_part(text="x")),
    ("messages[0].content[0].type", with_part(type="audio", data="AAAA")),
    ("messages[0].content[0].text", with_part(type="text")),
    ("messages[0].content[0].text", with_part(type="text", text=3)),
    ("messages[0].content[0].data", with_part(type="image", mime_type="image/png")),
    ("messages[0].content[0].data", with_part(type="image", mime_type="image/png", data=3)),
    ("messages[0].content[0].data", with_part(**{**IMAGE, "data": media_of(b"")})),
    (
        "messages[0].content[0].data",
        with_part(**{**IMAGE, "data": Media(size=0, encoded_size=9, sha256="", valid=False)}),
    ),
    ("messages[0].content[0].data", with_part(**{**IMAGE, "data": big(20 * 1024**2 + 1)})),
    (
        "messages[0].content[0].data",
        with_part(type="video", mime_type="video/mp4", data=big(100 * 1024**2 + 1)),
    ),
    ("messages[0].content[0].mime_type", with_part(type="image", data=media_of(PNG))),
    ("messages[0].content[0].mime_type", with_part(**{**IMAGE, "mime_type": "image/tiff"})),
    ("messages[0].content[0].mime_type", with_part(**{**IMAGE, "mime_type": "video/mp4"})),
    ("messages[0].content[0].mime_type", with_part(**{**IMAGE, "mime_type": ["image/png"]})),
    ("messages[0].function_call", with_message(role="model", function_call=[])),
    ("messages[0].function_call", with_message(role="user", function_call=CALL)),
    ("messages[0].function_call.name", with_message(role="model", function_call={"args": {}})),
    ("messages[0].function_call.args", with_message(role="model", function_call={"name": "f"})),
    ("messages[0].function_response", with_message(role="model", function_response=RESPONSE)),
    (
        "messages[0].function_response.response",
        with_message(role="user", function_response={"name": "f", "response": "x"}),
    ),
    ("system_instruction", request_with(system_instruction={"parts": []})),
    ("config", request_with(config=[])),
    ("config", request_with(config=None)),
    ("config.temperature", with_config(temperature=2.1)),
    ("config.temperature", with_config(temperature=-0.1)),
    ("config.temperature", with_config(temperature="0.5")),
    ("config.temperature", with_config(temperature=True)),
    ("config.top_p", with_config(top_p=1.1)),
    ("config.top_k", with_config(top_k=1.5)),
    ("config.top_k", with_config(top_k=0)),
    ("config.max_output_tokens", with_config(max_output_tokens=0)),
    ("config.max_output_tokens", with_config(max_output_tokens="256")),
    ("config.presence_penalty", with_config(presence_penalty=-2.1)),
    ("config.frequency_penalty", with_config(frequency_penalty=2.1)),
    ("config.seed", with_config(seed=1.5)),
    ("config.stop_sequences", with_config(stop_sequences="END")),
    ("config.stop_sequences", with_config(stop_sequences=[1])),
    ("config.stop_sequences", with_config(stop_sequences=list("abcdef"))),
    ("config.response_mime_type", with_config(response_mime_type="text/html")),
    ("config.response_json_schema", with_config(response_json_schema="object")),
    ("tools", request_with(tools={"function_declarations": []})),
    ("tools[0].function_declarations", request_with(tools=[{}])),
    ("tools[0].function_declarations", request_with(tools=["x"])),
    ("tools[0].function_declarations", request_with(tools=[{"function_declarations": []}])),
    (
        "tools[0].function_declarations[0]",
        request_with(tools=[{"function_declarations": ["get_weather"]}]),
    ),
    ("tools[0].function_declarations[0].name", with_declaration(description="x")),
    ("tools[0].function_declarations[0].name", with_declaration(name="1st")),
    ("tools[0].function_declarations[0].name", with_declaration(name="x" * 129)),
    (
        "tools[0].function_declarations[1].name",
        request_with(tools=[{"function_declarations": [WEATHER, WEATHER]}]),
    ),
    ("tools[0].function_declarations[0].description", with_declaration(name="f", description=1)),
    ("tools[0].function_declarations[0].parameters", with_declaration(name="f", parameters=[])),
    ("tool_config", request_with(tool_config={"function_calling_config": {"mode": "AUTO"}})),
    ("tool_config.function_calling_config.mode", with_calling(mode="VALIDATED")),
    ("tool_config.function_calling_config.mode", with_calling(mode=["ANY"])),
    (
        "tool_config.function_calling_config.allowed_function_names",
        with_calling(allowed_function_names="get_weather"),
    ),
    (
        "tool_config.function_calling_config.allowed_function_names",
        with_calling(mode="ANY", allowed_function_names=["other"]),
    ),
    ("webhook_url", request_with(webhook_url=3)),
    ("webhook_url", request_with(webhook_url="example.com/hook")),
    ("webhook_url", request_with(webhook_url="ftp://example.com/hook")),
    ("webhook_url", request_with(webhook_url="http://[::1/")),
    ("webhook_url", request_with(webhook_url="http://example.com/a b")),
    ("webhook_url", request_with(webhook_url="https://example.com/" + "x" * 181)),
    ("sync", request_with(sync="true")),
    ("sync", request_with(sync=None)),
]

RIGHT: dict[str, Any] = {
    "plain": request_with(),
    "parts": request_with([IMAGE, {"type": "text", "text": "Describe it."}]),
    "video": with_part(type="video", mime_type="video/mp4", data=big(100 * 1024**2)),
    "flv": with_part(type="video", mime_type="video/x-flv", data=media_of(b"FLV")),
    "no content": with_message(role="user"),
    "call": with_message(role="model", function_call=CALL),
    "response": with_message(role="user", function_response=RESPONSE),
    "model last": with_message(role="model", content="x"),
    "whole config": with_config(
        temperature=2,
        max_output_tokens=256,
        top_p=1.0,
        top_k=40,
        presence_penalty=-2.0,
        frequency_penalty=2,
        seed=-7,
        stop_sequences=["END"],
        response_mime_type="application/json",
        response_json_schema={"type": "object"},
    ),
    "calling": with_calling(mode="ANY", allowed_function_names=["get_weather"]),
    "webhook": request_with(webhook_url="http://127.0.0.1:8000/hook/?x=1"),
    "unknown fields": request_with(extra=1, config={"candidate_count": 2}),
}


class TestWrongRequest:
    @pytest.mark.parametrize(
        ("path", "body"), WRONG, ids=[f"{n}-{p}" for n, (p, _) in enumerate(WRONG)]
    )
    def test_is_refused_at_the_field_that_is_wrong(self, path: str, body: Any) -> None:
        problems = check_request(body, settings=settings_with())
        assert [problem.path for problem in problems] == [path]


class TestRightRequest:
    @pytest.mark.parametrize("name", RIGHT)
    def test_is_taken(self, name: str) -> None:
        assert check_request(RIGHT[name], settings=settings_with()) == []


class TestSwitches:
    def test_refuse_unknown_fields(self) -> None:
        body = {**request_with(extra=1, config={"candidate_count": 2}), "messages": []}
        body["messages"] = [{"role": "user", "content": "x", "name": "me"}]
        problems = check_request(body, settings=settings_with(unknown_fields="refuse"))
        assert {problem.path for problem in problems} == {
            "extra",
            "config.candidate_count",
            "messages[0].name",
        }

    @pytest.mark.parametrize(
        ("models", "name", "known"),
        [
            ("listed", "gemini-2.5-pro", True),
            ("listed", "gemini-9", False),
            ("gemini", "gemini-9", True),
            ("gemini", "other", False),
            ("any", "other", True),
        ],
    )
    def test_say_which_models_there_are(self, models: str, name: str, *, known: bool) -> None:
        body = {**request_with(), "model_name": name}
        assert (check_request(body, settings=settings_with(models=models)) == []) is known

    def test_say_which_size_counts(self) -> None:
        body = with_part(**{**IMAGE, "data": big(16 * 1024**2)})
        assert check_request(body, settings=settings_with()) == []
        assert check_request(body, settings=settings_with(media_size="encoded"))

    def test_mark_ranges_apart_from_types(self) -> None:
        problems = check_request(with_config(top_k=0, seed="x"), settings=settings_with())
        assert [problem.kind for problem in problems] == ["range", "invalid"]


class TestOlderTwin:
    def test_wants_content_as_a_string(self) -> None:
        body = request_with([{"type": "text", "text": "x"}])
        problems = check_request(body, settings=settings_with(), legacy=True)
        assert [problem.path for problem in problems] == ["messages[0].content"]

    def test_does_not_know_tools(self) -> None:
        body = request_with(tools="x", sync="x")
        assert check_request(body, settings=settings_with(), legacy=True) == []


class TestStream:
    def test_ignores_sync_and_webhook_url(self) -> None:
        body = request_with(sync="x", webhook_url=3)
        assert check_request(body, settings=settings_with(), streaming=True) == []
