"""Schemas that the emulated model could not fill are refused, with the path of what is wrong."""

from __future__ import annotations

import json
from typing import Any

import pytest

from creatify_textgen.emulator.model.schemas import CHARACTERS_LIMIT, value_for
from creatify_textgen.emulator.requests.schema_validation import check_schema
from creatify_textgen.emulator.requests.validation import check_request
from tests.unit.emulator.builders import WEATHER, request_with, settings_with

REFUSED = [
    ("schema", 5),
    ("schema.type", {"type": 5}),
    ("schema.type", {"type": [{}]}),
    ("schema.properties", {"properties": []}),
    ("schema.properties.a", {"properties": {"a": 5}}),
    ("schema.required", {"type": "object", "required": 5}),
    ("schema.required", {"type": "object", "required": [{}]}),
    ("schema.enum", {"enum": {"a": 1}}),
    ("schema.format", {"type": "string", "format": []}),
    ("schema.minLength", {"type": "string", "minLength": "x"}),
    ("schema.maxLength", {"type": "string", "maxLength": 2.0}),
    ("schema.minimum", {"type": "integer", "minimum": "a"}),
    ("schema.exclusiveMinimum", {"type": "integer", "exclusiveMinimum": float("inf")}),
    ("schema.maximum", {"type": "number", "maximum": 10**400}),
    ("schema.items.minItems", {"items": {"type": "array", "items": {}, "minItems": -1}}),
    ("schema.prefixItems", {"type": "array", "prefixItems": 5}),
    ("schema.anyOf", {"anyOf": [1]}),
    ("schema.oneOf[1].enum", {"oneOf": [{}, {"enum": 5}]}),
    ("schema.$defs.a.allOf", {"$defs": {"a": {"allOf": {}}}}),
]
ACCEPTED = [
    {},
    {"type": ["string", "null"], "title": 5, "x-unknown": []},
    {"type": "OBJECT", "properties": {"anything": True}, "required": ["anything"]},
    {"type": "array", "items": {"$ref": "#/$defs/a"}, "minItems": 2, "$defs": {"a": {"enum": [1]}}},
    {"anyOf": [{"type": "number", "minimum": 0, "exclusiveMaximum": 2.5}, {"type": "null"}]},
]

WORDS = [f"word{number}" for number in range(50)]
ROOT = {"$ref": "#"}


def _array(of: dict[str, Any], *, items: int = 1_000) -> dict[str, Any]:
    return {"type": "array", "items": of, "minItems": items, "maxItems": items}


class TestCheckSchema:
    @pytest.mark.parametrize(("path", "schema"), REFUSED, ids=[path for path, _ in REFUSED])
    def test_names_what_is_wrong(self, path: str, schema: Any) -> None:
        assert [where for where, _ in check_schema(schema, path="schema")] == [path]

    @pytest.mark.parametrize("schema", ACCEPTED, ids=str)
    def test_accepts_what_the_model_can_fill(self, schema: Any) -> None:
        assert list(check_schema(schema, path="schema")) == []
        value_for(schema, prompt="Say 5.")

    def test_reads_a_schema_of_any_depth(self) -> None:
        schema: dict[str, Any] = {"type": 5}
        for _ in range(2000):
            schema = {"items": schema}
        assert len(list(check_schema(schema, path="schema"))) == 1

    @pytest.mark.parametrize(
        "schema",
        [
            _array(_array(_array({"type": "string"}))),
            _array({"type": "string"}, items=10**12),
            {"type": "string", "minLength": 10**12},
            _array({"const": "x" * 10_000}, items=1_000),
            {"type": "object", "required": WORDS, "properties": dict.fromkeys(WORDS, ROOT)},
        ],
        ids=["arrays", "items", "text", "constant", "itself"],
    )
    def test_limits_what_a_small_schema_may_ask_for(self, schema: dict[str, Any]) -> None:
        assert list(check_schema(schema, path="schema")) == []
        assert len(json.dumps(value_for(schema, prompt="Say 5."))) < 4 * CHARACTERS_LIMIT

    def test_limits_how_often_long_lists_of_choices_are_searched(self) -> None:
        choices = {"enum": [f"choice {number}" for number in range(5_000)]}
        assert len(value_for(_array(choices, items=10_000), prompt="Say 5.")) < 250

    def test_reads_a_number_of_any_length_in_the_prompt(self) -> None:
        assert value_for({"type": "integer"}, prompt="9" * 400) == 10**15 - 1

    def test_fills_arrays_within_the_limit(self) -> None:
        filled = value_for(_array(_array({"type": "integer"}, items=30)), prompt="Say 5.")
        assert filled == 1_000 * [30 * [5]]


class TestRequests:
    def test_have_the_schema_of_the_answer_checked(self) -> None:
        body = request_with(config={"response_json_schema": {"type": "array", "minItems": "2"}})
        problems = check_request(body, settings=settings_with())
        assert [each.path for each in problems] == ["config.response_json_schema.minItems"]

    def test_have_the_parameters_of_functions_checked(self) -> None:
        function = {**WEATHER, "parameters": {"type": "object", "required": "location"}}
        body = request_with(tools=[{"function_declarations": [function]}])
        [problem] = check_request(body, settings=settings_with())
        assert problem.path == "tools[0].function_declarations[0].parameters.required"
