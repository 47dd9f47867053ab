"""Decodes base64 text block by block. Strict about the alphabet; whitespace is allowed."""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterator

from creatify_textgen.intake.staging.refusals import refusal

__all__ = ["decode_blocks", "split_data_url"]

BLOCK_CHARACTERS = 1024 * 1024
_DATA_URL = re.compile(r"data:([\w.+-]+/[\w.+-]+)(?:;[\w.+-]+=[\w.+-]+)*;base64,", re.IGNORECASE)
# The pattern is tried on so many characters only: a hostile text of megabytes costs nothing.
_LONGEST_PREFIX = 200
_WHITESPACE = b" \t\r\n"


def split_data_url(text: str) -> tuple[str | None, int]:
    """Return the MIME type of a `data:` prefix, or None, and the index at which the base64 begins.

    Raises: RequestError for a `data:` URL that is not base64 (RFC 2397), and for an address or a
    path in place of base64.
    """
    beginning = text[:_LONGEST_PREFIX]
    if text[:5].lower() != "data:":
        if "://" in beginning:
            raise refusal("Is an address, and Creatify fetches none: send the content as base64.")
        # A dot is in nearly every path, and in no base64.
        if "." in beginning:
            raise refusal("Is not base64. In Python, pass the path of a file as a pathlib.Path.")
        return None, 0
    match = _DATA_URL.match(beginning)
    if match is None:
        raise refusal("Must be plain base64, or a URL of the form data:<mime type>;base64,….")
    return match[1], match.end()


def decode_blocks(text: str, *, start: int = 0) -> Iterator[bytes]:
    """Yield the bytes of the base64 from `start` on, at most 768 KiB at a time.

    Raises: RequestError at the first block that is not standard, padded base64 (RFC 4648, 4).
    """
    rest, padded = b"", False
    for position in range(start, len(text), BLOCK_CHARACTERS):
        block = rest + _significant(text[position : position + BLOCK_CHARACTERS])
        # Four characters are three bytes, so a block is cut at a multiple of four.
        whole = len(block) & ~3
        block, rest = block[:whole], block[whole:]
        if not block:
            continue
        if padded:
            raise refusal("Is not base64: something follows its padding.")
        yield _decode(block)
        padded = block.endswith(b"=")
    if rest:
        raise refusal("Is incomplete base64: it was cut, or lacks its padding (=).")


def _significant(characters: str) -> bytes:
    try:
        return characters.encode("ascii").translate(None, _WHITESPACE)
    except UnicodeEncodeError:
        raise refusal("Is not base64: it holds characters outside ASCII.") from None


def _decode(block: bytes) -> bytes:
    # Strict: by default Python skips the characters that are no base64.
    try:
        return binascii.a2b_base64(block, strict_mode=True)
    except binascii.Error:
        # Not chained: the parser's message may quote the content.
        raise refusal(_reason(block)) from None


def _reason(block: bytes) -> str:
    if b"-" in block or b"_" in block:
        return "Is not standard base64: use + and / where the URL-safe kind has - and _."
    return "Is not base64: only A-Z, a-z, 0-9, + and / are allowed, and = at the end."
