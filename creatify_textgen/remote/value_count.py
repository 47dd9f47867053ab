"""Whether a JSON text has so many values that reading it would fill the memory. Pure.

The length of a text does not limit the memory: 30 megabytes of `{},` become 780 megabytes of
objects. Invariant: an answer that repeats a request that this app accepts can be read.
"""

from __future__ import annotations

import re

__all__ = ["MOST_EVENT_MARKS", "MOST_MARKS", "refuse_many"]

MOST_MARKS = 600_000
"""Brackets, colons and commas in one JSON text. A request may have 131,072 values (`VALUE_COST` of
`intake`), with four marks each at most; so many marks take some 33 MB of memory at most."""
MOST_EVENT_MARKS = 100_000
"""The same in one event of a stream: it is a piece of an answer, and repeats no request."""
_SMALL = 512 * 1024
"""Characters that cannot hold enough values to matter."""
# Possessive, so that a string of megabytes leaves no places to come back to.
_STRING_OR_MARK = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"?|[\[{,:\]}]', re.DOTALL)


def refuse_many(text: str, position: int = 0, *, most: int = MOST_MARKS) -> None:
    """Refuse a JSON value that would take far more memory than its text. Strings count nothing.

    Raises: ValueError for more than `most` marks in the one that begins at `position`.
    """
    if len(text) - position <= _SMALL:
        return
    count = depth = 0
    for found in _STRING_OR_MARK.finditer(text, position):
        mark = text[found.start()]
        if mark == '"':
            continue
        count += 1
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(mark, 0)
        if depth <= 0:
            return
        if count > most:
            raise ValueError(f"more than {most} brackets, colons and commas")
