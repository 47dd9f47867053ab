"""A body in another charset than UTF-8, cut anywhere, has the same text."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

import pytest

from creatify_textgen.exceptions import RemoteUnavailableError
from creatify_textgen.remote.charsets import as_utf8, decoded

TEXT = '{"id": "r1", "response_text": "Zürich für 5 \\u20ac \\n"}'
WIDE = ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"]


def pieces(body: bytes, size: int) -> list[bytes]:
    return [body[at : at + size] for at in range(0, len(body), size)]


def joined(body: bytes, *, size: int = 7, content_type: str = "") -> bytes:
    return b"".join(as_utf8(pieces(body, size), content_type=content_type))


@pytest.mark.parametrize("charset", WIDE)
class TestWide:
    @pytest.mark.parametrize("size", [1, 2, 3, 5, 1000])
    def test_is_read(self, charset: str, size: int) -> None:
        text = TEXT + "\U0001f600"
        assert joined(text.encode(charset), size=size).decode() == text

    def test_is_read_whole(self, charset: str) -> None:
        assert decoded(TEXT.encode(charset)) == TEXT

    def test_is_read_whatever_its_head_declares(self, charset: str) -> None:
        body = TEXT.encode(charset)
        assert joined(body, content_type="text/html; charset=iso-8859-1").decode() == TEXT


class TestUtf8:
    @pytest.mark.parametrize("content_type", ["", "a/b; charset=latin1", "a/b; charset=utf-16"])
    @pytest.mark.parametrize("size", [1, 3, 1000])
    def test_passes_unchanged(self, content_type: str, size: int) -> None:
        body = TEXT.encode()
        assert joined(body, size=size, content_type=content_type) == body

    @pytest.mark.parametrize("body", [b"", b"[", b"[]", b"\xff", b"\xef\xbb\xbf[]"])
    def test_may_be_short_or_wrong(self, body: bytes) -> None:
        assert joined(body) == body

    def test_without_its_mark(self) -> None:
        assert decoded(b"\xef\xbb\xbf[]") == "[]"


class TestDeclared:
    @pytest.mark.parametrize(
        ("charset", "declared"),
        [
            ("iso-8859-1", "application/json;charset=ISO-8859-1"),
            ("cp1252", 'application/json; charset="windows-1252"'),
            ("latin-1", "text/plain; charset=latin1"),
            ("gbk", "text/plain; charset=GBK"),
        ],
    )
    @pytest.mark.parametrize("size", [1, 2, 1000])
    def test_counts_for_what_is_not_utf8(self, charset: str, declared: str, size: int) -> None:
        text = TEXT.replace("ü", "u") + "中文" if charset == "gbk" else TEXT
        assert joined(text.encode(charset), size=size, content_type=declared).decode() == text

    @pytest.mark.parametrize("name", ["zip", "rot13", "unicode_escape", "x" * 99, ""])
    def test_may_be_no_charset(self, name: str) -> None:
        body = b'{"a": "\xfc\\u0041"}'
        assert joined(body, content_type=f"text/plain; charset={name}") == body


class TestBroken:
    @pytest.mark.parametrize("charset", ["utf-8", "utf-16", "latin-1"])
    def test_yields_what_came_first(self, charset: str) -> None:
        def blocks() -> Iterator[bytes]:
            yield TEXT.encode(charset)
            raise RemoteUnavailableError("cut")

        kept = bytearray()
        with pytest.raises(RemoteUnavailableError):
            deque(map(kept.extend, as_utf8(blocks(), content_type="a/b; charset=latin-1")))
        assert kept.decode() == TEXT

    @pytest.mark.parametrize("body", [b"[", b"[]"])
    def test_yields_the_little_that_came(self, body: bytes) -> None:
        def blocks() -> Iterator[bytes]:
            yield body
            raise RemoteUnavailableError("cut")

        kept = bytearray()
        with pytest.raises(RemoteUnavailableError):
            deque(map(kept.extend, as_utf8(blocks())))
        assert kept == body
