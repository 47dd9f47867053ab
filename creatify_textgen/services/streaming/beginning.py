"""What a stream begins with, for a door that can still answer an error with its status.

Invariant: nothing is taken from the stream; its reader gets all of it.
"""

from __future__ import annotations

from creatify_textgen.exceptions import ContractError
from creatify_textgen.hub import CHUNK, START, Frame
from creatify_textgen.models import Generation
from creatify_textgen.remote import parse_chunk
from creatify_textgen.services.streaming.following import follow

__all__ = ["first_frame"]


def first_frame(generation: Generation, *, seconds: float) -> Frame | None:
    """Return the first frame, or None where it is not there within so many seconds.

    Where the remote's first word is an error and nothing else, it is the error frame that follows.
    `generation` was saved or read this moment.
    """
    for batch in follow(generation.pk, heartbeat_seconds=seconds, row=generation):
        if not batch:
            return None
        for frame in batch:
            if not _is_mere_error(frame):
                return frame
    return None


def _is_mere_error(frame: Frame) -> bool:
    if frame.event != CHUNK or frame.end[1:] != START[1:] or '"error"' not in frame.data:
        return False
    try:
        return parse_chunk(frame.data).error is not None
    except ContractError:
        return False
