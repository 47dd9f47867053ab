"""Refusals in every shape."""

from __future__ import annotations

import json
from email.utils import parsedate_to_datetime
from typing import Any

import pytest

from creatify_textgen.emulator.api.errors import error_answer, invalid_answer
from creatify_textgen.emulator.requests.validation import Problem
from tests.unit.emulator.builders import CREATED_AT, settings_with


class TestErrorAnswer:
    @pytest.mark.parametrize(
        ("style", "body"),
        [
            ("error", {"error": "No."}),
            ("detail", {"detail": "No."}),
            ("field", {"messages": ["No."]}),
            ("non_field", {"non_field_errors": ["No."]}),
            ("list", ["No."]),
        ],
    )
    def test_writes_4xx_in_the_style_switched_on(self, style: str, body: Any) -> None:
        answer = error_answer(400, settings=settings_with(error_body=style), text="No.")
        assert json.loads(answer.body) == body
        assert answer.content_type == "application/json"

    def test_writes_4xx_as_text_and_html_too(self) -> None:
        text = error_answer(404, settings=settings_with(error_body="text"))
        assert (text.content_type, text.body) == ("text/plain; charset=utf-8", b"Not found.")
        page = error_answer(404, settings=settings_with(error_body="html"))
        assert page.body.startswith(b"<html>")

    def test_writes_500_as_text_and_gateway_errors_as_html(self) -> None:
        failure = error_answer(500, settings=settings_with())
        assert failure.body == b"Internal Server Error"
        gateway = error_answer(502, settings=settings_with())
        assert (gateway.content_type, b"502 Bad Gateway" in gateway.body) == ("text/html", True)

    def test_speaks_as_django_under_api(self) -> None:
        answer = error_answer(401, settings=settings_with(), legacy=True)
        assert json.loads(answer.body) == {
            "detail": "Authentication credentials were not provided."
        }

    @pytest.mark.parametrize("status", [429, 503])
    def test_says_when_to_come_back(self, status: int) -> None:
        settings = settings_with(retry_after_seconds=7)
        assert error_answer(status, settings=settings).headers == {"Retry-After": "7"}
        assert error_answer(status, settings=settings_with(retry_after="none")).headers == {}

    def test_says_it_as_a_date_too(self) -> None:
        settings = settings_with(retry_after="date", retry_after_seconds=59)
        answer = error_answer(429, settings=settings, now=CREATED_AT)
        moment = parsedate_to_datetime(answer.headers["Retry-After"])
        assert (moment - CREATED_AT.replace(microsecond=0)).total_seconds() == 60


class TestInvalidAnswer:
    PROBLEMS = (Problem("messages[0].role", "Wrong."), Problem("config.seed", "Wrong too."))

    def test_names_what_is_wrong(self) -> None:
        answer = invalid_answer(self.PROBLEMS, settings=settings_with(), legacy=False)
        text = "messages[0].role: Wrong.; config.seed: Wrong too."
        assert json.loads(answer.body) == {"error": text}

    def test_names_the_field_as_django_does(self) -> None:
        answer = invalid_answer(self.PROBLEMS, settings=settings_with(), legacy=True)
        assert list(json.loads(answer.body)) == ["messages"]
