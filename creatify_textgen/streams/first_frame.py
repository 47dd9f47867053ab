"""Waits for the first frame, so that a door can answer an early error with its HTTP status.

Invariant: no frame is consumed. The reader that follows receives all of them.
"""

from __future__ import annotations

from creatify_textgen.exceptions import ContractError
from creatify_textgen.models import Generation
from creatify_textgen.remote import parse_chunk
from creatify_textgen.streams.follow import follow
from creatify_textgen.streams.hub import CHUNK, START, Frame

__all__ = ["first_frame"]


def first_frame(generation: Generation, *, seconds: float) -> Frame | None:
    """Return the first frame, or None if there is none after so many seconds.

    If the remote's first chunk contains only an error, this returns the error frame after it.
    The caller has just saved or read `generation`.
    """
    for batch in follow(generation.pk, heartbeat_seconds=seconds, row=generation):
        if not batch:
            return None
        for frame in batch:
            if not _is_mere_error(frame):
                return frame
    return None


def _is_mere_error(frame: Frame) -> bool:
    """Whether this is a chunk that has nothing but an error, which an error frame follows."""
    # A chunk after which the position has no text, thought or call contained none of them. Parsing
    # is left to those few that have the word.
    if frame.event != CHUNK or frame.end[1:] != START[1:] or '"error"' not in frame.data:
        return False
    try:
        return parse_chunk(frame.data).error is not None
    except ContractError:
        return False
