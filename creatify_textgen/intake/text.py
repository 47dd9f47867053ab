"""Cleans text from outside before it is stored, and shortens it before it is shown. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from django.utils.functional import Promise

__all__ = ["clean", "kind_of", "shortened", "shown"]

_HOSTILE = re.compile("[\x00\ud800-\udfff]")
_SHOWN_LENGTH = 40
_LONGEST_SHOWN_INTEGER = 10**_SHOWN_LENGTH


def clean(text: str) -> str:
    """Return the text with U+FFFD instead of NUL and lone surrogates.

    PostgreSQL refuses NUL in text, and a lone surrogate cannot be encoded as UTF-8.
    """
    if "\x00" not in text and (text.isascii() or _is_encodable(text)):
        return text
    return _HOSTILE.sub("\ufffd", text)


def shortened(text: str) -> str:
    """Return the first 40 characters, without control characters, for one line of a log."""
    start = clean(text[:_SHOWN_LENGTH])
    if not start.isprintable():
        start = "".join(c if c.isprintable() else "\ufffd" for c in start)
    return f"{start}…" if len(text) > _SHOWN_LENGTH else start


def shown(value: Any) -> str:
    """Return a simple value as JSON, cut to 40 characters; the kind of value for a list or object.

    For example `"blue"`, `true`, `12` or `an object`.
    """
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, str):
        return f'"{shortened(value)}"'
    if isinstance(value, int):
        # Python raises ValueError for `str` of an int with more than 4300 digits.
        return str(value) if abs(value) < _LONGEST_SHOWN_INTEGER else "a huge number"
    return str(value)[:_SHOWN_LENGTH] if isinstance(value, float | Decimal) else kind_of(value)


def _is_encodable(text: str) -> bool:
    try:  # Ten times faster than the pattern, and nearly every text passes.
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def kind_of(value: Any) -> str:
    """Return the kind of JSON value, such as `a string`, or the type's name if it is not JSON."""
    if value is None:
        return "null"
    for types, name in _KINDS:
        if isinstance(value, types):
            return name
    if isinstance(value, Promise):
        return "a lazy translation (write str() around it)"
    return type(value).__name__


_KINDS: tuple[tuple[Any, str], ...] = (
    (str, "a string"),
    # Before the numbers: in Python True is an int.
    (bool, "a boolean"),
    (int | float | Decimal, "a number"),
    (Mapping, "an object"),
    (list | tuple, "a list"),
)
