from __future__ import annotations

from base64 import b64encode
from typing import Any
from urllib.parse import urlencode

import pytest
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.request import Request
from rest_framework.test import APIRequestFactory

from creatify_textgen.models import Generation
from creatify_textgen.rest.pagination import GenerationPages


def request_with(**query: Any) -> Request:
    return Request(APIRequestFactory().get("/", query))


def cursor(**tokens: str) -> str:
    return b64encode(urlencode(tokens).encode()).decode()


class TestOrdering:
    def ordering(self, **query: str) -> tuple[str, ...]:
        return GenerationPages().get_ordering(
            request_with(**query), Generation.objects.none(), None
        )

    def test_is_newest_first(self) -> None:
        assert self.ordering() == ("-created_at", "-id")

    def test_is_what_was_asked_for(self) -> None:
        assert self.ordering(ordering="updated_at") == ("updated_at", "id")

    @pytest.mark.parametrize("asked", ["owner__password", "id", "-", "created_at,id"])
    def test_is_one_of_a_few(self, asked: str) -> None:
        with pytest.raises(ValidationError):
            self.ordering(ordering=asked)


class TestCursor:
    def test_keeps_a_position(self) -> None:
        text = "2026-11-22 12:00:00.5+00:00"
        decoded = GenerationPages().decode_cursor(request_with(cursor=cursor(p=text)))
        assert decoded.position == "2026-11-22 12:00:00.500000+00:00"

    @pytest.mark.parametrize(
        "text",
        [
            pytest.param("ü", id="not ascii"),
            pytest.param("x", id="not base64"),
            pytest.param(cursor(p="yesterday"), id="no time"),
            pytest.param(cursor(p=""), id="empty"),
            pytest.param(cursor(p="0001-01-01T00:00:00+14:00"), id="before the calendar"),
            pytest.param(cursor(o="-1"), id="negative offset"),
            pytest.param(cursor(r="x"), id="no direction"),
        ],
    )
    def test_of_a_stranger_is_not_found(self, text: str) -> None:
        with pytest.raises(NotFound):
            GenerationPages().decode_cursor(request_with(cursor=text))
