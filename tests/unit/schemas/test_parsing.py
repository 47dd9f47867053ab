"""From the text of an answer to a value, or one error that says what is wrong."""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from pydantic import BaseModel, HttpUrl, field_validator

from creatify_textgen import schemas
from creatify_textgen.exceptions import AnswerError, RequestError

SECRET = "the-patient-is-ill"


class Line(BaseModel):
    price: Decimal


class Invoice(BaseModel):
    lines: list[Line]

    @field_validator("lines")
    @classmethod
    def refuse_none(cls, lines: list[Line]) -> list[Line]:
        if not lines:
            raise ValueError("no lines")
        return lines


@dataclass
class Point:
    x: int


def parse(text: str, shape: Any = Any, *, is_cut: bool = False) -> Any:
    return schemas.parse_answer(text, shape, subject="The answer", is_cut=is_cut)


def failure(text: str, shape: Any = Any, *, is_cut: bool = False) -> AnswerError:
    with pytest.raises(AnswerError) as caught:
        parse(text, shape, is_cut=is_cut)
    return caught.value


class TestValue:
    def test_is_of_the_type(self) -> None:
        assert parse('{"lines": [{"price": 2.50}]}', Invoice).lines[0].price == Decimal("2.5")
        assert parse('{"x": 1}', Point) == Point(1)
        assert parse("[1, 2]", list[int]) == [1, 2]

    def test_is_plain_json_without_a_type(self) -> None:
        assert parse(' {"a": [1, null]}\n') == {"a": [1, None]}

    @pytest.mark.parametrize(
        "text",
        [
            '```json\n{"x": 1}\n```',
            '```\n{"x": 1}\n```\n',
            '```JSON {"x": 1} ```',
            'Here it is:\n\n```json\n{\n  "x": 1\n}\n```\nAnything else?',
            '```json\r\n{"x": 1}\r\n```',
            'Here it is:\r\n```json\r\n{"x": 1}\r\n```\r\nAnything else?',
        ],
    )
    def test_comes_out_of_its_fence(self, text: str) -> None:
        assert parse(text, Point) == Point(1)

    @pytest.mark.parametrize("end", ["\n" * 200_000, " " * 200_000, "```json\n" * 20_000])
    def test_that_goes_on_and_on_is_read_once(self, end: str) -> None:
        """By the processor time of this process; one pattern for a block takes minutes."""
        began = time.process_time()
        with pytest.raises(AnswerError):
            parse('```json\n{"x": 1' + end)
        assert time.process_time() - began < 10

    def test_keeps_fences_that_are_its_own_text(self) -> None:
        assert parse('{\n"a": "```json\\n1\\n```"\n}') == {"a": "```json\n1\n```"}

    def test_is_no_json_schema(self) -> None:
        with pytest.raises(TypeError, match="give a type"):
            parse("1", {"type": "integer"})


class TestError:
    def test_says_of_every_beginning_that_it_was_cut(self) -> None:
        whole = r'{"a": true, "b": false, "c": [null, -1.5e+10, "\u00e9\ud83d\ude00 \"\\"]}'
        for end in range(1, len(whole)):
            assert failure(whole[:end], Any).code == "truncated", whole[:end]

    @pytest.mark.parametrize(
        ("text", "code"),
        [
            ("", "no_text"),
            ("```json\n\n```", "no_text"),
            ('{"lines": [', "truncated"),
            ('{"lines": "' + SECRET, "truncated"),
            (SECRET, "invalid_json"),
            ("NaN", "invalid_json"),
            ("[" * 100_000 + "]" * 100_000, "invalid_json"),
            ("9" * 10_000, "invalid_json"),
            ('{"lines": [{"price": "' + SECRET + '"}]}', "schema_mismatch"),
            ("{}", "schema_mismatch"),
        ],
    )
    def test_says_what_is_wrong_and_quotes_nothing(self, text: str, code: str) -> None:
        error = failure(text, Invoice)
        assert (error.code, error.text) == (code, text if code != "no_text" else "")
        assert SECRET not in str(error)
        assert error.__cause__ is None
        assert error.__context__ is None

    def test_of_a_known_cut_says_so_though_it_reads_as_json(self) -> None:
        assert failure("12", int, is_cut=True).code == "truncated"

    def test_has_the_paths(self) -> None:
        error = failure('{"lines": [{"price": 1}, {"price": "x"}, {}]}', Invoice)
        assert set(error.errors) == {"lines[1].price", "lines[2].price"}
        assert failure("[1]", dict).errors.keys() == {""}
        assert failure('{"lines": []}', Invoice).errors == {"lines": ["Value error, no lines"]}


