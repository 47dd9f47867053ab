"""Reads text of any charset, and passes it on as UTF-8.

Pure. JSON and event streams are UTF-8 (RFC 8259, 8.1), but a gateway may write them again. What was
paid for is read all the same. Invariant: UTF-8 passes unchanged, whatever its head declares.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Iterator

from requests.utils import guess_json_utf

from creatify_textgen.exceptions import RemoteError

__all__ = ["as_utf8", "decoded"]

_LONGEST_MARK = 4
# Python has codecs that are no charsets, such as `zip`.
_DECLARED = re.compile(
    r'charset\s*=\s*"?(iso-8859-\d\d?|latin-?1|windows-125\d|gbk|gb18030|big5|shift_jis|euc-(?:jp|kr))\b',
    re.IGNORECASE,
)


def decoded(body: bytes) -> str:
    """Return the text of a body. Bytes that are not of its charset become U+FFFD."""
    return body.decode(_wide_charset(body) or "utf-8-sig", "replace")


def as_utf8(blocks: Iterable[bytes], *, content_type: str = "") -> Iterator[bytes]:
    """Yield a body in UTF-8, as it arrives.

    The charset that its head declares counts only for what is not UTF-8.
    Raises: the error that `blocks` raises, after everything before it was yielded.
    """
    rest = iter(blocks)
    begin = bytearray()
    try:
        while len(begin) < _LONGEST_MARK:
            begin += next(rest)
    except StopIteration:
        pass  # The whole body is shorter than a mark.
    except RemoteError:
        # What arrived before the connection broke may have the id of a generation.
        yield bytes(begin)
        raise
    wide = _wide_charset(bytes(begin))
    declared = _DECLARED.search(content_type)
    if wide:
        yield from _from_charset(_joined(begin, rest), wide)
    elif declared:
        yield from _from_mixed(_joined(begin, rest), declared[1])
    else:
        yield from _joined(begin, rest)


def _wide_charset(begin: bytes) -> str:
    """Return the charset whose characters are two or four bytes wide; empty for any other."""
    # JSON and events begin with ASCII, so the zeros of the first characters show how wide all are.
    charset = guess_json_utf(begin) or ""  # type: ignore[no-untyped-call]
    return "" if charset.startswith("utf-8") else charset


def _joined(begin: bytearray, rest: Iterator[bytes]) -> Iterator[bytes]:
    if begin:
        yield bytes(begin)
    yield from rest


def _from_charset(blocks: Iterable[bytes], charset: str) -> Iterator[bytes]:
    decoder = codecs.getincrementaldecoder(charset)("replace")
    for block in blocks:
        if text := decoder.decode(block):
            yield text.encode()
    if text := decoder.decode(b"", final=True):
        yield text.encode()


def _from_mixed(blocks: Iterable[bytes], charset: str) -> Iterator[bytes]:
    """Pass UTF-8 through up to the first byte that is none; the rest is of this charset."""
    rest = iter(blocks)
    cut = b""
    for block in rest:
        pending = cut + block
        try:
            text, length = codecs.utf_8_decode(pending, "strict", False)
        except UnicodeDecodeError:
            yield from _from_charset(_joined(bytearray(pending), rest), charset)
            return
        cut = pending[length:]
        if text:
            yield pending[:length]
    if cut:
        yield from _from_charset([cut], charset)
