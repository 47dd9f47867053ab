"""The JSON of a request. Its images and videos are read and encoded while it is sent.

Pure, except that it reads the media. Invariant: no image or video is whole in memory, and `len()`
is the exact Content-Length. An object with `__len__` and `__iter__` is needed for that: `requests`
sends no Content-Length for generators, and reads files in pieces of only 16 KiB.
"""

from __future__ import annotations

import binascii
import json
from collections.abc import Iterator, Mapping
from typing import Any
from uuid import uuid4

from creatify_textgen.exceptions import RequestError, TextgenError
from creatify_textgen.remote.contract import MediaSource

BLOCK_BYTES = 256 * 1024
_SMALLEST_BLOCK_BYTES = 64 * 1024
# Whole groups of three bytes, so that the encoded blocks join without padding between them.
_READ_BYTES = BLOCK_BYTES // 4 * 3


class JsonBody:
    """The bytes of a JSON object, in blocks of at least 64 KiB, except the last.

    May be iterated again: the media are then opened again. Raises: `RequestError` if a value
    cannot be JSON, and during iteration if a medium cannot be read or its size is wrong;
    `TextgenError` `media_storage_failed` for an error of a storage that is no `OSError`.
    """

    def __init__(self, fields: Mapping[str, Any]) -> None:
        self._media: list[MediaSource] = []
        # Random, so no text of a request can be mistaken for the place of a medium.
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
            # Blocks of media are sent unchanged: copying them would take as long as sending.
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
        yield from _cut(self._texts[0])
        for medium, text in zip(self._media, self._texts[1:], strict=True):
            yield from _encode(medium)
            yield from _cut(text)


def _cut(text: bytes) -> Iterator[bytes]:
    """Yield a text in blocks, because the timeout of a send counts for one block."""
    for start in range(0, len(text), BLOCK_BYTES):
        yield text[start : start + BLOCK_BYTES]


def _encode(medium: MediaSource) -> Iterator[bytes]:
    """Yield the medium in base64, exactly as many bytes as its size says."""
    left = medium.size
    try:
        with medium.open() as stream:
            while left:
                block = _read_fully(stream, min(_READ_BYTES, left))
                left -= len(block)
                yield binascii.b2a_base64(block, newline=False)
            surplus = stream.read(1)
    except TextgenError:
        raise
    except OSError as error:
        raise RequestError(f"A medium cannot be read ({type(error).__name__}).") from error
    except Exception as error:  # Storages raise their vendor's exceptions, also those of urllib3.
        raise TextgenError(
            f"The media storage failed while a medium was read ({type(error).__name__}).",
            code="media_storage_failed",
        ) from error
    if surplus:
        raise RequestError("A medium is longer than its size says.")


def _read_fully(stream: Any, size: int) -> bytes:
    """Read this many bytes. One read of a raw or network stream may return fewer."""
    block: bytes = stream.read(size)
    while len(block) < size:
        more = stream.read(size - len(block))
        if not more:
            raise RequestError("A medium is shorter than its size says.")
        block += more
    return block


def _encoded_length(size: int) -> int:
    return (size + 2) // 3 * 4
