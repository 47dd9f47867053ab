"""The list of generations, item by item while its bytes arrive.

Pure: bytes in, values out. The remote pages nothing (section 4.2), so a workspace's whole history
comes in one answer; invariant: memory is bounded by one item, whatever the list's length.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Iterator
from typing import Any

from creatify_textgen.exceptions import ContractError
from creatify_textgen.remote import wire

_SMALLEST_PULL = 64 * 1024
_WHITE_SPACE = " \t\r\n"


class ListReader:
    """Reads a bare array, or `{"results": […], "next": …}` with its keys in any order."""

    def __init__(self, blocks: Iterable[bytes], *, item_cap: int) -> None:
        self._text = _Text(blocks, cap=item_cap)
        self.next_url = ""
        """Where the list goes on; known once `items` is exhausted."""

    def items(self) -> Iterator[Any]:
        """Yield the items as parsed JSON.

        Raises: `ContractError` for anything but a whole list: half of one proves nothing.
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
            yield self._text.value()
            separator = self._text.take()
        if separator != "]":
            raise ContractError("The list of generations is cut off or malformed.")

    def _envelope(self) -> Iterator[Any]:
        found = False
        separator = ","
        while separator == ",":
            key = self._text.value()
            if self._text.take() != ":":
                raise ContractError("The list of generations is cut off or malformed.")
            if key == "results" and self._text.peek() == "[":
                self._text.take()
                found = True
                yield from self._array()
            else:
                self._note(key, self._text.value())
            separator = self._text.take()
        if separator != "}" or not found:
            raise ContractError("The list of generations has no results, or is cut off.")

    def _note(self, key: Any, value: Any) -> None:
        if key == "next":
            self.next_url = wire.text(value)


class _Text:
    """The text of a body, of which only what is being read is kept."""

    def __init__(self, blocks: Iterable[bytes], *, cap: int) -> None:
        self._blocks = iter(blocks)
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")("replace")
        self._cap = cap
        self._text = ""
        self._position = 0
        self._ended = False

    def peek(self) -> str:
        """Return the next character that is not white space; empty at the end."""
        while True:
            while self._position < len(self._text):
                character = self._text[self._position]
                if character not in _WHITE_SPACE:
                    return character
                self._position += 1
            if self._ended:
                return ""
            self._pull()

    def take(self) -> str:
        character = self.peek()
        self._position += len(character)
        return character

    def value(self) -> Any:
        """Return the next JSON value."""
        self.peek()
        while True:
            try:
                value, end = wire.scan(self._text, self._position)
            except ValueError:
                self._pull_or_fail()
                continue
            # A number that ends with what is here may go on in what is not.
            if end == len(self._text) and not self._ended:
                self._pull()
                continue
            self._position = end
            return value

    def _pull_or_fail(self) -> None:
        pending = len(self._text) - self._position
        if self._ended or pending > self._cap:
            raise ContractError("An item of the list of generations cannot be read.")
        self._pull()

    def _pull(self) -> None:
        """Read at least as much again as is pending, so that parsing anew stays linear."""
        pieces = [self._text[self._position :]]
        wanted = max(_SMALLEST_PULL, len(pieces[0]))
        while wanted > 0 and not self._ended:
            block = next(self._blocks, None)
            self._ended = block is None
            pieces.append(self._decoder.decode(block or b"", final=self._ended))
            wanted -= len(pieces[-1])
        self._text = "".join(pieces)
        self._position = 0
