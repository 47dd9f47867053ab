"""The formats in which a stream is sent, chosen by `?format=`: one renderer for each.

A renderer turns frames into bytes. To add a format, write its renderer and name it here.
Invariant: a format changes how frames look, and nothing of what is generated, saved or paid.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Protocol

from rest_framework.request import Request

from creatify_textgen.exceptions import RequestError
from creatify_textgen.intake.text import shown
from creatify_textgen.streams.hub import Frame

__all__ = [
    "OF_GENERATION",
    "UI_MESSAGES",
    "Frames",
    "NamedFrames",
    "Renderer",
    "wants_ui_messages",
]

OF_GENERATION = "@"
"""Between the place in a stream and its generation, in the id of a frame that names it."""
UI_MESSAGES = "ui-message-stream"


class Renderer(Protocol):
    """Turns the frames of one response into bytes."""

    headers: Mapping[str, str]
    """What this format adds to the headers of the response."""

    def render(self, batch: list[Frame]) -> bytes:
        """Return the bytes of these frames; they may be empty."""
        ...


class Frames:
    """Without `?format=`: Creatify's chunks as they came, as server-sent events with ids."""

    headers: Mapping[str, str] = MappingProxyType({})

    def render(self, batch: list[Frame]) -> bytes:
        if len(batch) == 1:  # Nearly always. The bytes of a frame are shared by all its readers.
            return batch[0].wire
        return b"".join([frame.wire for frame in batch])


class NamedFrames(Frames):
    """The same for a URL whose generation changes: each id also names the generation."""

    def __init__(self, generation_id: str) -> None:
        self._name = f"{OF_GENERATION}{generation_id}\n".encode()

    def render(self, batch: list[Frame]) -> bytes:
        return b"".join([self._named(frame.wire) for frame in batch])

    def _named(self, wire: bytes) -> bytes:
        # The id is the first line of a frame that has one.
        return wire.replace(b"\n", self._name, 1) if wire.startswith(b"id:") else wire


def wants_ui_messages(request: Request) -> bool:
    """Return whether the caller reads the AI SDK's protocol. Raises: RequestError."""
    # DRF's own `?format=` chooses a renderer, and these responses have none.
    written = request.query_params.get("format", "")
    if written not in ("", UI_MESSAGES):
        rule = f"Must be {UI_MESSAGES}, or absent for Creatify's chunks, not {shown(written)}."
        raise RequestError.about("format", rule)
    return written == UI_MESSAGES
