"""A request's JSON, whose media are read and encoded while it is sent.

Pure but for reading the media. Invariant: no medium is ever whole in memory, and `len()` is the
exact Content-Length all the same: requests drops it for plain generators and reads file-likes in
16 KiB bites, but keeps it for an object with both `__len__` and `__iter__`.
"""

from __future__ import annotations

import binascii
import json
from collections.abc import Iterator, Mapping
from typing import Any
from uuid import uuid4

from creatify_textgen.exceptions import RequestError
from creatify_textgen.remote.contract import MediaSource

BLOCK_BYTES = 256 * 1024
_SMALLEST_BLOCK_BYTES = 64 * 1024
# Whole groups of three bytes, so that the encoded blocks join without padding between them.
_READ_BYTES = BLOCK_BYTES // 4 * 3


class JsonBody:
    """The bytes of a JSON object, in blocks of at least 64 KiB but for the last.

    May be iterated again: each time the media are opened anew. Raises: `RequestError` where a
    value is no JSON, and while iterating where a medium cannot be read or has another size.
    """

    def __init__(self, fields: Mapping[str, Any]) -> None:
        self._media: list[MediaSource] = []
        # Nothing outside can know it, so no text can stand where a medium is meant.
        self._placeholder = uuid4().hex
        try:
            text = json.dumps(
                fields,
                ensure_ascii=False,
                allow_nan=False,
                separators=(",", ":"),
                default=self._note_medium,
            )
        except (TypeError, ValueError, RecursionError):
            raise RequestError("The request holds a value that JSON cannot carry.") from None
        # 'replace' is for lone surrogates, which have no bytes in UTF-8.
        self._texts = text.encode("utf-8", "replace").split(self._placeholder.encode())
        self._length = sum(map(len, self._texts)) + sum(
            _encoded_length(medium.size) for medium in self._media
        )

    def __len__(self) -> int:
        return self._length

    def __repr__(self) -> str:
        return f"<JsonBody of {self._length} bytes, {len(self._media)} media>"

    def __iter__(self) -> Iterator[bytes]:
        pending = b""
        for piece in self._pieces():
            # A medium's blocks go out as they are: copying them would cost as much as sending.
            pending = pending + piece if pending else piece
            if len(pending) >= _SMALLEST_BLOCK_BYTES:
                yield pending
                pending = b""
        if pending:
            yield pending

    def _note_medium(self, value: Any) -> str:
        if not isinstance(value, MediaSource):
            raise TypeError
        self._media.append(value)
        return self._placeholder

    def _pieces(self) -> Iterator[bytes]:
        yield self._texts[0]
        for medium, text in zip(self._media, self._texts[1:], strict=True):
            yield from _encode(medium)
            yield text


def _encode(medium: MediaSource) -> Iterator[bytes]:
    """Yield the medium in base64, exactly as much as its size promised."""
    left = medium.size
    try:
        with medium.open() as stream:
            while left:
                block = _read_fully(stream, min(_READ_BYTES, left))
                left -= len(block)
                yield binascii.b2a_base64(block, newline=False)
            surplus = stream.read(1)
    except OSError as error:
        raise RequestError(f"A medium cannot be read ({type(error).__name__}).") from error
    if surplus:
        raise RequestError("A medium is longer than its size says.")


def _read_fully(stream: Any, size: int) -> bytes:
    """Read as many bytes as asked for: raw and network streams may give fewer at a time."""
    block: bytes = stream.read(size)
    while len(block) < size:
        more = stream.read(size - len(block))
        if not more:
            raise RequestError("A medium is shorter than its size says.")
        block += more
    return block


def _encoded_length(size: int) -> int:
    return (size + 2) // 3 * 4
