"""JSON bodies in blocks, with media pulled out on the way in."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from creatify_textgen.emulator.requests.bodies import BodyError, JsonBody, loggable
from creatify_textgen.emulator.requests.media import Media

CONTENT = bytes(range(256)) * 40
ENCODED = base64.b64encode(CONTENT).decode()


def parse(raw: bytes, *, block: int = 1_000, keep: bool = False) -> Any:
    body = JsonBody(keep_media=keep)
    for start in range(0, len(raw), block):
        body.feed(raw[start : start + block])
    return body.parse()


def media_in(raw: bytes, *, block: int = 1_000, keep: bool = False) -> Media:
    media = parse(raw, block=block, keep=keep)["data"]
    assert isinstance(media, Media)
    return media


class TestParse:
    @pytest.mark.parametrize("block", [1, 7, 100, 4096, 100_000])
    def test_replaces_long_media_by_facts(self, block: int) -> None:
        raw = json.dumps({"type": "video", "data": ENCODED, "after": "é"}).encode()
        media = media_in(raw, block=block)
        assert (media.size, media.sha256) == (len(CONTENT), hashlib.sha256(CONTENT).hexdigest())
        assert (media.valid, media.encoded) == (True, None)
        assert parse(raw, block=block)["after"] == "é"

    def test_keeps_the_base64_where_it_is_to_be_echoed(self) -> None:
        raw = json.dumps({"type": "video", "data": ENCODED}).encode()
        assert media_in(raw, keep=True).encoded == ENCODED

    def test_replaces_short_media_too(self) -> None:
        assert media_in(b'{"type": "image", "data": "AAAA"}').size == 3

    def test_leaves_other_data_alone(self) -> None:
        raw = b'{"args": {"data": "AAAA", "deep": {"data": 3}}}'
        assert parse(raw) == {"args": {"data": "AAAA", "deep": {"data": 3}}}

    def test_takes_several_media_in_one_body(self) -> None:
        part = {"type": "image", "data": ENCODED}
        parts = parse(json.dumps([part, part, part]).encode())
        assert [each["data"].size for each in parts] == [len(CONTENT)] * 3

    def test_accepts_escaped_slashes(self) -> None:
        content = b"\xff\xff\xff" * 2_000
        escaped = base64.b64encode(content).decode().replace("/", "\\/")
        raw = b'{"type": "image", "data": "' + escaped.encode() + b'"}'
        assert media_in(raw, block=999).size == len(content)

    @pytest.mark.parametrize("block", [1, 2, 3, 50])
    def test_is_not_fooled_by_escaped_quotes(self, block: int) -> None:
        value = {"text": 'say "data": "x"', "data": 'a\\"b\\\\', "end": 1}
        assert parse(json.dumps(value).encode(), block=block) == value

    @pytest.mark.parametrize(
        "tail",
        ["!", "=A", "A", "====", "-_", "\\n"],
        ids=["sign", "pad", "odd", "pads", "url", "n"],
    )
    def test_notices_what_is_not_base64(self, tail: str) -> None:
        raw = f'{{"type": "image", "data": "{ENCODED}{tail}"}}'.encode()
        assert not media_in(raw).valid

    def test_notices_padding_in_the_middle(self) -> None:
        padded = base64.b64encode(CONTENT[:10_001]).decode()
        raw = json.dumps({"type": "image", "data": padded + ENCODED}).encode()
        assert not media_in(raw, block=len(padded) + 27).valid

    @pytest.mark.parametrize(
        "raw",
        [
            b"",
            b"{",
            b"nonsense",
            b'{"a": NaN}',
            b'{"a": Infinity}',
            b'"\xff"',
            b'"\\ud800"',
            b"[" * 5_000 + b"]" * 5_000,
            b'{"data": "' + b"A" * 5_000,
        ],
        ids=["empty", "cut", "word", "nan", "infinity", "utf8", "surrogate", "deep", "open"],
    )
    def test_refuses_what_is_not_json(self, raw: bytes) -> None:
        with pytest.raises(BodyError):
            parse(raw)

    def test_refuses_too_much_text(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("creatify_textgen.emulator.requests.bodies.TEXT_LIMIT", 100)
        with pytest.raises(OverflowError):
            JsonBody().feed(b"x" * 101)

    @given(
        st.recursive(
            st.none() | st.integers() | st.text(),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(st.sampled_from(["data", "a", '"']), inner, max_size=3)
            ),
            max_leaves=8,
        ),
        st.integers(1, 40),
    )
    def test_reads_what_json_reads(self, value: Any, block: int) -> None:
        raw = json.dumps(value, ensure_ascii=False).encode()
        assert parse(raw, block=block) == json.loads(raw)


class TestLoggable:
    def test_tells_media_by_size_and_hash(self) -> None:
        value = loggable(parse(b'[{"type": "image", "data": "AAAA"}]'))
        digest = hashlib.sha256(bytes(3)).hexdigest()
        assert value == [{"type": "image", "data": {"size": 3, "sha256": digest}}]

    def test_cuts_long_texts(self) -> None:
        assert len(loggable("x" * 1_000_000)) < 70_000

    def test_refuses_what_is_nested_too_deeply(self) -> None:
        value: list[Any] = []
        for _ in range(5_000):
            value = [value]
        with pytest.raises(BodyError):
            loggable(value)
