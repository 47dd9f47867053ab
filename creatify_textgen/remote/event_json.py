"""Reads the JSON of one event of a stream. Pure.

The text is passed on to readers as it is written, so it has to be JSON for browsers, too.
"""

from __future__ import annotations

import json
from typing import Any

from creatify_textgen.remote.value_count import MOST_EVENT_MARKS, refuse_many
from creatify_textgen.remote.wire import STRICT, UNREADABLE, load, plain

__all__ = ["read_event"]


def read_event(text: str) -> tuple[str, Any]:
    """Return the text and its value; None as the value if the text is not JSON.

    If only a lenient reader accepts a number (`NaN`, an integer of thousands of digits), it is
    replaced by null, because an odd number must not hide the text and the cost in the same event.
    """
    try:
        refuse_many(text, most=MOST_EVENT_MARKS)
    except UNREADABLE:
        return text, None
    try:
        # `decode` removes white space around the value, which is rare and costs more than this.
        answer, end = STRICT.raw_decode(text)
        if end == len(text):
            return text, answer
    except UNREADABLE:
        pass
    try:
        return text, STRICT.decode(text)
    except UNREADABLE:
        pass
    try:
        answer = load(text)
        return json.dumps(answer, ensure_ascii=False, separators=(",", ":"), default=plain), answer
    except UNREADABLE:
        return text, None
