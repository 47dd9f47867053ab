"""Keys that a stream cuts between two chunks."""

from __future__ import annotations

import json
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from creatify_textgen.exceptions import StreamError
from creatify_textgen.remote import RemoteGeneration
from creatify_textgen.remote.chunk_reader import ChunkReader
from creatify_textgen.remote.redaction import without_secrets
from creatify_textgen.remote.split_secrets import SplitSecrets

KEY = "9f8e7d6c-5b4a"
SECRETS = (KEY, "abcabcabcabd", "/path/of/the/site")
ALPHABET = "9f8eabcd/pt h"
"""Letters of which texts are made that begin like a secret again and again."""
FAVORED = st.sampled_from([*SECRETS, KEY[:6], "abcabc", "/path/of", "abcabcabcabcabd"])
TEXTS = st.lists(st.text(ALPHABET, max_size=12) | FAVORED, max_size=8).map("".join)
CUTS = st.lists(st.integers(0, 80), max_size=12)


def cut(text: str, places: Iterable[int]) -> list[str]:
    bounds = [0, *sorted(place % (len(text) + 1) for place in places), len(text)]
    return [text[start:end] for start, end in pairwise(bounds)]


def read(pieces: Iterable[str]) -> str:
    split, said = SplitSecrets(SECRETS), ""
    for piece in pieces:
        if split.is_harmless(piece):
            split.skip(piece)
            said += piece
        else:
            said += split.read(piece)
    return said + split.rest()


class TestText:
    @given(text=TEXTS, places=CUTS)
    def test_gives_out_hardly_the_beginning_of_a_secret(self, text: str, places: list[int]) -> None:
        said = read(cut(text, places))
        for secret in SECRETS:
            assert secret not in said
            assert secret[4:] not in said or secret[4:] in text.replace(secret, " ")

    @given(text=TEXTS.filter(lambda text: not any(s[:8] in text for s in SECRETS)), places=CUTS)
    def test_without_a_secret_stays_as_it_is(self, text: str, places: list[int]) -> None:
        assert read(cut(text, places)) == text

    @pytest.mark.parametrize("at", range(1, len(KEY)))
    def test_is_redacted_wherever_the_key_is_cut(self, at: int) -> None:
        said = read([f"It is {KEY[:at]}", f"{KEY[at:]}, and no other."])
        # Not more of it than many a word begins with.
        begun = KEY[:at] if at <= 3 else ""
        assert said == f"It is {begun}[redacted], and no other."

    def test_ends_with_half_a_key_redacted(self) -> None:
        assert read(["It is ", KEY[:9]]) == "It is [redacted]"
        assert read(["It is ", KEY[:5]]) == f"It is {KEY[:5]}"

    @pytest.mark.parametrize("at", range(1, 4))
    def test_ends_with_half_a_key_redacted_after_its_first_letters(self, at: int) -> None:
        assert read([f"It is {KEY[:at]}", KEY[at:9]]) == f"It is {KEY[:at]}[redacted]"


def event(*texts: str, thought: bool = False, **members: Any) -> bytes:
    parts = [{"text": text, **({"thought": True} if thought else {})} for text in texts]
    chunk = {"candidates": [{"content": {"parts": parts}}], **members}
    return b"data: " + json.dumps(chunk).encode() + b"\n\n"


RECEIPT = {"creatify": {"id": "r1", "credits_used": 1}}
LAST = b"data: " + json.dumps(RECEIPT).encode() + b"\n\n"


class TestStream:
    def read(self, *events: bytes) -> list[Any]:
        reader = ChunkReader(secrets=[KEY])
        chunks = [chunk for one in events for chunk in reader.read(one)]
        return chunks + list(reader.end())

    def test_has_no_key_in_its_text_and_in_what_readers_get(self) -> None:
        chunks = self.read(event(f"It is {KEY[:7]}"), event(KEY[7:], " now"), LAST)
        assert "".join(chunk.text for chunk in chunks) == "It is [redacted] now"
        assert all(KEY[7:] not in chunk.raw for chunk in chunks)

    def test_has_no_key_in_its_thoughts(self) -> None:
        pieces = (event(part, thought=True) for part in (f"It is {KEY[:7]}", f"{KEY[7:]} now"))
        chunks = self.read(*pieces, LAST)
        assert "".join(chunk.thoughts for chunk in chunks) == "It is [redacted] now"
        assert "".join(chunk.text for chunk in chunks) == ""

    @pytest.mark.parametrize("begun", [KEY[:5], "well"])
    def test_loses_nothing_that_only_looked_like_one(self, begun: str) -> None:
        chunks = self.read(event(f"It is {begun}"), LAST)
        assert "".join(chunk.text for chunk in chunks) == f"It is {begun}"
        assert chunks[-1].receipt is not None

    def test_keeps_the_order_of_its_last_chunk(self) -> None:
        finish = {"finishReason": "STOP"}
        last = {"candidates": [{"content": {"parts": [{"text": "d " + KEY[:5]}]}, **finish}]}
        data = b"data: " + json.dumps({**last, **RECEIPT}).encode() + b"\n\n"
        chunks = self.read(event(f"It is {KEY[:4]}"), data)
        assert "".join(chunk.text for chunk in chunks) == f"It is {KEY[:4]}d {KEY[:5]}"
        assert chunks[-1].receipt is not None

    def test_that_breaks_off_keeps_what_it_held_back(self) -> None:
        reader = ChunkReader(secrets=[KEY])
        said = "".join(chunk.text for chunk in reader.read(event(f"It is {KEY[:5]}")))
        end = reader.end()
        said += next(end).text
        with pytest.raises(StreamError):
            next(end)
        assert said == f"It is {KEY[:5]}"

    def test_gives_an_error_the_last_word(self) -> None:
        error = b'data: {"error": {"status": "UNAVAILABLE"}}\n\n'
        reader = ChunkReader(secrets=[KEY])
        chunks = [c for one in (event(f"It is {KEY[:5]}"), error) for c in reader.read(one)]
        assert [chunk.text for chunk in chunks] == ["It is ", KEY[:5], ""]
        assert chunks[-1].error is not None


class TestWebhookPath:
    def test_of_any_row_is_redacted_in_an_answer(self) -> None:
        """A poll does not know the URL that its generation was created with."""
        path = "https://site.example/a/webhooks/01890a5d-ac96-774b-bcce-b302099a8057/"
        said = f"POST {path}{'0f' * 16}/ was answered 404"
        clean = without_secrets(RemoteGeneration("r1", "failed", failed_reason=said), secrets=())
        assert clean.failed_reason == f"POST {path}[redacted]/ was answered 404"
