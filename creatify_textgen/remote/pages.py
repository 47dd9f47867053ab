"""Reads the whole list of generations, page by page, into one `Listing`.

Pure, except for `open_page`. Invariant: what was read is kept. A page that breaks off, or pages
without end, only make the listing incomplete.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from typing import Any, NamedTuple
from urllib.parse import urljoin, urlsplit

from creatify_textgen.exceptions import ContractError, RemoteError
from creatify_textgen.remote.contract import Listing, RemoteClock, RemoteGeneration
from creatify_textgen.remote.listing import ListReader

# A page would have dozens of items. If there are more pages than this, they probably never end.
MAX_PAGES = 1_000
MAX_ITEMS = 1_000_000
# Headers that APIs with pages use. Which one the remote would use is unknown (section 4.2).
_OF_A_PART = (
    "content-range",
    "x-has-more",
    "x-next-cursor",
    "x-next-page",
    "x-pagination",
    "x-total",
    "x-total-count",
    "x-total-pages",
)


Parse = Callable[[Any], RemoteGeneration]


class Page(NamedTuple):
    """One answer of the list, its body unread."""

    blocks: Iterable[bytes]
    parse: Parse
    """Turns an item into a generation, or raises `ContractError`."""
    clock: RemoteClock | None
    is_part: bool = False
    """Whether the answer's head says that it is a part of the list, or a stored copy."""


OpenPage = Callable[[str], AbstractContextManager[Page]]
Keep = Callable[[RemoteGeneration], bool]


def read_pages(first_url: str, open_page: OpenPage, *, keep: Keep, item_cap: int) -> Listing:
    """Read the list that begins at this URL.

    `keep` is called with each generation that arrives; those for which it returns True are kept.
    Raises: `RemoteError` if no item could be read; any error that `keep` raises.
    """
    reading = _Reading(open_page, keep=keep, item_cap=item_cap)
    failure: RemoteError | None = None
    try:
        reading.run(first_url)
    except RemoteError as error:
        if not reading.total and not reading.unreadable:
            raise
        failure = error.with_traceback(None)
    return Listing(
        generations=tuple(reading.kept),
        unreadable=reading.unreadable,
        total=reading.total,
        pages=reading.pages,
        clocks=tuple(reading.clocks),
        failure=failure,
        may_be_longer=reading.may_be_longer,
    )


def is_part(status: int, headers: Mapping[str, str]) -> bool:
    """Whether an answer's head says that it is a part of the list, or a stored copy.

    `Content-Range` and `Age` are of RFC 9110 and 9111, and `Link` is of RFC 8288.
    """
    # Of the other successes, 206 is a part and 203 was changed by a proxy (RFC 9110, 15.3).
    is_stored = headers.get("age", "0").strip() != "0"
    goes_on = "next" in headers.get("link", "").lower()
    return status != 200 or is_stored or goes_on or any(name in headers for name in _OF_A_PART)


class _Reading:
    def __init__(self, open_page: OpenPage, *, keep: Keep, item_cap: int) -> None:
        self._open_page = open_page
        self._keep = keep
        self._item_cap = item_cap
        self._counts: set[int] = set()
        self.kept: list[RemoteGeneration] = []
        self.unreadable = 0
        self.total = 0
        self.pages = 0
        self.clocks: list[RemoteClock] = []
        self.may_be_longer = False

    def run(self, url: str) -> None:
        """Read all pages. Raises: `RemoteError` unless the list was read to its end."""
        seen: set[str] = set()
        while url:
            # A page that was read before, or has no new item, would lead to an endless loop.
            if url in seen or self.pages >= MAX_PAGES:
                raise ContractError("The pages of the list do not end.")
            seen.add(url)
            known = self.total + self.unreadable
            following = self._read_page(url)
            self.pages += 1
            if following and known == self.total + self.unreadable:
                raise ContractError("A page of the list is empty, although more should follow.")
            url = next_url(url, following)
        self.may_be_longer |= bool(self._counts - {self.total + self.unreadable})

    def _read_page(self, url: str) -> str:
        with self._open_page(url) as page:
            if page.clock is not None:
                self.clocks.append(page.clock)
            reader = ListReader(page.blocks, item_cap=self._item_cap)
            try:
                for item in reader.items():
                    self._take(item, page.parse)
            finally:
                self.unreadable += reader.unreadable
            self.may_be_longer |= page.is_part or reader.has_other_keys
            self._counts |= set() if reader.count is None else {reader.count}
        return reader.next_url

    def _take(self, item: Any, parse: Parse) -> None:
        if self.total + self.unreadable >= MAX_ITEMS:
            raise ContractError(f"The list has more than {MAX_ITEMS} items.")
        try:
            remote = parse(item)
        except ContractError:
            self.unreadable += 1
            return
        self.total += 1
        if self._keep(remote):
            self.kept.append(remote)


def next_url(url: str, following: str) -> str:
    """Return the URL of the next page, with our base URL's origin; "" after the last page.

    Behind a proxy the remote may name its host with another scheme. Raises: `ContractError` for
    another host, which must not receive our keys.
    """
    if not following:
        return ""
    try:
        target = urlsplit(urljoin(url, following))
    except ValueError:
        raise ContractError("The list names no readable next page.") from None
    origin = urlsplit(url)
    if target.hostname != origin.hostname:
        raise ContractError("The next page is at another host, to which our keys must not be sent.")
    return target._replace(scheme=origin.scheme, netloc=origin.netloc, fragment="").geturl()
