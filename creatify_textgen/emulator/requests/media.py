"""Facts about images and videos: size, hash, width and height. The base64 itself is dropped.

Works block by block, so that 100 MB need no more memory than one block.
"""

from __future__ import annotations

import binascii
import hashlib
import struct
from dataclasses import dataclass

__all__ = ["Media", "MediaReader", "dimensions"]

# The size of a JPEG comes after segments such as Exif, which are usually much shorter than this.
HEAD_SIZE = 64 * 1024
# SOF0 to SOF15, without DHT, JPG and DAC, which are in the same range (ITU-T T.81, table B.1).
JPEG_SIZE_MARKERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


@dataclass(frozen=True, slots=True)
class Media:
    """What is kept of the `data` of a part."""

    size: int
    """Decoded bytes; 0 if it was not base64."""
    encoded_size: int
    sha256: str
    valid: bool
    """Whether it was plain base64 with padding and nothing else."""
    width: int = 0
    height: int = 0
    """0 if the first bytes are not those of a PNG, JPEG or GIF."""
    encoded: str | None = None
    """The base64 as sent, if `media_echo` needs it."""


class MediaReader:
    """Takes base64 in blocks of any size."""

    def __init__(self, *, keep: bool = False) -> None:
        self._hash = hashlib.sha256()
        self._head = b""
        self._carry = b""
        self._size = 0
        self._encoded_size = 0
        self._valid = True
        self._padded = False
        self._kept: list[bytes] | None = [] if keep else None

    def feed(self, block: bytes) -> None:
        """Take the next characters."""
        self._encoded_size += len(block)
        if self._kept is not None:
            self._kept.append(block)
        if not self._valid or not block:
            return
        # Four characters of base64 are three bytes; the rest waits for the next block.
        joined = self._carry + block if self._carry else block
        whole = len(joined) & ~3
        self._carry = joined[whole:]
        self._decode(joined[:whole])

    def finish(self) -> Media:
        """Return what was found."""
        valid = self._valid and not self._carry
        width, height = dimensions(self._head) if valid else (0, 0)
        return Media(
            size=self._size if valid else 0,
            encoded_size=self._encoded_size,
            sha256=self._hash.hexdigest(),
            valid=valid,
            width=width,
            height=height,
            encoded=b"".join(self._kept).decode("latin-1") if self._kept is not None else None,
        )

    def _decode(self, quads: bytes) -> None:
        if not quads:
            return
        # Without `strict_mode` Python skips characters that are not base64.
        try:
            decoded = binascii.a2b_base64(quads, strict_mode=True)
        except binascii.Error:
            self._valid = False
            return
        # Padding ends base64, and `strict_mode` knows this block alone.
        if self._padded:
            self._valid = False
        self._padded = quads.endswith(b"=")
        self._hash.update(decoded)
        self._size += len(decoded)
        if len(self._head) < HEAD_SIZE:
            self._head += decoded[: HEAD_SIZE - len(self._head)]


def dimensions(head: bytes) -> tuple[int, int]:
    """Return width and height from the first bytes of a PNG, GIF or JPEG, else (0, 0)."""
    if head.startswith(b"\x89PNG\r\n\x1a\n") and len(head) >= 24:
        width, height = struct.unpack(">II", head[16:24])
        return width, height
    if head[:6] in (b"GIF87a", b"GIF89a") and len(head) >= 10:
        width, height = struct.unpack("<HH", head[6:10])
        return width, height
    if head.startswith(b"\xff\xd8"):
        return _jpeg_dimensions(head)
    return 0, 0


def _jpeg_dimensions(head: bytes) -> tuple[int, int]:
    position = 2
    while position + 9 <= len(head) and head[position] == 0xFF:
        marker = head[position + 1]
        if marker in JPEG_SIZE_MARKERS:
            height, width = struct.unpack(">HH", head[position + 5 : position + 9])
            return width, height
        position += 2 + int.from_bytes(head[position + 2 : position + 4], "big")
    return 0, 0
