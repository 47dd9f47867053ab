"""Reads one page of the list of generations, item by item while its bytes arrive.

Pure: bytes in, values out. The remote has no pages (section 4.2), so one answer may contain the
whole history of a workspace. Invariants: only one item is in memory, however long the list is. An
item that cannot be read is counted and skipped, and the items after it are still found.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Iterator
from typing import Any

from creatify_textgen.exceptions import ContractError, RemoteError
from creatify_textgen.remote import wire

# After each pull the unfinished item is parsed again, so smaller ones would take longer.
_SMALLEST_PULL = 64 * 1024
_WHITE_SPACE = " \t\r\n"
_STRUCTURE = re.compile(r'[\[\]{},"]')
_IN_STRING = re.compile(r'"|\\.', re.DOTALL)


class UnreadableError(ValueError):
    """A value of the list is not JSON or too large. The position is after it."""


class ListReader:
    """Reads an array, or `{"results": […], "next": …}` with its keys in any order."""

    def __init__(self, blocks: Iterable[bytes], *, item_cap: int) -> None:
        self._text = _Text(blocks, cap=item_cap)
        self.next_url = ""
        """The URL of the next page; known at the end of `items`."""
        self.count: int | None = None
        """How many generations the envelope says there are, on all pages."""
        self.has_other_keys = False
        """Whether the envelope says what this app cannot read, such as another way to go on."""
        self.unreadable = 0
        """Number of items so far that are not JSON or larger than the cap."""

    def items(self) -> Iterator[Any]:
        """Yield the items as parsed JSON.

        Raises: `ContractError` if the page is not a whole list. The items before that are valid.
        """
        opening = self._text.take()
        if opening == "[":
            yield from self._array()
        elif opening == "{":
            yield from self._envelope()
        else:
            raise ContractError("The list of generations is neither an array nor an object.")
        if self._text.peek():
            raise ContractError("Something follows the list of generations.")

    def _array(self) -> Iterator[Any]:
        if self._text.peek() == "]":
            self._text.take()
            return
        separator = ","
        while separator == ",":
            try:
                yield self._text.value()
            except UnreadableError:
                self.unreadable += 1
            separator = self._text.take()
        if separator != "]":
            raise ContractError("The list of generations is cut off or malformed.")

    def _envelope(self) -> Iterator[Any]:
        found = False
        separator = ","
        while separator == ",":
            key = self._member()
            if self._text.take() != ":":
                raise ContractError("The list of generations is cut off or malformed.")
            if key == "results" and self._text.peek() == "[":
                self._text.take()
                found = True
                yield from self._array()
            else:
                self._note(key, self._member())
            separator = self._text.take()
        if separator != "}" or not found:
            raise ContractError("The list of generations has no results, or is cut off.")

    def _member(self) -> Any:
        """Return a key, or a value outside the results; None if it cannot be read."""
        try:
            return self._text.value()
        except UnreadableError:
            # It may have been the URL of the next page.
            self.has_other_keys = True
            return None

    def _note(self, key: Any, value: Any) -> None:
        if key == "next":
            self.next_url = wire.text(value)
            self.has_other_keys |= bool(value) and not self.next_url
        elif key == "count":
            # No list has -1 items, so with a count that cannot be read the list is not whole.
            self.count = value if isinstance(value, int) else -1
        elif key != "previous":
            self.has_other_keys = True


class _Text:
    """The text of a body; only the part that is being read is kept."""

    def __init__(self, blocks: Iterable[bytes], *, cap: int) -> None:
        self._blocks = iter(blocks)
        # JSON must not begin with a byte order mark, but a reader may ignore one (RFC 8259, 8.1).
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")("replace")
        self._cap = cap
        self._text = ""
        self._position = 0
        self._ended = False
        self._failure: RemoteError | None = None
        """The error that ended the body. It is raised after everything before it was read."""

    def peek(self) -> str:
        """Return the next character that is not white space, or "" at the end."""
        while True:
            while self._position < len(self._text):
                character = self._text[self._position]
                if character not in _WHITE_SPACE:
                    return character
                self._position += 1
            if self._failure is not None:
                raise self._failure
            if self._ended:
                return ""
            self._pull()

    def take(self) -> str:
        character = self.peek()
        self._position += len(character)
        return character

    def value(self) -> Any:
        """Return the next JSON value.

        Raises: `UnreadableError` after a value that is not JSON or larger than the cap;
        `ContractError` if the body ends inside the value.
        """
        self.peek()
        extent = _Extent()
        while True:
            try:
                value, end = wire.scan(self._text, self._position)
            except ValueError:
                # Unfinished, or wrong? The end of the value decides.
                self._read_on(extent)
                continue
            # A number at the end of the text may continue in the next block.
            if end == len(self._text) and not self._ended:
                self._pull()
                continue
            self._position = end
            return value

    def _read_on(self, extent: _Extent) -> None:
        """Read more of a value. Skip it if it has ended or is larger than the cap."""
        ended = extent.ends_in(self._text, self._position)
        is_too_long = extent.length > self._cap
        while not ended and is_too_long:
            self._position += extent.length
            extent.length = 0
            self._pull_or_fail()
            ended = extent.ends_in(self._text, self._position)
        if not ended:
            self._pull_or_fail()
            return
        if not extent.length and not is_too_long:
            raise ContractError("The list of generations is malformed.")
        self._position += extent.length
        raise UnreadableError

    def _pull_or_fail(self) -> None:
        if self._ended:
            raise self._failure or ContractError("The list of generations is cut off.")
        self._pull()

    def _pull(self) -> None:
        """Read at least as much as is pending, so that repeated parsing takes linear time."""
        pieces = [self._text[self._position :]]
        wanted = max(_SMALLEST_PULL, len(pieces[0]))
        while wanted > 0 and not self._ended:
            block = self._next_block()
            self._ended = block is None
            pieces.append(self._decoder.decode(block or b"", final=self._ended))
            wanted -= len(pieces[-1])
        self._text = "".join(pieces)
        self._position = 0

    def _next_block(self) -> bytes | None:
        try:
            return next(self._blocks, None)
        except RemoteError as error:
            self._failure = error
            return None


class _Extent:
    """Finds the end of a JSON value by its brackets and quotes only."""

    def __init__(self) -> None:
        self.length = 0
        """Characters known to belong to the value, from the position that is passed in."""
        self._depth = 0
        self._in_string = False

    def ends_in(self, text: str, start: int) -> bool:
        """Continue after the last call; return True if the comma or bracket after it was found."""
        at = start + self.length
        while found := (_IN_STRING if self._in_string else _STRUCTURE).search(text, at):
            mark = found[0]
            if mark == '"':
                self._in_string = not self._in_string
            elif not self._in_string and self._is_outside(mark):
                self.length = found.start() - start
                return True
            at = found.end()
        # An escape that is cut in two is read again with its second half.
        is_cut = self._in_string and at < len(text) and text.endswith("\\")
        self.length = len(text) - is_cut - start
        return False

    def _is_outside(self, mark: str) -> bool:
        # A bracket that closes outside of the value belongs to the list around it.
        if not self._depth and mark in ",]}":
            return True
        self._depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(mark, 0)
        return False
