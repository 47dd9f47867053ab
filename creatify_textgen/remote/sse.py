"""Cuts bytes into whole events for `sseclient-py`, with a size limit and in linear time.

The library yields a cut last event, drops JSON without `data:`, loses the first event after a BOM,
joins events whose blank line has mixed line endings, and takes quadratic time for a large event
(section 6.7). So it receives one whole event at a time, with LF, known fields and few lines.
Invariant: no complete event is lost, and an incomplete one is marked as such.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from sseclient import SSEClient

from creatify_textgen.exceptions import StreamError

DEFAULT_EVENT_CAP = 2 * 1024 * 1024
MAX_EVENT_LINES = 65_536
# sseclient-py copies its buffer for each line. Groups of lines keep the total time linear.
_LINES_AT_ONCE = 32

_BOM = b"\xef\xbb\xbf"
_DATA_LINE = re.compile(rb"data(?::|$)")
_NAME_LINE = re.compile(rb"event(?::|$)")
_FIELD_LINE = re.compile(rb":|(?:data|event|id|retry)(?::|$)")


class Event(NamedTuple):
    """One event, or the text between two events."""

    data: str
    """The data lines joined by LF, or the text. Invalid UTF-8 is replaced by U+FFFD."""
    name: str = "message"
    """The event's own name, `error` for instance."""
    complete: bool = True
    """False for the text after the last blank line of a stream that ended."""
    bare: bool = False
    """True for JSON without `data:`, as Gemini sends some errors (section 6.6)."""


class EventReader:
    """Cuts one byte stream into events, block by block."""

    def __init__(self, *, cap: int = DEFAULT_EVENT_CAP) -> None:
        """`cap` is the most bytes one event may have."""
        self._cap = cap
        self._lines = _LineFeeds()
        self._pending: list[bytes] = []
        self._size = 0

    def read(self, block: bytes) -> Iterator[Event]:
        """Yield the events that are complete with this block. It may be cut anywhere.

        Raises: `StreamError` with code `stream_limit` above the cap.
        """
        block = self._lines.read(block)
        if not block:
            return
        pending = self._pending
        straddles = block[:1] == b"\n" and pending and pending[-1][-1:] == b"\n"
        pending.append(block)
        self._size += len(block)
        if straddles or b"\n\n" in block:
            *frames, rest = b"".join(pending).split(b"\n\n")
            self._pending, self._size = ([rest], len(rest)) if rest else ([], 0)
            yield from _read_frames(frames, cap=self._cap)
        _check_size(self._size, cap=self._cap)

    def end(self) -> Iterator[Event]:
        """Yield the text after the last blank line. Call it when the stream has ended."""
        return read_lines(b"".join(self._pending), complete=False)


def read_events(blocks: Iterable[bytes], *, cap: int = DEFAULT_EVENT_CAP) -> Iterator[Event]:
    """Yield the events of a byte stream. Its blocks may be cut anywhere.

    Raises: the same as `EventReader`; any error that `blocks` raises.
    """
    reader = EventReader(cap=cap)
    for block in blocks:
        yield from reader.read(block)
    yield from reader.end()


class _LineFeeds:
    """Turns every line ending (CR, LF, CR LF) into LF, and drops a byte order mark."""

    def __init__(self) -> None:
        self._start: bytes | None = b""
        """The first bytes, while they may be the beginning of a mark; then None."""
        self._ended_in_return = False

    def read(self, block: bytes) -> bytes:
        if self._start is not None:
            block = self._without_mark(self._start + block)
        if self._ended_in_return and block[:1] == b"\n":
            block = block[1:]
            self._ended_in_return = False
        if not block:
            return block
        # A CR at the end ends the line now. To wait for an LF after it would delay the event.
        self._ended_in_return = block[-1:] == b"\r"
        if b"\r" in block:
            block = block.replace(b"\r\n", b"\n")
            # This search is cheaper than a second `replace` that finds nothing.
            if b"\r" in block:
                block = block.replace(b"\r", b"\n")
        return block

    def _without_mark(self, start: bytes) -> bytes:
        if len(start) < len(_BOM) and _BOM.startswith(start):
            self._start = start
            return b""
        self._start = None
        return start.removeprefix(_BOM)


def _read_frames(frames: list[bytes], *, cap: int) -> Iterator[Event]:
    for frame in frames:
        # Most events are one line with one field. sseclient-py would only remove the name of the
        # field, which takes several times as long as parsing the JSON after it.
        if frame[:6] == b"data: " and b"\n" not in frame and len(frame) <= cap:
            yield Event(frame[6:].decode("utf-8", "replace"))
        else:
            _check_size(len(frame), cap=cap)
            yield from read_lines(frame, complete=True)


def read_lines(frame: bytes, *, complete: bool) -> Iterator[Event]:
    """Yield the event in these lines, and any JSON between them that is in no field."""
    if frame.count(b"\n") >= MAX_EVENT_LINES:
        raise StreamError("An event of the stream has too many lines.", code="stream_limit")
    # sseclient-py would raise for bytes that are not UTF-8.
    lines = frame.decode("utf-8", "replace").encode().split(b"\n")
    data = [line for line in lines if _DATA_LINE.match(line)]
    names = [line for line in lines if _NAME_LINE.match(line)]
    if data:
        yield _join_event(data, names[-1:], complete=complete)
    bare = b"\n".join(line for line in lines if not _FIELD_LINE.match(line)).strip()
    if bare[:1] in (b"{", b"["):
        yield Event(bare.decode(), complete=complete, bare=True)


def _join_event(data: list[bytes], names: list[bytes], *, complete: bool) -> Event:
    texts = []
    for start in range(0, len(data), _LINES_AT_ONCE):
        group = b"\n".join([*names, *data[start : start + _LINES_AT_ONCE], b"", b""])
        # An iterator: the library logs its source, and the log would show the content of a list.
        event = next(SSEClient(iter((group,))).events())
        texts.append(event.data)
    return Event("\n".join(texts), name=event.event, complete=complete)


def _check_size(size: int, *, cap: int) -> None:
    if size > cap:
        raise StreamError(f"An event of the stream is above {cap} bytes.", code="stream_limit")
