"""What is added to function calls before they are sent, and how they read as text."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from creatify_textgen.dispatch.function_calls import PLACEHOLDER, as_text, completed

TODAY = date(2026, 11, 30)
MODEL = "gemini-3-flash-preview"


def call(name: str = "f", **opaque: str) -> dict[str, Any]:
    return {"role": "model", "function_call": {"name": name, "args": {"a": 1}, **opaque}}


def result(name: str = "f", **opaque: str) -> dict[str, Any]:
    response = {"name": name, "response": {"b": 2}, **opaque}
    return {"role": "user", "function_response": response}


def signatures(messages: list[dict[str, Any]], **options: Any) -> list[str | None]:
    sent = completed(messages, **{"model_name": MODEL, "today": TODAY, **options})
    return [
        message["function_call"].get("thought_signature")
        for message in sent
        if "function_call" in message
    ]


def ids(*messages: dict[str, Any]) -> list[str | None]:
    sent = completed(messages, model_name=MODEL, today=TODAY)
    return [
        message["function_response"].get("id") for message in sent if "function_response" in message
    ]


class TestSignatures:
    def test_are_added_to_the_first_call_of_each_step(self) -> None:
        steps = [call("f"), call("g"), result("f"), result("g"), call("f"), result("f")]
        assert signatures(steps) == [PLACEHOLDER, None, PLACEHOLDER]

    def test_that_are_known_stay(self) -> None:
        assert signatures([call(thought_signature="s"), call(), result()]) == ["s", None]

    @pytest.mark.parametrize(
        ("model_name", "today", "wanted"),
        [
            ("gemini-2.5-flash", date(2026, 11, 30), False),
            ("gemini-2.5-flash", date(2026, 12, 1), True),  # a Gemini 3 answers from then on
            ("gemini-2.0-flash", date(2026, 12, 1), False),
            ("gemini-3.6-flash", date(2026, 11, 30), True),
            ("tuned-model", date(2026, 11, 30), True),
        ],
    )
    def test_are_for_models_that_want_them(
        self, model_name: str, today: date, *, wanted: bool
    ) -> None:
        found = signatures([call()], model_name=model_name, today=today)
        assert found == [PLACEHOLDER if wanted else None]

    def test_are_not_written_into_what_was_asked(self) -> None:
        messages = [call(), result()]
        completed(messages, model_name=MODEL, today=TODAY)
        assert messages == [call(), result()]


class TestIds:
    def test_of_calls_go_to_their_results(self) -> None:
        calls = [call("f", id="1"), call("g", id="2"), call("f", id="3")]
        assert ids(*calls, result("f"), result("g"), result("f")) == ["1", "2", "3"]

    def test_that_are_given_stay(self) -> None:
        calls = [call("f", id="1"), call("f", id="2")]
        assert ids(*calls, result("f", id="2"), result("f")) == ["2", "1"]

    def test_of_other_functions_are_not_taken(self) -> None:
        assert ids(call("f", id="1"), result("g")) == [None]

    def test_are_not_invented(self) -> None:
        assert ids(call("f"), result("f")) == [None]


class TestText:
    def test_tells_calls_and_results(self) -> None:
        assert as_text([{"role": "user", "content": "Hi"}, call(), result()]) == [
            {"role": "user", "content": "Hi"},
            {"role": "model", "content": '[I called the function f with {"a": 1}]'},
            {"role": "user", "content": '[The function f returned {"b": 2}]'},
        ]

    def test_follows_what_the_message_says(self) -> None:
        image = {"type": "image", "media": "m"}
        written = as_text([call() | {"content": "Let me see."}, result() | {"content": [image]}])
        assert written[0]["content"][0] == {"type": "text", "text": "Let me see."}
        assert [part["type"] for part in written[1]["content"]] == ["image", "text"]
