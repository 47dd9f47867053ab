"""The list, page by page: what is found stays found, and what was not read is said."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest

from creatify_textgen.exceptions import ContractError, RemoteError, RemoteUnavailableError
from creatify_textgen.remote import (
    Listing,
    RemoteClock,
    RemoteGeneration,
    pages,
    parse_generation,
)
from creatify_textgen.remote.pages import Page, read_pages
from tests.unit.remote.samples import sample

FIRST = "https://remote.example/list/"
CLOCK = RemoteClock(datetime(2026, 11, 30, tzinfo=UTC), 1.0, 2.0)


def everything(_remote: RemoteGeneration) -> bool:
    return True


def listing_of(
    bodies: dict[str, str | Exception] | str,
    *,
    keep: Callable[[RemoteGeneration], bool] = everything,
    clock: RemoteClock | None = None,
    is_part: bool = False,
) -> Listing:
    """Read pages that are given by their URL, or the only page."""
    by_url = {FIRST: bodies} if isinstance(bodies, str) else bodies

    @contextmanager
    def open_page(url: str) -> Iterator[Page]:
        body = by_url[url]
        if isinstance(body, Exception):
            raise body
        yield Page([body.encode()], parse_generation, clock, is_part=is_part)

    return read_pages(FIRST, open_page, keep=keep, item_cap=10_000)


def page(*ids: Any, following: str | None = None) -> str:
    return json.dumps({"results": [{"id": name} for name in ids], "next": following})


def ids(listing: Listing) -> list[str]:
    return [remote.id for remote in listing.generations]


class TestWholeList:
    @pytest.mark.parametrize("name", ["list_array.json", "list_envelope.json"])
    def test_is_read_from_either_form(self, name: str) -> None:
        following = f"{FIRST}?page=2"
        body = (
            sample(name)
            .decode()
            .replace("https://api.creatify.ai/sse/text_generator/?page=2", following)
        )

        listing = listing_of({FIRST: body, following: "[]"})

        assert [remote_id[:2] for remote_id in ids(listing)] == ["a1", "b2"]
        assert (listing.is_whole, listing.total, listing.unreadable) == (True, 2, 0)

    @pytest.mark.parametrize(
        ("extra", "may_be_longer"),
        [
            ({}, False),
            ({"count": 2, "previous": None}, False),
            ({"count": 3}, True),
            ({"count": "2"}, True),
            ({"has_more": True}, True),
            ({"links": {"next": "?page=2"}}, True),
            ({"next": {"page": 2}}, True),
        ],
        ids=str,
    )
    def test_is_all_there_is_unless_its_envelope_says_more(
        self, extra: dict[str, Any], *, may_be_longer: bool
    ) -> None:
        listing = listing_of(json.dumps({"results": [{"id": "a"}, {"id": "b"}]} | extra))

        assert (ids(listing), listing.is_complete) == (["a", "b"], True)
        assert (listing.may_be_longer, listing.is_whole) == (may_be_longer, not may_be_longer)

    def test_counts_over_all_pages(self) -> None:
        bodies: dict[str, str | Exception] = {
            FIRST: json.dumps({"count": 2, "results": [{"id": "a"}], "next": "?page=2"}),
            f"{FIRST}?page=2": json.dumps({"count": 2, "results": [{"id": "b"}], "next": None}),
        }

        assert listing_of(bodies).is_whole

    def test_is_not_all_there_is_if_a_page_is_a_part(self) -> None:
        listing = listing_of(page("a"), is_part=True)

        assert (ids(listing), listing.is_complete, listing.is_whole) == (["a"], True, False)

    @pytest.mark.parametrize(
        ("status", "headers", "expected"),
        [
            (200, {}, False),
            (200, {"age": "0", "link": '</x>; rel="help"'}, False),
            (203, {}, True),
            (206, {}, True),
            (200, {"age": "5"}, True),
            (200, {"link": '<?page=2>; rel="next"'}, True),
            (200, {"content-range": "items 0-9/30"}, True),
            (200, {"x-total-count": "30"}, True),
            (200, {"x-total": "30"}, True),
            (200, {"x-pagination": '{"TotalPages": 2}'}, True),
            (200, {"x-next-cursor": "b"}, True),
        ],
        ids=str,
    )
    def test_is_a_part_if_its_head_says_so(
        self, status: int, headers: dict[str, str], *, expected: bool
    ) -> None:
        assert pages.is_part(status, headers) is expected

    def test_counts_its_pages_and_gives_their_clocks(self) -> None:
        listing = listing_of(
            {FIRST: page("a", following="?page=2"), f"{FIRST}?page=2": page("b")}, clock=CLOCK
        )

        assert (ids(listing), listing.pages, listing.clocks) == (["a", "b"], 2, (CLOCK, CLOCK))

    def test_keeps_only_what_is_asked_for(self) -> None:
        listing = listing_of(page("a", "b", "c"), keep=lambda remote: remote.id == "b")

        assert (ids(listing), listing.total) == (["b"], 3)

    def test_may_be_empty(self) -> None:
        assert listing_of("[]") == Listing(pages=1)


class TestUnreadableItems:
    @pytest.mark.parametrize(
        "item",
        [
            "null",
            "12",
            '"text"',
            "[]",
            "{}",
            '{"id": null}',
            '{"id": "../up"}',
            '{"id": "x", "text": "a \\x b"}',
            '{"id": "x" "status": "done"}',
            '{"id": "x", "deep": ' + "[" * 20_000 + "]" * 20_000 + "}",
            '{"id": "' + "x" * 20_000 + '"}',
            '{"text": "' + "\\\\" * 200_000 + '"}',
        ],
        ids=lambda item: item[:30],
    )
    def test_hide_nothing_around_them(self, item: str) -> None:
        listing = listing_of(f'[{{"id": "before"}}, {item}, {{"id": "behind"}}]')

        assert ids(listing) == ["before", "behind"]
        assert (listing.unreadable, listing.is_complete, listing.is_whole) == (1, True, False)

    def test_alone_are_no_failure(self) -> None:
        assert listing_of("[null]").unreadable == 1


class TestBrokenPages:
    @pytest.mark.parametrize(
        "second",
        [
            RemoteUnavailableError("reset"),
            '{"results": [{"id": "b"}, {"id": "c',
            "<html>",
            page("b", following="https://evil.example/"),
            page("b", following="?page=2"),
            page(following="?page=3"),
        ],
        ids=["no answer", "cut off", "no list", "other host", "circle", "nothing on it"],
    )
    def test_leave_what_was_found(self, second: str | Exception) -> None:
        listing = listing_of({FIRST: page("a", following="?page=2"), f"{FIRST}?page=2": second})

        assert ids(listing)[0] == "a"
        assert not listing.is_complete
        assert isinstance(listing.failure, RemoteError)

    def test_keep_the_items_before_the_break(self) -> None:
        assert ids(listing_of('[{"id": "a"}, {"id": "b"}, {"id"')) == ["a", "b"]

    @pytest.mark.parametrize("body", ["", "<html>", '{"error": "no"}', "[{", page(following="?p")])
    def test_without_any_item_raise(self, body: str) -> None:
        with pytest.raises(ContractError):
            listing_of({FIRST: body, f"{FIRST}?p": page("a")})

    def test_raise_what_the_first_page_was_refused_with(self) -> None:
        refusal = RemoteUnavailableError("down", status=502)

        with pytest.raises(RemoteUnavailableError) as caught:
            listing_of({FIRST: refusal})

        assert caught.value is refusal


class TestBounds:
    def test_ends_pages_without_end(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(pages, "MAX_PAGES", 5)
        urls = [FIRST, *(f"{FIRST}?page={number}" for number in range(10))]
        endless: dict[str, str | Exception] = {
            url: page(str(number), following=urls[number + 1])
            for number, url in enumerate(urls[:-1])
        }

        listing = listing_of(endless)

        assert (listing.pages, len(ids(listing)), listing.is_complete) == (5, 5, False)

    def test_ends_items_without_end(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(pages, "MAX_ITEMS", 3)

        listing = listing_of(page("a", "b", "c", "d"))

        assert (ids(listing), listing.is_complete) == (["a", "b", "c"], False)
