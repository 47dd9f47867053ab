"""What `schema=` becomes on the wire, and what is refused before anything is paid."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Annotated, Any, Literal

import pytest
from jsonschema import Draft202012Validator
from pydantic import BaseModel, Field
from typing_extensions import TypedDict

from creatify_textgen.exceptions import RequestError
from creatify_textgen.intake.reading import Reader
from creatify_textgen.intake.schemas import read_schema
from creatify_textgen.remote.contract import SCHEMA_KEYWORDS


class Line(BaseModel):
    """One line of an invoice."""

    title: str = Field(description="What was sold")
    price: Decimal = Field(ge=0)
    count: int = Field(gt=0, default=1)


class Invoice(BaseModel):
    kind: Literal["invoice"]
    day: date
    lines: list[Line]
    first: Line = Field(description="The dearest")


@dataclass
class Point:
    x: int
    y: int | None = None


class Movie(TypedDict):
    name: str


class Node(BaseModel):
    children: list[Node] = []


def wire(schema: Any, config: dict[str, Any] | None = None) -> dict[str, Any]:
    reader = Reader()
    config = read_schema(schema, config=config or {}, reader=reader)
    reader.raise_if_refused()
    return config


def wire_schema(schema: Any) -> dict[str, Any]:
    found: dict[str, Any] = wire(schema)["response_json_schema"]
    return found


def problems_of(schema: Any, config: dict[str, Any] | None = None) -> dict[str, list[str]]:
    with pytest.raises(RequestError) as caught:
        wire(schema, config)
    return caught.value.errors


def keywords_of(schema: Any) -> set[str]:
    if isinstance(schema, list):
        return set().union(*map(keywords_of, schema))
    if not isinstance(schema, dict):
        return set()
    named = [*schema.get("properties", {}).values(), *schema.get("$defs", {}).values()]
    listed = [part for key in ("anyOf", "oneOf", "prefixItems") for part in schema.get(key, [])]
    rest = [schema.get("items"), schema.get("additionalProperties")]
    return set(schema).union(*map(keywords_of, [*named, *listed, *rest]))


class TestTypes:
    @pytest.mark.parametrize("shape", [Invoice, Point, Movie, Node, list[Line], int | str])
    def test_become_a_schema_in_what_gemini_reads(self, shape: Any) -> None:
        schema = wire_schema(shape)
        Draft202012Validator.check_schema(schema)
        assert keywords_of(schema) <= SCHEMA_KEYWORDS

    def test_bring_the_mime_type(self) -> None:
        assert wire(Movie, {"temperature": 0.5})["response_mime_type"] == "application/json"
        assert wire(Movie, {"temperature": 0.5})["temperature"] == 0.5

    def test_keep_the_order_of_fields(self) -> None:
        assert list(wire_schema(Invoice)["properties"]) == ["kind", "day", "lines", "first"]

    def test_accept_what_the_type_accepts(self) -> None:
        line = {"title": "Tea", "price": 2.5, "count": 1}
        answer = {"kind": "invoice", "day": "2026-11-30", "lines": [line], "first": line}
        Draft202012Validator(wire_schema(Invoice)).validate(answer)

    @pytest.mark.parametrize(
        "change", [{"kind": "bill"}, {"lines": [{"title": "Tea", "price": 1, "count": 0}]}]
    )
    def test_refuse_what_the_type_refuses(self, change: dict[str, Any]) -> None:
        line = {"title": "Tea", "price": 2.5}
        answer = {"kind": "invoice", "day": "2026-11-30", "lines": [line], "first": line} | change
        assert not Draft202012Validator(wire_schema(Invoice)).is_valid(answer)

    def test_put_nothing_beside_a_ref(self) -> None:
        first = wire_schema(Invoice)["properties"]["first"]
        assert first == {"anyOf": [{"$ref": "#/$defs/Line"}], "description": "The dearest"}

    @pytest.mark.parametrize("shape", [object(), "Invoice", type("Odd", (), {})])
    def test_are_types(self, shape: Any) -> None:
        assert "Must be a type or a JSON Schema" in problems_of(shape)["schema"][0]


class TestKeywords:
    @pytest.mark.parametrize(
        ("part", "instead"),
        [
            ({"pattern": "^a"}, "description"),
            ({"allOf": [{}]}, "one object"),
            ({"exclusiveMinimum": 0.5}, "minimum"),
            ({"exclusiveMinimum": True, "type": "integer"}, "minimum"),
            ({"not": {}}, "enum"),
            ({"uniqueItems": True}, "list"),
            ({"$ref": "#/$defs/d", "anyOf": [{"type": "object"}]}, "each choice"),
        ],
        ids=lambda part: next(iter(part)) if isinstance(part, dict) else "",
    )
    def test_outside_the_subset_are_named_with_what_to_use(
        self, part: dict[str, Any], instead: str
    ) -> None:
        problems = problems_of({"type": "object", "properties": {"a": part}})
        assert list(problems) == [f"schema.properties.a.{next(iter(part))}"]
        assert instead in problems[f"schema.properties.a.{next(iter(part))}"][0]

    def test_are_found_at_every_depth(self) -> None:
        bad = {"pattern": "^a"}
        schema = {
            "$defs": {"d": bad},
            "anyOf": [bad],
            "items": bad,
            "prefixItems": [bad],
            "additionalProperties": bad,
        }
        assert set(problems_of(schema)) == {
            "schema.$defs.d.pattern",
            "schema.anyOf[0].pattern",
            "schema.items.pattern",
            "schema.prefixItems[0].pattern",
            "schema.additionalProperties.pattern",
        }

    def test_may_be_names_of_properties(self) -> None:
        schema = {"properties": {"pattern": {"type": "string"}, "default": {"type": "string"}}}
        assert wire_schema(schema) == schema

    def test_that_check_nothing_are_left_out(self) -> None:
        assert wire_schema({"type": "string", "default": "a", "examples": ["b"]}) == {
            "type": "string"
        }

    def test_with_an_equal_are_rewritten(self) -> None:
        schema = {"type": "integer", "exclusiveMinimum": 0, "exclusiveMaximum": 10}
        assert wire_schema(schema) == {"type": "integer", "minimum": 1, "maximum": 9}
        assert wire_schema({"const": "a"}) == {"enum": ["a"]}

    def test_of_a_type_are_named_by_their_field(self) -> None:
        class Short(BaseModel):
            code: Annotated[str, Field(max_length=3)]

        assert list(problems_of(Short)) == ["schema.properties.code.maxLength"]

    @pytest.mark.parametrize("part", [{"properties": []}, {"anyOf": {}}, {"items": "string"}])
    def test_hold_schemas(self, part: dict[str, Any]) -> None:
        assert list(problems_of(part)) == [f"schema.{next(iter(part))}"]


class TestConfig:
    def test_has_no_second_schema(self) -> None:
        assert "schema" in problems_of(Movie, {"response_json_schema": {}})

    def test_asks_for_no_other_type(self) -> None:
        problems = problems_of(Movie, {"response_mime_type": "text/plain"})
        assert "config.response_mime_type" in problems

    def test_stays_as_it_is_without_a_schema(self) -> None:
        assert wire(None, {"seed": 1}) == {"seed": 1}
