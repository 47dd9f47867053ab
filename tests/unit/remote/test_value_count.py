"""An answer may not take far more memory than its bytes, whatever JSON it has."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable
from contextlib import suppress
from itertools import repeat
from typing import Any

import pytest

from creatify_textgen.exceptions import ContractError
from creatify_textgen.intake import accept
from creatify_textgen.remote import protocol, transport
from creatify_textgen.remote.client import DEFAULT_MAX_ANSWER_BYTES
from creatify_textgen.remote.event_json import read_event
from creatify_textgen.remote.listing import ListReader
from creatify_textgen.remote.value_count import MOST_MARKS, refuse_many

MIB = 1024 * 1024
MOST_GROWTH = 40 * MIB
"""Beside the text."""
ID = "11111111-2222-3333-4444-555555555555"
HEAD = f'{{"id":"{ID}","status":"done","x":['
BOMBS = {
    "objects": "{},",
    "lists": "[],",
    "numbers": "1,",
    "fractions": "1.5,",
    "strings": '"ab",',
    "keys": '{"a":{"b":[]}},',
}


def growth(action: Callable[[], Any]) -> int:
    tracemalloc.start()
    try:
        with suppress(ContractError, ValueError):
            action()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def bomb(piece: str, *, size: int) -> str:
    return HEAD + piece * (size // len(piece)) + "0]}"


@pytest.mark.parametrize("piece", BOMBS.values(), ids=list(BOMBS))
class TestBomb:
    def test_in_an_answer(self, piece: str) -> None:
        body = bomb(piece, size=DEFAULT_MAX_ANSWER_BYTES - 1000).encode()
        assert growth(lambda: protocol.parse_generation(body)) < len(body) + MOST_GROWTH

    def test_in_an_event(self, piece: str) -> None:
        text = bomb(piece, size=2 * MIB)
        assert growth(lambda: read_event(text)) < MOST_GROWTH
        assert read_event(text) == (text, None)


class TestTextInACall:
    """A call may be a JSON text, or have one, and each of them is small."""

    @pytest.mark.parametrize("name", ["args", "functionCall"])
    def test_is_kept_as_text_if_all_are_too_long(self, name: str) -> None:
        text = json.dumps({"x": [{}] * 100_000})
        calls = [{"name": "f", name: text}] * 80
        body = json.dumps({"id": ID, "status": "done", "response_function_calls": calls}).encode()
        assert growth(lambda: protocol.parse_generation(body)) < 3 * len(body) + MOST_GROWTH
        found = protocol.parse_generation(body).response_function_calls
        assert found[0]["args"]["value"] == text

    def test_is_read_if_a_model_may_have_written_it(self) -> None:
        arguments = {"text": "[{,:}] " * 5_000, "rows": [[1, 2]] * 5_000}
        calls = [{"name": "f", "args": json.dumps(arguments)}] * 3
        found = protocol.parse_generation({"id": ID, "response_function_calls": calls})
        assert [call["args"] for call in found.response_function_calls] == [arguments] * 3


class TestList:
    def test_leaves_a_bomb_out_and_reads_what_follows(self) -> None:
        text = f'[{bomb("{},", size=MIB)},{{"id":"{ID}"}}]'.encode()
        blocks = [text[at : at + 65536] for at in range(0, len(text), 65536)]
        reader = ListReader(blocks, item_cap=DEFAULT_MAX_ANSWER_BYTES)
        assert list(reader.items()) == [{"id": ID}]
        assert reader.unreadable == 1


class TestLongText:
    def test_is_no_bomb(self) -> None:
        """A text may have as many brackets and commas as it likes."""
        said = '[{,:}] \\" \u4e16' * 100_000
        body = json.dumps({"id": ID, "status": "done", "response_text": said}).encode()
        assert protocol.parse_generation(body).response_text == said

    @pytest.mark.parametrize(
        "piece", ["[{,:}]", '"', "\\", '\\"[', '",{"', "\n,", "\u2028:", "\U0001f600,"], ids=repr
    )
    @pytest.mark.parametrize("ascii_only", [True, False])
    def test_in_an_event_is_read(self, piece: str, ascii_only: bool) -> None:
        said = piece * (600_000 // len(piece))
        parts = [{"text": said}, {"text": said[:-1]}]
        event = {"candidates": [{"content": {"parts": parts}}]}
        text = json.dumps(event, ensure_ascii=ascii_only)
        refuse_many(text, most=30)
        assert read_event(text) == (text, event)

    def test_that_fills_the_answer_is_read(self) -> None:
        said = "x" * (DEFAULT_MAX_ANSWER_BYTES - 1000)
        body = json.dumps({"id": ID, "status": "done", "response_text": said}).encode()
        assert growth(lambda: protocol.parse_generation(body)) < 3 * len(body)
        assert protocol.parse_generation(body).response_text == said

    def test_of_a_request_that_was_accepted_is_read(self) -> None:
        """Whatever the remote repeats of it, and however it is written."""
        rows = [{"a": {}, "b": [], "c": 1} for _ in range(32_000)]
        response = {"name": "table", "response": {"rows": rows}}
        messages = [{"role": "user", "function_response": response}]
        accept(messages)
        answer = {"id": ID, "status": "done", "messages": messages, "response_text": "x"}
        assert protocol.parse_generation(json.dumps(answer).encode()).response_text == "x"


class TestRefuseMany:
    def test_counts_only_the_value_that_begins_there(self) -> None:
        small = '{"a":[1,2,3]},'
        refuse_many(small * 100_000, 0)

    def test_accepts_what_is_just_few_enough(self) -> None:
        refuse_many("[" + "1,".ljust(8) * (MOST_MARKS - 3) + "1]")


class TestBlocksOfOneByte:
    def test_take_no_more_than_their_bytes(self) -> None:
        blocks = repeat(b" ", MIB // 8)
        assert growth(lambda: transport.read_whole(iter(blocks), cap=8 * MIB)) < MIB // 2
