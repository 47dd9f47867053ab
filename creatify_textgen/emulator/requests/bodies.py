"""JSON bodies read block by block; the base64 of media is taken out as it arrives.

A long string under the key `data` never reaches the parser, which sees a marker in its place.
So 133 MB of JSON need one pass and no more memory than a block.
"""

from __future__ import annotations

import json
import re
import secrets
from typing import Any, NoReturn

from .media import Media, MediaReader

__all__ = ["BodyError", "JsonBody", "loggable"]

# Room for three of the largest videos in base64. Creatify documents no limit of a whole request.
TOTAL_LIMIT = 512 * 1024 * 1024
DEPTH_LIMIT = 500
# Of what the parser gets, which has no media in it.
TEXT_LIMIT = 64 * 1024 * 1024
INLINE_LIMIT = 4096
"""A shorter `data` string is left to the parser."""
# A key, its colon and the spaces between may be cut by a block. A key with more spaces that is cut
# goes to the parser as a whole, which costs memory and nothing else.
OVERLAP = 64
LONG_TEXT = 64 * 1024
# A quote after a backslash is within a string, such as a prompt that quotes JSON.
DATA_KEY = re.compile(rb'(?<!\\)"data"[ \t\r\n]*:[ \t\r\n]*"')
MEDIA_TYPES = ("image", "video")


class BodyError(ValueError):
    """The body is not JSON."""


class JsonBody:
    """Takes one body; `parse` then returns its value, with a `Media` in place of each media."""

    def __init__(self, *, keep_media: bool = False) -> None:
        self._keep_media = keep_media
        self._text = bytearray()
        self.total = 0
        self._searched = 0
        self._floor = 0
        """Start of the text after the last `data` string: the search for keys begins here."""
        self._inside = False
        """Whether the next bytes belong to a `data` string."""
        self._begun = bytearray()
        """That string, while it is still short."""
        self._reader: MediaReader | None = None
        self._escape = b""
        self._media: dict[str, Media] = {}
        # Random, so that no request can contain a marker of its media.
        self._token = secrets.token_hex(8)

    def feed(self, block: bytes) -> None:
        """Take the next bytes.

        Raises:
            OverflowError: the body is larger than any allowed one.
        """
        # A block may begin or end anywhere, and may contain several media.
        self.total += len(block)
        rest = block
        while rest:
            rest = self._feed_text(rest) if not self._inside else self._feed_media(rest)
        if self.total > TOTAL_LIMIT or len(self._text) > TEXT_LIMIT:
            raise OverflowError

    def parse(self) -> Any:
        """Return the JSON value.

        Raises:
            BodyError: not JSON, not UTF-8, not Unicode, or nested too deeply.
        """
        if self._inside:
            raise BodyError("the text ends inside a string")
        try:
            text = self._text.decode("utf-8")
            value = json.loads(text, object_hook=self._restore, parse_constant=_refuse_constant)
            # Only an escape can bring half of a surrogate pair, which no UTF-8 can hold.
            if "\\u" in text:
                json.dumps(value, ensure_ascii=False, default=_facts).encode("utf-8")
            _refuse_depth(value)
        except RecursionError:
            raise BodyError("nested too deeply") from None
        except UnicodeError:
            raise BodyError("not valid Unicode") from None
        except ValueError as error:
            raise BodyError(str(error)) from None
        return value

    def _feed_text(self, block: bytes) -> bytes:
        before = len(self._text)
        self._text += block
        found = DATA_KEY.search(self._text, max(self._floor, self._searched - OVERLAP))
        if found is None:
            self._searched = len(self._text)
            return b""
        del self._text[found.end() :]
        self._inside = True
        return block[found.end() - before :]

    def _feed_media(self, block: bytes) -> bytes:
        if self._escape:
            block, self._escape = self._escape + block, b""
        end = _string_end(block)
        # Whether a quote is escaped depends on the backslashes before it, so they wait for it.
        if end < 0 and block.endswith(b"\\"):
            whole = len(block.rstrip(b"\\"))
            block, self._escape = block[:whole], block[whole:]
        part = block if end < 0 else block[:end]
        self._take_media(part)
        if end < 0:
            return b""
        self._close_media()
        return block[end:]

    def _take_media(self, part: bytes) -> None:
        if self._reader is None:
            self._begun += part
            if len(self._begun) <= INLINE_LIMIT:
                return
            self._reader = MediaReader(keep=self._keep_media)
            part = bytes(self._begun)
        # `/` is a character of base64, and JSON allows to escape it. PHP does so by default.
        self._reader.feed(part.replace(b"\\/", b"/") if b"\\" in part else part)

    def _close_media(self) -> None:
        if self._reader is None:
            self._text += self._begun
        else:
            marker = f"{self._token}-{len(self._media)}"
            self._media[marker] = self._reader.finish()
            self._text += marker.encode()
        self._searched = self._floor = len(self._text)
        self._begun.clear()
        self._inside, self._reader = False, None

    def _restore(self, value: dict[str, Any]) -> dict[str, Any]:
        content = value.get("data")
        if not isinstance(content, str):
            return value
        # A short string was left to the parser, and so was one that is no media at all.
        media = self._media.get(content)
        if media is None and value.get("type") in MEDIA_TYPES:
            reader = MediaReader(keep=self._keep_media)
            reader.feed(content.encode("utf-8", "surrogatepass"))
            media = reader.finish()
        return value if media is None else {**value, "data": media}


def _string_end(block: bytes) -> int:
    """Return where the string's closing quote is, or -1."""
    end = block.find(b'"')
    while end > 0:
        slashes = end - len(block[:end].rstrip(b"\\")) if block[end - 1 : end] == b"\\" else 0
        if slashes % 2 == 0:
            return end
        end = block.find(b'"', end + 1)
    return end


def _refuse_constant(word: str) -> NoReturn:
    # Python's parser takes NaN and Infinity, which are not in RFC 8259.
    raise ValueError(f"{word} is not JSON")


def _refuse_depth(value: Any) -> None:
    # Our limit, for that of Python differs between its versions.
    level = [value]
    for _ in range(DEPTH_LIMIT):
        inner = [
            v.values() if isinstance(v, dict) else v for v in level if isinstance(v, dict | list)
        ]
        level = [item for values in inner for item in values]
        if not level:
            return
    raise BodyError("nested too deeply")


def loggable(value: Any) -> Any:
    """Return a copy of a parsed body for the log: media as facts, long texts shortened.

    Raises:
        BodyError: nested too deeply.
    """
    try:
        return _shortened(value)
    except RecursionError:
        raise BodyError("nested too deeply") from None


def _shortened(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _shortened(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_shortened(item) for item in value]
    if isinstance(value, Media):
        return _facts(value)
    if isinstance(value, str) and len(value) > LONG_TEXT:
        return f"{value[:LONG_TEXT]}… ({len(value)} characters)"
    return value


def _facts(media: Media) -> dict[str, Any]:
    return {"size": media.size, "sha256": media.sha256}
