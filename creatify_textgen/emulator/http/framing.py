"""HTTP/1.1 framing (RFC 9112): heads, bodies with a length or in chunks, the bytes of answers.

Pure: bytes in, values out. Malformed input raises `FramingError`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from http import HTTPStatus

from .exchange import Head

__all__ = [
    "ChunkedDecoder",
    "FramingError",
    "LengthDecoder",
    "decoder_for",
    "frame_chunk",
    "parse_head",
    "render_head",
]

LAST_CHUNK = b"0\r\n\r\n"
CHUNK_LINE_LIMIT = 4096
LENGTH_DIGITS = 18
CHUNK_SIZE = re.compile(rb"[0-9A-Fa-f]+")
# 499 has no phrase in `http`: nginx and Google use it, and no RFC defines it.
_PHRASES = {status.value: status.phrase for status in HTTPStatus} | {499: "Client Closed Request"}


class FramingError(Exception):
    """The bytes are no HTTP/1.1."""


class LengthDecoder:
    """A body whose length was announced."""

    def __init__(self, length: int) -> None:
        self._remaining = length

    @property
    def complete(self) -> bool:
        return self._remaining == 0

    def decode(self, block: bytes) -> tuple[list[bytes], bytes]:
        """Return the body's pieces in this block, and what follows the body."""
        piece = block[: self._remaining]
        self._remaining -= len(piece)
        return [piece], block[len(piece) :]


class ChunkedDecoder:
    """A body in chunks; extensions and trailers are dropped."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._remaining = 0
        # The state is the method that reads next. Each returns False if it needs more bytes.
        self._step = self._read_size
        self.complete = False

    def decode(self, block: bytes) -> tuple[list[bytes], bytes]:
        """Return the body's pieces in this block, and what follows the body."""
        self._buffer += block
        pieces: list[bytes] = []
        while not self.complete and self._step(pieces):
            pass
        # Until the end everything stays in the buffer: what follows may be half of a size or CRLF.
        if not self.complete:
            return pieces, b""
        return pieces, bytes(self._buffer)

    def _take_line(self) -> bytes | None:
        end = self._buffer.find(b"\r\n")
        if end < 0:
            # Extensions have no limit in the RFC, and would fill the memory (section 7.1.1).
            if len(self._buffer) > CHUNK_LINE_LIMIT:
                raise FramingError("chunk line too long")
            return None
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 2]
        return line

    def _read_size(self, pieces: list[bytes]) -> bool:
        line = self._take_line()
        if line is None:
            return False
        size = line.split(b";", 1)[0].strip()
        # `int` alone would also take "-5", "+5", "0x5" and "1_0".
        if not CHUNK_SIZE.fullmatch(size):
            raise FramingError("bad chunk size")
        self._remaining = int(size, 16)
        self._step = self._read_content if self._remaining else self._read_trailer
        return True

    def _read_content(self, pieces: list[bytes]) -> bool:
        piece = bytes(self._buffer[: self._remaining])
        del self._buffer[: len(piece)]
        self._remaining -= len(piece)
        if piece:
            pieces.append(piece)
        if self._remaining == 0:
            self._step = self._read_end
        return bool(piece)

    def _read_end(self, pieces: list[bytes]) -> bool:
        line = self._take_line()
        if line:
            raise FramingError("chunk without its end")
        if line is None:
            return False
        self._step = self._read_size
        return True

    def _read_trailer(self, pieces: list[bytes]) -> bool:
        line = self._take_line()
        self.complete = line == b""
        return bool(line)


def parse_head(head: bytes) -> Head:
    """Read a request line and its headers.

    Raises:
        FramingError: not an HTTP/1 request.
    """
    # Latin-1 takes any byte: the API decides about a strange value, not the framing.
    lines = head.decode("latin-1").split("\r\n")
    # A bare CR or LF could end a line for another reader of the same bytes (section 2.2).
    if any("\r" in line or "\n" in line for line in lines):
        raise FramingError("bad line end")
    parts = lines[0].split(" ")
    if len(parts) != 3 or not parts[2].startswith("HTTP/1."):
        raise FramingError("bad request line")
    headers: dict[str, str] = {}
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        # No space is allowed before the colon (section 5.1): readers differ about such a name.
        if not colon or not name or name != name.strip():
            raise FramingError("bad header line")
        headers[name.lower()] = value.strip()
    path, _, query = parts[1].partition("?")
    connection = headers.get("connection", "").lower()
    keep_alive = "close" not in connection and (parts[2] != "HTTP/1.0" or "keep-" in connection)
    return Head(parts[0], path, query, headers, keep_alive)


def decoder_for(headers: Mapping[str, str]) -> LengthDecoder | ChunkedDecoder | None:
    """Return the reader of the body that the headers announce, or None if there is none.

    Raises:
        FramingError: a length beside an encoding, a bad length, or an unknown encoding.
    """
    encoding = headers.get("transfer-encoding", "").lower()
    length = headers.get("content-length")
    if encoding:
        # Both together are how requests are smuggled (section 6.1).
        if encoding != "chunked" or length is not None:
            raise FramingError("ambiguous body length")
        return ChunkedDecoder()
    if length is None or length == "0":
        return None
    # `isdigit` alone is true for the digits of other scripts, and `int` refuses thousands of them.
    if not (length.isascii() and length.isdigit()) or len(length) > LENGTH_DIGITS:
        raise FramingError("bad content length")
    return LengthDecoder(int(length))


def frame_chunk(content: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(content), content)


def render_head(
    status: int, *, content_type: str, headers: Mapping[str, str], length: int | None, close: bool
) -> bytes:
    """Return the head of an answer. Without a length the body is sent in chunks."""
    lines = [
        f"HTTP/1.1 {status} {_PHRASES[status]}",
        "Server: creatify-emulator",
        f"Content-Type: {content_type}",
        "Transfer-Encoding: chunked" if length is None else f"Content-Length: {length}",
    ]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    if close:
        lines.append("Connection: close")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