class TestRefs:
    def test_are_inlined(self) -> None:
        schema = schemas.inline_refs(schemas.json_schema(Invoice))
        assert schema["properties"]["lines"]["items"]["properties"].keys() == {"price"}
        assert "$defs" not in schema

    def test_keep_what_stands_beside_them(self) -> None:
        schema = {
            "$defs": {"a": {"type": "string", "description": "general"}},
            "properties": {"b": {"$ref": "#/$defs/a", "description": "special"}},
        }
        assert schemas.inline_refs(schema) == {
            "properties": {"b": {"type": "string", "description": "special"}}
        }

    @pytest.mark.parametrize("name", ["#/$defs/a", "#/$defs/none", "https://example.com/a"])
    def test_that_cannot_be_inlined_are_named(self, name: str) -> None:
        schema = {"$defs": {"a": {"items": {"$ref": "#/$defs/a"}}}, "$ref": name}
        with pytest.raises(RequestError) as caught:
            schemas.inline_refs(schema)
        assert list(caught.value.errors) == ["schema"]


class TestPydantic:
    def test_is_not_imported_before_a_type_is_used(self) -> None:
        code = (
            "import sys, django; django.setup()\n"
            "import creatify_textgen.chat, creatify_textgen.schemas as s\n"
            "s.json_schema({}); s.parse_answer('1', s.Any, subject='')\n"
            "assert 'pydantic' not in sys.modules"
        )
        subprocess.run([sys.executable, "-c", code], check=True)

    def test_is_named_where_it_is_missing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(schemas, "find_spec", lambda name: None)
        with pytest.raises(ImproperlyConfigured, match=r"creatify-textgen\[pydantic\]"):
            parse("1", int)
        assert schemas.json_schema({"type": "integer"}) == {"type": "integer"}


class Report(BaseModel):
    title: str
    lines: list[str] = []


def values_of(answer: schemas.PartialAnswer, text: str) -> list[Any]:
    """Return what a reader gives as the text grows, character by character."""
    return [value for end in range(len(text) + 1) for value in answer.read(text[:end])]


class TestPartialAnswer:
    def test_gives_objects_of_the_type_once_they_fit(self) -> None:
        values = values_of(schemas.PartialAnswer(Report), '{"title": "Tea", "lines": ["a", "b"]}')
        assert values == [
            Report(title=""),
            Report(title="T"),
            Report(title="Te"),
            Report(title="Tea"),
            Report(title="Tea", lines=[""]),
            Report(title="Tea", lines=["a"]),
            Report(title="Tea", lines=["a", ""]),
            Report(title="Tea", lines=["a", "b"]),
        ]

    @pytest.mark.parametrize(
        "text",
        [
            '```json\n{"a": [1]}\n```',
            'Here it is:\n```JSON\n{"a": [1]}\n```\nIs that all?',
            '  ```\n{"a":\n [1]}\n  ```  ',
        ],
    )
    def test_unwraps_a_block(self, text: str) -> None:
        values = values_of(schemas.PartialAnswer(Any), text)
        assert values == [{}, {"a": []}, {"a": [1]}]

    @pytest.mark.parametrize("text", ["", "Sorry, no.", "```", "[}", '{"title": 7}', "\ud800"])
    def test_gives_nothing_that_does_not_fit(self, text: str) -> None:
        assert values_of(schemas.PartialAnswer(Report), text) == []

    def test_refuses_what_is_no_type(self) -> None:
        with pytest.raises(RequestError, match="Must be a type"):
            schemas.PartialAnswer(open)


class TestJSONSchema:
    @pytest.mark.parametrize("value", ["Report", 5, True, [], Report(title=SECRET)], ids=repr)
    def test_refuses_a_value_without_quoting_it(self, value: Any) -> None:
        with pytest.raises(RequestError, match="it is a value of") as caught:
            schemas.json_schema(value)
        assert SECRET not in str(caught.value)

    def test_leaves_out_rules_that_pydantic_adds_by_itself(self) -> None:
        class Page(BaseModel):
            url: HttpUrl
            tags: set[str]

        properties = schemas.json_schema(Page)["properties"]
        assert properties["url"] == {"type": "string", "format": "uri", "title": "Url"}
        assert properties["tags"] == {"type": "array", "items": {"type": "string"}, "title": "Tags"}
