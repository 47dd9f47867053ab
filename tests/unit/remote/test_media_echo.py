"""Echoed media are dropped on the way in, and nothing else is."""

from __future__ import annotations

import base64
import hashlib
import json
import os
from textwrap import wrap

import pytest
from hypothesis import given
from hypothesis import strategies as st

from creatify_textgen.remote.media_echo import THRESHOLD_BYTES, digest_of, without_media

MEDIUM = base64.b64encode(os.urandom(THRESHOLD_BYTES)).decode()
DIGEST = "sha256:" + hashlib.sha256(base64.b64decode(MEDIUM)).hexdigest()


def filtered(body: bytes, *, size: int) -> bytes:
    return b"".join(without_media(body[at : at + size] for at in range(0, len(body), size)))


class TestWithoutMedia:
    @pytest.mark.parametrize("size", [1, 7, 4096, 65536, 10_000_000])
    @pytest.mark.parametrize("indent", [None, 2])
    def test_puts_a_digest_for_long_base64(self, size: int, indent: int | None) -> None:
        parts = [
            {"type": "image", "data": MEDIUM},
            {"type": "text", "text": "x"},
            {"data": MEDIUM, "type": "video"},
        ]

        kept = json.loads(filtered(json.dumps(parts, indent=indent).encode(), size=size))

        assert kept == [
            {"type": "image", "data": DIGEST},
            {"type": "text", "text": "x"},
            {"data": DIGEST, "type": "video"},
        ]

    @pytest.mark.parametrize(
        "value",
        [
            {"data": "iVBORw0KGgo="},
            {"data": "word " * THRESHOLD_BYTES},
            {"data": "A" * (THRESHOLD_BYTES - 1)},
            {"data": ""},
            {"data": {"data": "x"}},
            {"text": MEDIUM},
            {"text": f'"data": "{MEDIUM}"'},
            {"data": "A" * 100 + '"' + "B" * 100},
        ],
        ids=["short", "words", "just short", "empty", "nested", "no data", "in a text", "quote"],
    )
    @pytest.mark.parametrize("size", [1000, 10_000_000])
    def test_keeps_everything_else(self, value: object, size: int) -> None:
        body = json.dumps(value).encode()

        assert filtered(body, size=size) == body

    def test_drops_escaped_solidi_too(self) -> None:
        body = json.dumps({"data": MEDIUM}).replace("/", "\\/").encode()

        assert json.loads(filtered(body, size=1000)) == {"data": DIGEST}

    @pytest.mark.parametrize("size", [1, 3, 1000])
    def test_sees_through_escaped_line_ends(self, size: int) -> None:
        body = json.dumps({"data": "\r\n".join(wrap(MEDIUM, 76))}).encode()

        assert json.loads(filtered(body, size=size)) == {"data": DIGEST}

    def test_leaves_a_cut_answer_cut(self) -> None:
        assert filtered(b'[{"data": "' + MEDIUM.encode(), size=1000) == b'[{"data": "'
        assert filtered(b'[{"data": "AAA', size=3) == b'[{"data": "AAA'

    @given(st.lists(st.binary(max_size=30)))
    def test_passes_arbitrary_bytes(self, blocks: list[bytes]) -> None:
        assert b"".join(without_media(blocks)) == b"".join(blocks)


class TestDigestOf:
    @pytest.mark.parametrize("prefix", ["", "data:image/png;base64,", "DATA:video/x-flv;base64,"])
    def test_is_of_the_medium_without_the_prefix_of_a_url(self, prefix: str) -> None:
        assert f"sha256:{digest_of(prefix + MEDIUM)}" == DIGEST
