"""Bodies with media: exact lengths, blocks, memory, and media that are not what they said."""

from __future__ import annotations

import base64
import io
import json
import tracemalloc
from dataclasses import dataclass
from typing import Any, BinaryIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from urllib3 import HTTPConnectionPool
from urllib3.exceptions import ReadTimeoutError

from creatify_textgen.exceptions import RequestError, TextgenError
from creatify_textgen.remote.body import BLOCK_BYTES, JsonBody


@dataclass
class Medium:
    content: bytes
    size: int
    opened: int = 0

    def open(self) -> BinaryIO:
        self.opened += 1
        return io.BytesIO(self.content)


class Zeros(io.RawIOBase):
    """Any number of zeros, given a few at a time as a network does."""

    def __init__(self, size: int) -> None:
        self._left = size

    def readinto(self, buffer: Any) -> int:
        count = min(len(buffer), self._left, 50_000)
        buffer[:count] = bytes(count)
        self._left -= count
        return count

    def readable(self) -> bool:
        return True


@dataclass
class ZeroMedium:
    size: int

    def open(self) -> Any:
        return Zeros(self.size)


def medium(content: bytes) -> Medium:
    return Medium(content, len(content))


class TestJsonBody:
    def test_cuts_much_text_into_blocks_as_it_does_media(self) -> None:
        prompt = "ü" * 4_000_000
        body = JsonBody({"before": prompt, "data": medium(b"x" * 1_000_000), "behind": prompt})
        blocks = list(body)

        assert max(map(len, blocks)) < BLOCK_BYTES + 64 * 1024
        assert sum(map(len, blocks)) == len(body)
        assert json.loads(b"".join(blocks))["behind"] == prompt

    @pytest.mark.parametrize(
        "size", [0, 1, 2, 3, 4, BLOCK_BYTES // 4 * 3, BLOCK_BYTES, BLOCK_BYTES * 3 + 1]
    )
    def test_encodes_media_of_any_size(self, size: int) -> None:
        content = bytes(range(256)) * (size // 256 + 1)
        body = JsonBody({"data": medium(content[:size]), "after": "ü"})

        blocks = list(body)

        assert sum(map(len, blocks)) == len(body)
        assert json.loads(b"".join(blocks)) == {
            "data": base64.b64encode(content[:size]).decode(),
            "after": "ü",
        }
        assert all(len(block) >= 64 * 1024 for block in blocks[:-1])

    def test_may_be_sent_again(self) -> None:
        image = medium(b"abc")
        body = JsonBody({"data": image})

        assert list(body) == list(body)
        assert image.opened == 2

    def test_keeps_several_media_in_order(self) -> None:
        body = JsonBody(
            {"parts": [{"data": medium(b"a")}, {"data": "Yg=="}, {"data": medium(b"c")}]}
        )

        found = json.loads(b"".join(body))["parts"]

        assert [base64.b64decode(part["data"]) for part in found] == [b"a", b"b", b"c"]

    @given(st.text())
    def test_carries_any_text(self, text: str) -> None:
        body = JsonBody({"text": text, "data": medium(b"x")})

        assert len(body) == len(b"".join(body))
        expected = text.encode("utf-8", "replace").decode()
        assert json.loads(b"".join(body))["text"] == expected

    @pytest.mark.parametrize(
        "value", [float("nan"), pytest.param(object(), id="object()"), b"bytes", {1, 2}], ids=repr
    )
    def test_refuses_what_is_no_json(self, value: Any) -> None:
        with pytest.raises(RequestError):
            JsonBody({"value": value})

    def test_refuses_what_is_too_deep(self) -> None:
        value: list[Any] = []
        for _ in range(100_000):
            value = [value]

        with pytest.raises(RequestError):
            JsonBody({"value": value})

    @pytest.mark.parametrize("size", [2, 4])
    def test_refuses_media_of_another_size(self, size: int) -> None:
        with pytest.raises(RequestError):
            list(JsonBody({"data": Medium(b"abc", size)}))

    def test_translates_media_that_are_gone(self) -> None:
        class Gone(Medium):
            def open(self) -> BinaryIO:
                raise FileNotFoundError("/srv/secret-name.png")

        with pytest.raises(RequestError) as caught:
            list(JsonBody({"data": Gone(b"", 1)}))

        assert "secret-name" not in str(caught.value)

    def test_does_not_take_an_error_of_the_storage_for_one_of_the_connection(self) -> None:
        class Failing(Medium):
            def open(self) -> BinaryIO:
                raise ReadTimeoutError(HTTPConnectionPool("storage.example"), "/", "no answer")

        with pytest.raises(TextgenError) as caught:
            list(JsonBody({"data": Failing(b"", 1)}))

        assert caught.value.code == "media_storage_failed"

    def test_shows_no_content(self) -> None:
        assert "secret" not in repr(JsonBody({"text": "secret"}))

    def test_never_holds_a_whole_medium(self) -> None:
        body = JsonBody({"data": ZeroMedium(20 * 1024 * 1024)})

        tracemalloc.start()
        sent = sum(len(block) for block in body)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()

        assert sent == len(body)
        assert peak < 4 * 1024 * 1024
