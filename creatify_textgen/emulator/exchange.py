"""What goes between the transport and the API: requests, and answers as values.

No sockets and no business: an answer says what is to be sent, the transport sends it.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

__all__ = [
    "Answer",
    "AnyAnswer",
    "Application",
    "Body",
    "Head",
    "Pieces",
    "Request",
    "Reset",
    "Stream",
    "dump_json",
    "json_answer",
    "text_answer",
]


@dataclass(frozen=True, slots=True)
class Head:
    """The head of a request; header names are lower case."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    keep_alive: bool


class Body(Protocol):
    """Takes a request's body block by block as it arrives."""

    def feed(self, block: bytes) -> None:
        """Take one block; raises `OverflowError` when there is too much."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request, its body received."""

    head: Head
    body: Any
    """What `Application.open_body` returned for this head."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer."""

    status: int
    body: bytes = b""
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Pieces:
    """A long answer, sent piece by piece as fast as the reader takes it."""

    pieces: AsyncIterator[bytes]
    status: int = 200
    content_type: str = "application/json"


@dataclass(frozen=True, slots=True)
class Stream:
    """Events in time, rendered beforehand: one write each."""

    events: Sequence[bytes]
    interval: float
    """Seconds between events."""
    ending: str
    """complete (the body ends well), close (in mid-body), reset, or hang (stays open)."""
    on_end: Callable[..., None]
    """Called once, `everything=True` when all was sent, False when the reader left first."""
    ping: Callable[[], bytes] | None = None
    ping_seconds: float = 0.0
    status: int = 200


@dataclass(frozen=True, slots=True)
class Reset:
    """No answer: the connection is reset."""

    status: int | None = None


AnyAnswer = Answer | Pieces | Stream | Reset


class Application(Protocol):
    """What a transport serves."""

    def open_body(self, head: Head) -> Body:
        """Return what takes the body of this request."""

    async def answer(self, request: Request) -> AnyAnswer:
        """Return what to send."""


def dump_json(value: Any) -> bytes:
    """Write JSON as Starlette does: compact, and not escaped to ASCII."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.encode("utf-8", "surrogatepass")


def json_answer(value: Any, *, status: int = 200) -> Answer:
    return Answer(status, dump_json(value))


def text_answer(text: str, *, status: int, headers: Mapping[str, str] | None = None) -> Answer:
    return Answer(status, text.encode(), "text/plain; charset=utf-8", headers or {})
