"""Frames: what a stream looks like to its readers, numbered from 1, ready for the wire. Pure.

Invariant: the end of a frame's position says how much of the answer a reader has who has that
frame, so that it can be served from the row where the frames are gone.
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
"""What an EventSource is told to wait before it asks what became of a stream that broke off."""

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
        """Return the position that `str` wrote.

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
    """Where a reader is before it."""
    end: Position
    """Where a reader is after it; its `number` is the frame's."""
    event: str
    """Empty for a chunk of the remote, else `error` or `end`."""
    wire: bytes
    """The event as server-sent bytes, blank line included."""

    @property
    def number(self) -> int:
        return self.end.number

    @property
    def is_from_row(self) -> bool:
        """Whether it stands for frames that are gone; it has the number of the one before it."""
        return self.end.number == self.start.number

    @property
    def data(self) -> str:
        """The JSON text: of a chunk, the remote's own, untouched."""
        # JSON has no line that begins with `data: `, so the split is reversible.
        _, _, lines = self.wire.partition(b"data: ")
        return lines[:-2].decode().replace("\ndata: ", "\n")


def chunk_frame(start: Position, end: Position, raw: str) -> Frame:
    """Return the frame of a remote chunk; `raw` is its JSON text."""
    if "\n" in raw:
        raw = raw.replace("\n", "\ndata: ")
    return Frame(start, end, CHUNK, f"id: {end}\ndata: {raw}\n\n".encode())


def word_frame(
    start: Position, event: str, payload: Mapping[str, Any], *, is_last: bool = True
) -> Frame:
    """Return a frame of our own: `error`, or `end`, whose id tells a reader that it has all.

    Where it is not the last word, a reader keeps its place, and may come again for the rest.
    """
    # An error frame has no id: who is cut off between it and the end gets both again.
    name = f"event: {event}\n"
    if event == END:
        name += "id: end\n" if is_last else f"retry: {COME_AGAIN_MS}\n"
    wire = f"{name}data: {json.dumps(payload, separators=(',', ':'))}\n\n".encode()
    return Frame(start, start._replace(number=start.number + 1), event, wire)
