"""Bodies of every kind of wrong: each an error of status 4xx, never another exception."""

from __future__ import annotations

import io
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rest_framework.exceptions import ParseError, UnsupportedMediaType

from creatify_textgen.http.parsers import (
    MAX_DEPTH,
    BodyTooLarge,
    StrictJSONParser,
    UploadParser,
    content_length,
)


def parse(raw: bytes, media_type: str = "application/json") -> Any:
    return StrictJSONParser().parse(io.BytesIO(raw), media_type, {})


class TestStrictJSONParser:
    def test_reads_an_object(self) -> None:
        assert parse(b'{"a": [1, 2.5, null, "\xc3\xa9"]}') == {"a": [1, 2.5, None, "é"]}

    def test_reads_over_a_byte_order_mark(self) -> None:
        assert parse(b"\xef\xbb\xbf{}") == {}

    @pytest.mark.parametrize(
        "raw",
        [
            pytest.param(b"", id="nothing"),
            pytest.param(b"{", id="cut"),
            pytest.param(b"{} {}", id="two values"),
            pytest.param(b"{'a': 1}", id="single quotes"),
            pytest.param(b'{"a": 1,}', id="trailing comma"),
            pytest.param(b'{"a": NaN}', id="NaN"),
            pytest.param(b'{"a": Infinity}', id="Infinity"),
            pytest.param(b'{"a": -Infinity}', id="minus Infinity"),
            pytest.param(b'{"a": 1e999}', id="a number beyond floats"),
            pytest.param(b'{"a": %s}' % (b"9" * 5000), id="a number of 5,000 digits"),
            pytest.param(b'{"a": 1, "a": 2}', id="a name twice"),
            pytest.param(b'{"b": {"\\ud800": 1, "\\ud800": 2}}', id="a lone surrogate twice"),
            pytest.param(b'{"a": "\xff"}', id="not UTF-8"),
            pytest.param('{"a": 1}'.encode("utf-16"), id="UTF-16"),
            pytest.param(b'{"a": "\x00"}', id="a raw NUL"),
            pytest.param(b"[" * 100_000, id="100,000 open brackets"),
            pytest.param(b'{"a":' * 50_000 + b"1" + b"}" * 50_000, id="50,000 levels of objects"),
            pytest.param(b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1), id="one level too many"),
        ],
    )
    def test_refuses(self, raw: bytes) -> None:
        with pytest.raises(ParseError):
            parse(raw)

    def test_takes_the_deepest_that_is_allowed(self) -> None:
        assert parse(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH)

    def test_counts_depth_and_not_brackets(self) -> None:
        assert len(parse(b"[" + b"[]," * 500 + b"[]]")) == 501

    @pytest.mark.parametrize("charset", ["utf-16", "punycode", "nonsense"])
    def test_refuses_another_charset(self, charset: str) -> None:
        with pytest.raises(UnsupportedMediaType):
            parse(b"{}", f"application/json; charset={charset}")

    @pytest.mark.parametrize("charset", ["utf-8", "UTF-8", '"utf8"'])
    def test_takes_the_names_of_utf8(self, charset: str) -> None:
        assert parse(b"{}", f"application/json; charset={charset}") == {}

    @given(st.binary(max_size=200) | st.text("{}[]:,\"'\\ue0 \u0000", max_size=60).map(str.encode))
    def test_never_raises_but_refusals(self, raw: bytes) -> None:
        with suppress(ParseError):
            parse(raw)


class TestUploadParser:
    def test_refuses_by_the_stated_length(self) -> None:
        request = SimpleNamespace(META={"CONTENT_LENGTH": str(200 * 1024 * 1024)})
        with pytest.raises(BodyTooLarge):
            UploadParser().parse(io.BytesIO(), "multipart/form-data", {"request": request})


class TestContentLength:
    @pytest.mark.parametrize(
        ("stated", "length"),
        [("12", 12), ("", 0), (None, 0), ("-1", 0), ("1e3", 0), ("٣", 0), ("²", 0)],
    )
    def test_reads_digits_only(self, stated: str | None, length: int) -> None:
        assert content_length(SimpleNamespace(META={"CONTENT_LENGTH": stated})) == length
