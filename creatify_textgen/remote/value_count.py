"""Whether a JSON text has so many values that reading it would fill the memory. Pure.

The length of a text does not bound that: eight megabytes of `{},` become 200 megabytes of objects.
"""

from __future__ import annotations

import re

__all__ = ["MOST_VALUES", "refuse_many"]

MOST_VALUES = 100_000
"""Values in one JSON text. `{},` is three bytes of an answer and 72 of memory."""
_SMALL = 512 * 1024
"""Characters that cannot hold enough values to matter."""
# Possessive, so that a string of megabytes leaves no places to come back to.
_STRING_OR_MARK = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"?|[\[{,:\]}]', re.DOTALL)


def refuse_many(text: str, position: int = 0) -> None:
    """Refuse a JSON value that would take far more memory than its text.

    Raises: ValueError for more than `MOST_VALUES` values in the one that begins at `position`.
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
        if count > MOST_VALUES:
            raise ValueError(f"more than {MOST_VALUES} values")
