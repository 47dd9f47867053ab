"""Answers that depend on the question, and what they cost."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest

from creatify_textgen.emulator.model.answers import Usage, compose, credits_for
from tests.unit.emulator.builders import (
    PNG,
    WEATHER,
    media_of,
    request_with,
    settings_with,
    weather_request,
)

CALL = {"role": "model", "function_call": {"name": "get_weather", "args": {"location": "Rome"}}}
RESPONSE = {
    "role": "user",
    "function_response": {
        "name": "get_weather",
        "response": {"temperature": 62, "condition": "Foggy"},
    },
}
SCHEMAS: dict[str, dict[str, Any]] = {
    "object": {
        "type": "object",
        "properties": {
            "title": {"type": "string", "minLength": 30, "maxLength": 40},
            "rating": {"type": "integer", "minimum": 3, "maximum": 5},
            "share": {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
            "tags": {"type": "array", "items": {"type": "string"}, "minItems": 2, "maxItems": 3},
            "mood": {"enum": ["sad", "happy"]},
            "ready": {"type": "boolean"},
            "nothing": {"type": "null"},
            "day": {"type": "string", "format": "date"},
        },
        "required": ["title", "rating", "tags"],
        "additionalProperties": False,
    },
    "list": {"type": "array", "items": {"type": "integer", "minimum": 10}},
    "any of": {"anyOf": [{"type": "integer"}, {"type": "string"}]},
    "one of": {"type": "object", "properties": {"a": {"oneOf": [{"type": "boolean"}]}}},
    "nullable": {"type": ["string", "null"]},
    "tuple": {"type": "array", "prefixItems": [{"type": "string"}, {"type": "integer"}]},
    "references": {
        "$defs": {"item": {"type": "object", "properties": {"n": {"type": "integer"}}}},
        "type": "object",
        "properties": {"items": {"type": "array", "items": {"$ref": "#/$defs/item"}}},
    },
    "required only": {"type": "object", "required": ["name"]},
    "empty": {"type": "object"},
}
RECURSIVE = {
    "$defs": {
        "node": {
            "type": "object",
            "properties": {"child": {"$ref": "#/$defs/node"}, "name": {"type": "string"}},
            "required": ["name"],
        }
    },
    "$ref": "#/$defs/node",
}


def text_of(request: dict[str, Any], **switches: Any) -> str:
    return compose(request, settings=settings_with(**switches)).text


class TestText:
    def test_quotes_and_counts_the_prompt(self) -> None:
        text = text_of(request_with("Write a short tagline."))
        assert 'You wrote 4 words: "Write a short tagline."' in text

    def test_obeys_the_system_instruction_visibly(self) -> None:
        text = text_of(request_with(system_instruction="You are a copywriter."))
        assert text.startswith('Following the instruction "You are a copywriter."')
        assert text_of(request_with(system_instruction="Write in uppercase.")).isupper()

    def test_tells_facts_about_media(self) -> None:
        part = {"type": "image", "data": media_of(PNG), "mime_type": "image/png"}
        text = text_of(request_with([part, {"type": "text", "text": "Describe it."}]))
        assert f"image/png, {len(PNG)} bytes, 10x20" in text
        assert "Describe it." in text

    def test_counts_the_turns(self) -> None:
        request = request_with()
        request["messages"] = request["messages"] * 3
        assert "3 messages" in text_of(request)

    def test_is_repeatable(self) -> None:
        assert text_of(request_with()) == text_of(request_with())

    def test_quotes_long_prompts_in_part(self) -> None:
        assert len(text_of(request_with("word " * 10_000))) < 500

    @pytest.mark.parametrize("count", [1, 5, 500])
    def test_has_the_number_of_words_switched_on(self, count: int) -> None:
        assert len(text_of(request_with(), word_count=count).split()) == count

    def test_may_be_empty_or_broken_json(self) -> None:
        assert text_of(request_with(), final_state="empty") == ""
        with pytest.raises(json.JSONDecodeError):
            json.loads(text_of(request_with(), final_state="invalid_json"))


class TestLimits:
    def test_cut_at_max_output_tokens(self) -> None:
        request = request_with(config={"max_output_tokens": 2})
        answer = compose(request, settings=settings_with())
        assert (len(answer.text), answer.finish_reason) == (8, "MAX_TOKENS")

    def test_count_thinking(self) -> None:
        request = request_with(config={"max_output_tokens": 20})
        answer = compose(request, settings=settings_with(thinking_tokens=50))
        assert (answer.text, answer.finish_reason) == ("", "MAX_TOKENS")
        assert answer.usage.thoughts == 50

    def test_stop_at_stop_sequences(self) -> None:
        request = request_with("one two", config={"stop_sequences": ["never", "words"]})
        answer = compose(request, settings=settings_with())
        assert (answer.text, answer.finish_reason) == ("You wrote 2 ", "STOP")

    def test_give_way_to_the_finish_reason_switched_on(self) -> None:
        answer = compose(request_with(), settings=settings_with(finish_reason="RECITATION"))
        assert answer.finish_reason == "RECITATION"


class TestJson:
    @pytest.mark.parametrize("name", SCHEMAS)
    def test_satisfies_the_schema(self, name: str) -> None:
        request = request_with("Rate it 9 of 10", config={"response_json_schema": SCHEMAS[name]})
        jsonschema.validate(json.loads(text_of(request)), SCHEMAS[name])

    def test_ends_where_a_schema_names_itself(self) -> None:
        request = request_with(config={"response_json_schema": RECURSIVE})
        assert json.loads(text_of(request))["child"]["name"]

    def test_takes_values_from_the_prompt(self) -> None:
        properties = {"city": {"type": "string"}, "mood": {"enum": ["sad", "happy"]}}
        schema = {"type": "object", "properties": properties}
        request = request_with("A happy day in Paris", config={"response_json_schema": schema})
        assert json.loads(text_of(request)) == {"city": "Paris", "mood": "happy"}

    def test_needs_no_schema(self) -> None:
        request = request_with("One two", config={"response_mime_type": "application/json"})
        assert json.loads(text_of(request))["word_count"] == 2

    def test_can_be_truncated(self) -> None:
        config = {"response_mime_type": "application/json", "max_output_tokens": 3}
        with pytest.raises(json.JSONDecodeError):
            json.loads(text_of(request_with(config=config)))


class TestFunctionCalls:
    def calls(self, request: dict[str, Any], **switches: Any) -> list[dict[str, Any]]:
        return compose(request, settings=settings_with(**switches)).function_calls

    def test_take_arguments_from_the_prompt(self) -> None:
        answer = compose(weather_request(), settings=settings_with())
        assert answer.function_calls == [
            {"name": "get_weather", "args": {"location": "San Francisco"}}
        ]
        assert answer.text == ""

    def test_choose_the_function_that_fits(self) -> None:
        other = {"name": "send_mail", "description": "Send a mail."}
        request = weather_request(tools=[{"function_declarations": [other, WEATHER]}])
        assert self.calls(request)[0]["name"] == "get_weather"

    def test_end_with_the_response(self) -> None:
        request = weather_request()
        request["messages"] += [CALL, RESPONSE]
        answer = compose(request, settings=settings_with())
        assert answer.function_calls == []
        assert "According to get_weather, temperature is 62, condition is Foggy." in answer.text

    def test_come_again_with_a_new_question(self) -> None:
        request = weather_request()
        request["messages"] += [CALL, RESPONSE, {"role": "user", "content": "And in Oslo?"}]
        assert self.calls(request)[0]["args"] == {"location": "Oslo"}

    def test_report_each_of_several_responses(self) -> None:
        request = weather_request()
        request["messages"] += [CALL, CALL, RESPONSE, RESPONSE]
        assert text_of(request).count("According to get_weather") == 2

    @pytest.mark.parametrize(
        ("calling", "names"),
        [
            ({"mode": "NONE"}, []),
            ({"mode": "AUTO"}, ["get_weather"]),
            ({"mode": "ANY"}, ["get_weather"]),
            ({"mode": "ANY", "allowed_function_names": ["send_mail"]}, ["send_mail"]),
            ({}, ["get_weather"]),
        ],
        ids=str,
    )
    def test_obey_the_mode(self, calling: dict[str, Any], names: list[str]) -> None:
        declarations = [WEATHER, {"name": "send_mail"}]
        request = weather_request(
            tools=[{"function_declarations": declarations}],
            tool_config={"function_calling_config": calling},
        )
        assert [call["name"] for call in self.calls(request)] == names

    def test_any_calls_even_after_a_response(self) -> None:
        request = weather_request(tool_config={"function_calling_config": {"mode": "ANY"}})
        request["messages"] += [CALL, RESPONSE]
        assert self.calls(request)

    @pytest.mark.parametrize(
        ("prompt", "mode", "count"),
        [("Weather in Oslo?", "AUTO", 1), ("Get well!", "AUTO", 0), ("Get well!", "ANY", 1)],
    )
    def test_can_depend_on_the_prompt(self, prompt: str, mode: str, count: int) -> None:
        request = weather_request(tool_config={"function_calling_config": {"mode": mode}})
        request["messages"] = [{"role": "user", "content": prompt}]
        assert len(self.calls(request, call_if_named=True)) == count

    def test_can_be_several(self) -> None:
        assert len(self.calls(weather_request(), function_call_count=3)) == 3

    def test_can_be_forced_without_tools(self) -> None:
        assert self.calls(request_with(), final_state="function_calls")

    @pytest.mark.parametrize("name", [name for name in SCHEMAS if "object" in str(SCHEMAS[name])])
    def test_satisfy_the_declared_parameters(self, name: str) -> None:
        if SCHEMAS[name].get("type") != "object":
            return
        declaration = {"name": "f", "parameters": SCHEMAS[name]}
        request = request_with("x", tools=[{"function_declarations": [declaration]}])
        jsonschema.validate(self.calls(request)[0]["args"], SCHEMAS[name])


class TestCost:
    def test_grows_with_tokens(self) -> None:
        assert (
            credits_for(Usage(10, 10)) < credits_for(Usage(10, 20)) < credits_for(Usage(10, 20, 5))
        )

    def test_can_be_tiny(self) -> None:
        assert "e-05" in json.dumps(credits_for(Usage(5, 1)))

    def test_counts_media(self) -> None:
        image = {"type": "image", "data": media_of(PNG), "mime_type": "image/png"}
        video = {"type": "video", "data": media_of(bytes(600_000)), "mime_type": "video/mp4"}
        usage = compose(request_with([image, video]), settings=settings_with()).usage
        assert usage.prompt == 258 + 3 * 263
