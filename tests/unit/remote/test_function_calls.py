"""Calls of functions in an answer: every form is read, and nothing is lost."""

from __future__ import annotations

import json
import math
from typing import Any, ClassVar

import pytest

from creatify_textgen.remote import wire
from creatify_textgen.remote.function_calls import function_call, function_calls


class TestFunctionCalls:
    CALL: ClassVar[dict[str, Any]] = {"name": "f", "args": {"a": 1}}

    @pytest.mark.parametrize(
        "value",
        [
            [CALL],
            CALL,
            json.dumps(CALL),
            json.dumps([CALL]),
            [json.dumps(CALL)],
            [{"name": "f", "args": '{"a": 1}'}],
            [{"functionCall": CALL}],
            {"function_call": CALL},
        ],
        ids=str,
    )
    def test_are_read_in_every_form(self, value: Any) -> None:
        assert function_calls(value) == [self.CALL]

    @pytest.mark.parametrize("value", [None, "", [], {}, [None], "[]"], ids=str)
    def test_may_be_none(self, value: Any) -> None:
        assert function_calls(value) == []

    @pytest.mark.parametrize("value", ["call f now", 12, [12], ["call f now"]], ids=str)
    def test_keep_what_is_no_call(self, value: Any) -> None:
        kept = value[0] if isinstance(value, list) else value

        assert function_calls(value) == [{"name": "", "args": {"value": kept}}]


class TestFunctionCall:
    @pytest.mark.parametrize(
        ("value", "expected"),
        [
            ({"name": "f", "args": {"a": 1}}, {"name": "f", "args": {"a": 1}}),
            ({"name": None, "args": None}, {"name": "", "args": {}}),
            ({"name": "f", "args": "x"}, {"name": "f", "args": {"value": "x"}}),
            (None, {"name": "", "args": {}}),
        ],
        ids=str,
    )
    def test_always_has_a_name_and_an_object(self, value: Any, expected: dict[str, Any]) -> None:
        assert function_call(value) == expected

    @pytest.mark.parametrize(
        "value",
        [
            {"name": "f", "args": {}, "id": "c1", "thought_signature": "sig"},
            {"functionCall": {"name": "f", "args": {}, "id": "c1"}, "thoughtSignature": "sig"},
            {"function_call": {"name": "f", "id": "c1"}, "thought_signature": "sig"},
            {"functionCall": {"name": "f", "id": "c1", "thoughtSignature": "sig"}},
            {"functionCall": '{"name": "f", "id": "c1"}', "thoughtSignature": "sig"},
        ],
    )
    def test_keeps_what_the_model_wants_back(self, value: Any) -> None:
        kept = {"name": "f", "args": {}, "id": "c1", "thought_signature": "sig"}
        assert function_call(value) == kept

    @pytest.mark.parametrize("nothing", [None, "", 7.5, [], {}], ids=repr)
    def test_has_no_signature_where_there_is_none(self, nothing: Any) -> None:
        call = function_call({"functionCall": {"name": "f"}, "thoughtSignature": nothing})
        assert call == {"name": "f", "args": {}}

    def test_keeps_arguments_as_deep_as_a_request_may_have(self) -> None:
        args = json.loads('{"a":' * 24 + "7" + "}" * 24)

        assert function_call({"name": "f", "args": args}) == {"name": "f", "args": args}

    def test_keeps_what_is_deeper_as_text(self) -> None:
        args = '{"a":' * 24 + "%s" + "}" * 24

        call = function_call(wire.load('{"name": "f", "args": %s}' % (args % "[7]")))

        assert call == {"name": "f", "args": json.loads(args % '"[7]"')}

    def test_counts_the_object_around_arguments_that_are_none(self) -> None:
        args = "[" * 23 + "%s" + "]" * 23

        call = function_call(wire.load('{"name": "f", "args": %s}' % (args % "[7]")))

        assert call["args"] == {"value": json.loads(args % '"[7]"')}

    def test_has_floats_and_no_decimals(self) -> None:
        call = function_call(wire.load('{"name": "f", "args": {"a": 1.5}}'))

        assert math.isclose(call["args"]["a"], 1.5)
        assert isinstance(call["args"]["a"], float)
