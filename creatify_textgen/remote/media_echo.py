"""Replaces echoed media by a digest while the bytes of an answer arrive.

The remote may echo the images and videos of a request in `messages` (section 11, row 16): a video
of 100 MB then makes an answer of 133 MB. Pure. Invariant: memory is limited to one block and one
threshold, and only long base64 under a key `data` is replaced.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable, Iterator

from creatify_textgen.exceptions import RemoteError

# Shorter values stay: they are cheap, and arguments of a function may have a key `data`.
THRESHOLD_BYTES = 64 * 1024

# With few spaces, so that what may be the beginning of a key at the end of a block stays short.
_KEY = re.compile(rb'"data"\s{0,8}:\s{0,8}"')
_LONGEST_KEY = len(b'"data":"') + 16
# With escaped slashes and line ends.
_BASE64 = re.compile(rb"[A-Za-z0-9+/=_\\-]*")
_NOT_BASE64 = re.compile(rb"\\[nrt]|[^A-Za-z0-9+/=_-]")
_DATA_URL = re.compile(r"data:[\w.+-]+/[\w.+-]+;base64,", re.IGNORECASE)
_URL_SAFE = bytes.maketrans(b"-_", b"+/")

DIGEST_PREFIX = "sha256:"
"""The beginning of the text that replaces a medium. Base64 has no colon."""


def digest_of(data: str) -> str:
    """Return the SHA-256, in hex, of base64 text or of its replacement by `without_media`.

    Returns "" for any other text.
    """
    if data.startswith(DIGEST_PREFIX):
        return data.removeprefix(DIGEST_PREFIX)
    # An echo may have the medium as a URL (RFC 2397), although the request has it without.
    prefix = _DATA_URL.match(data)
    digest = _Digest()
    digest.update(data[prefix.end() if prefix else 0 :].encode("ascii", "replace"))
    return digest.hex()


def without_media(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield a JSON text in blocks, with long base64 under `data` replaced by `sha256:…`.

    Raises: the `RemoteError` that `blocks` raises, after everything before it was yielded.
    """
    echo = _Filter()
    failure: RemoteError | None = None
    try:
        for block in blocks:
            if kept := echo.feed(block):
                yield kept
    except RemoteError as error:
        failure = error
    if kept := echo.finish():
        yield kept
    if failure is not None:
        raise failure


class _Digest:
    """The SHA-256 of the bytes that base64 in blocks encodes."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self._rest = b""
        """Fewer than four characters, which are not whole bytes yet."""
        self._escape = b""
        """A backslash whose next character is in the next block."""
        self._readable = True

    def update(self, block: bytes) -> None:
        block = self._escape + block
        self._escape = block[-1:] if block.endswith(b"\\") else b""
        clean = _NOT_BASE64.sub(b"", block.removesuffix(self._escape))
        text = self._rest + clean.translate(_URL_SAFE)
        whole = len(text) - len(text) % 4
        self._rest = text[whole:]
        try:
            self._hash.update(base64.b64decode(text[:whole], validate=True))
        except binascii.Error:
            self._readable = False

    def hex(self) -> str:
        return self._hash.hexdigest() if self._readable and not self._rest else ""


class _Filter:
    def __init__(self) -> None:
        self._tail = b""
        """Bytes that may be the beginning of a key."""
        self._value: bytearray | None = None
        """The base64 so far of a value that is still too short to be a medium."""
        self._digest: _Digest | None = None
        """The digest of the medium that is being replaced."""

    def feed(self, block: bytes) -> bytes:
        kept = bytearray()
        while block:
            if self._digest is not None:
                block = self._drop(self._digest, block, kept)
            elif self._value is not None:
                block = self._weigh(self._value, block, kept)
            else:
                block = self._search(block, kept)
        return bytes(kept)

    def finish(self) -> bytes:
        return self._tail + (self._value or b"")

    def _search(self, block: bytes, kept: bytearray) -> bytes:
        block = self._tail + block
        found = _KEY.search(block)
        if found is None:
            self._tail = block[-_LONGEST_KEY:]
            kept += block[: len(block) - len(self._tail)]
            return b""
        self._tail = b""
        self._value = bytearray()
        kept += block[: found.end()]
        return block[found.end() :]

    def _weigh(self, value: bytearray, block: bytes, kept: bytearray) -> bytes:
        found = _BASE64.match(block)
        end = found.end() if found else 0
        value += block[:end]
        if len(value) >= THRESHOLD_BYTES:
            self._value, self._digest = None, _Digest()
            self._digest.update(bytes(value))
        elif end < len(block):
            # The value has ended, or goes on as something else than base64: it stays.
            kept += value
            self._value = None
        return block[end:]

    def _drop(self, digest: _Digest, block: bytes, kept: bytearray) -> bytes:
        end = block.find(b'"')
        digest.update(block if end == -1 else block[:end])
        if end == -1:
            return b""
        kept += f"{DIGEST_PREFIX}{digest.hex()}".encode()
        self._digest = None
        return block[end:]
