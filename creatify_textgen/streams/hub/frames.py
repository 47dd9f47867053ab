"""Frames: the numbered events of a stream, as bytes that are ready to send. Pure.

Invariant: a frame's `end` says how much of the answer its reader has. If later frames are lost,
the reader receives the rest from the row, beginning at that place.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

__all__ = ["CHUNK", "END", "ERROR", "START", "Frame", "Position", "chunk_frame", "word_frame"]

CHUNK = ""
ERROR = "error"
END = "end"
COME_AGAIN_MS = 15_000
"""How long an EventSource waits before it reconnects to a stream that ended without a result."""

# A stranger may write a position, in `Last-Event-ID`. So its digits are limited, and `\d` matches
# only 0 to 9.
_ID = re.compile(r"(\d{1,9})-(\d{1,12})(?:-(\d{1,12})-(\d{1,9}))?", re.ASCII)


class Position(NamedTuple):
    """A place in a stream. As text, `17-1042`, or `17-1042-310-1` with thoughts or calls."""

    number: int
    """Of the last frame; 0 before the first."""
    text: int = 0
    """Characters of the answer so far."""
    thoughts: int = 0
    """Characters of the model's reasoning so far."""
    calls: int = 0
    """Function calls so far."""

    def __str__(self) -> str:
        number, text, thoughts, calls = self
        if thoughts or calls:
            return f"{number}-{text}-{thoughts}-{calls}"
        return f"{number}-{text}"

    @classmethod
    def parse(cls, written: str) -> Position:
        """Return the position that `str()` wrote, such as `17-1042`.

        Raises: ValueError for anything else.
        """
        match = _ID.fullmatch(written.strip())
        if match is None:
            raise ValueError("not a position in a stream")
        return cls(*(int(group or 0) for group in match.groups()))


START = Position(0)


class Frame(NamedTuple):
    """One event for readers."""

    start: Position
    """The reader's position before this frame."""
    end: Position
    """The reader's position after it; its `number` is the number of the frame."""
    event: str
    """Empty for a chunk of the remote, else `error` or `end`."""
    wire: bytes
    """The server-sent event with its blank line: `b"id: 1-5\\ndata: {…}\\n\\n"`."""

    @property
    def number(self) -> int:
        return self.end.number

    @property
    def is_from_row(self) -> bool:
        """Whether it replaces lost frames; then it has the number of the frame before it."""
        return self.end.number == self.start.number

    @property
    def is_last(self) -> bool:
        """Whether it is the end frame that says that the reader has everything."""
        return self.event == END and b"\nid: end\n" in self.wire

    @property
    def data(self) -> str:
        """The JSON text; for a chunk, exactly as the remote sent it."""
        # JSON has no line that begins with `data: `, so the split is reversible.
        _, _, lines = self.wire.partition(b"data: ")
        return lines[:-2].decode().replace("\ndata: ", "\n")


def chunk_frame(start: Position, end: Position, raw: str) -> Frame:
    """Return the frame of a remote chunk; `raw` is its JSON text, sent on unchanged."""
    # A line without a field name would be lost: WHATWG HTML 9.2.6 joins `data:` lines with \n.
    if "\n" in raw:
        raw = raw.replace("\n", "\ndata: ")
    return Frame(start, end, CHUNK, f"id: {end}\ndata: {raw}\n\n".encode())


def word_frame(
    start: Position, event: str, payload: Mapping[str, Any], *, is_last: bool = True
) -> Frame:
    """Return an `error` or `end` frame, with a payload such as `{"status": "done"}`.

    The last end frame has the id `end`, which says that the reader has everything. With `is_last`
    False the end frame has no id, so the reader keeps its position and can return for the rest.
    """
    # An error frame has no id: a reader that is cut off before the end receives both again.
    name = f"event: {event}\n"
    if event == END:
        name += "id: end\n" if is_last else f"retry: {COME_AGAIN_MS}\n"
    wire = f"{name}data: {json.dumps(payload, separators=(',', ':'))}\n\n".encode()
    return Frame(start, start._replace(number=start.number + 1), event, wire)
