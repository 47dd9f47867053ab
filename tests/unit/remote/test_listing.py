"""The list, item by item, wherever its bytes are cut."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from creatify_textgen.exceptions import ContractError
from creatify_textgen.remote.listing import ListReader

ITEMS = [{"id": "a", "text": 'ü, ] } " \\'}, {}, 12, 12.5, "x", None, [[1], {"b": [2]}]]


def read(blocks: Iterable[bytes], *, item_cap: int = 10_000_000) -> tuple[list[Any], str]:
    reader = ListReader(blocks, item_cap=item_cap)
    return [str(item) for item in reader.items()], reader.next_url


def as_text(items: list[Any]) -> list[str]:
    return [str(item) for item in items]


class TestItems:
    @pytest.mark.parametrize("indent", [None, 2])
    def test_reads_an_array_at_every_split(self, indent: int | None) -> None:
        body = json.dumps(ITEMS, indent=indent, ensure_ascii=False).encode()

        for cut in range(len(body)):
            assert read([body[:cut], body[cut:]]) == (as_text(ITEMS), ""), cut

    @pytest.mark.parametrize(
        "keys", [["next", "results"], ["results", "next"], ["count", "results", "x", "next"]]
    )
    def test_reads_an_envelope_in_any_order(self, keys: list[str]) -> None:
        values = {"next": "/p2", "results": ITEMS, "count": 12345, "x": {"results": [1]}}
        body = json.dumps({key: values[key] for key in keys}).encode()

        for size in (1, 7, len(body)):
            blocks = [body[at : at + size] for at in range(0, len(body), size)]
            assert read(blocks) == (as_text(ITEMS), "/p2")

    @pytest.mark.parametrize("body", ["[]", " [ ] ", '{"results": [], "next": null}'])
    def test_reads_an_empty_list(self, body: str) -> None:
        assert read([body.encode()]) == ([], "")

    @pytest.mark.parametrize(
        "body",
        [
            "",
            "null",
            "<html>",
            "[",
            "[1",
            "[1,",
            "[1,]",
            "[1 2]",
            "[1]]",
            "[1] x",
            "{}",
            '{"error": "no"}',
            '{"results": null}',
            '{"results" [1]}',
            '{"results": [1]',
            '{"results": [1], ',
            "[{]",
            "[,]",
            "[" * 100_000,
        ],
        ids=lambda body: body[:18],
    )
    def test_refuses_anything_but_a_whole_list(self, body: str) -> None:
        with pytest.raises(ContractError):
            read([body.encode()])

    def test_yields_items_before_the_rest_has_come(self) -> None:
        def blocks() -> Iterator[bytes]:
            yield b'[{"id": "a"}' + b" " * 70_000
            raise AssertionError("waited for more")

        assert next(ListReader(blocks(), item_cap=100).items()) == {"id": "a"}

    @given(st.lists(st.dictionaries(st.text(), st.text() | st.integers())), st.integers(1, 50))
    def test_does_not_depend_on_the_cuts(self, items: list[Any], size: int) -> None:
        body = json.dumps(items).encode()

        assert read(body[at : at + size] for at in range(0, len(body), size)) == (
            as_text(items),
            "",
        )


class TestUnreadable:
    BAD = (
        '["a" "b"]',
        '"\\x"',
        "[" * 20_000 + "]" * 20_000,
        "tru",
        '{"a": "x, ] } \\" y", "b": 1 2}',
    )

    @pytest.mark.parametrize("bad", BAD, ids=lambda bad: bad[:20])
    def test_is_stepped_over_at_every_split(self, bad: str) -> None:
        body = f'[1, {bad}, {{"id": 2}}, {bad}]'.encode()

        for cut in range(0, len(body), max(1, len(body) // 50)):
            reader = ListReader([body[:cut], body[cut:]], item_cap=1_000_000)
            assert (list(reader.items()), reader.unreadable) == ([1, {"id": 2}], 2), cut

    @pytest.mark.parametrize("size", [7, 1001, 70_000])
    def test_is_an_item_above_the_cap(self, size: int) -> None:
        long = json.dumps({"a": ['", \\' * 40_000, {"b": []}]})
        body = f'{{"results": [1, {long}, 2], "next": "/p2"}}'.encode()
        blocks = [body[at : at + size] for at in range(0, len(body), size)]
        reader = ListReader(blocks, item_cap=100)

        assert (list(reader.items()), reader.unreadable, reader.next_url) == ([1, 2], 1, "/p2")

    def test_may_stand_beside_the_results(self) -> None:
        assert read([b'{"count": NaN, "results": [1], "next": "/p2"}']) == (["1"], "/p2")

    def test_may_hide_that_the_list_goes_on(self) -> None:
        reader = ListReader([b'{"results": [1], "next": undefined}'], item_cap=100)

        assert (list(reader.items()), reader.next_url, reader.has_other_keys) == ([1], "", True)


class TestBounds:
    def test_keeps_nothing_of_an_item_above_the_cap(self) -> None:
        def blocks() -> Iterator[bytes]:
            yield b'["'
            for _ in range(640):
                yield b"x" * 65536
            yield b'", 1]'

        tracemalloc.start()
        reader = ListReader(blocks(), item_cap=1_000_000)
        items = list(reader.items())
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()

        assert (items, reader.unreadable) == ([1], 1)
        assert peak < 8_000_000

    def test_holds_little_of_a_long_list(self) -> None:
        item = json.dumps({"id": "x" * 10_000}).encode()

        def blocks() -> Iterator[bytes]:
            yield b"[" + item
            for _ in range(2000):
                yield b"," + item
            yield b"]"

        tracemalloc.start()
        count = sum(1 for _ in ListReader(blocks(), item_cap=100_000).items())
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()

        assert count == 2001
        assert peak < 1_000_000
