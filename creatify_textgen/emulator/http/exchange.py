"""What the HTTP server and the API exchange: requests, and answers as values.

No sockets here: an answer says what to send, and the server sends it.
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
        """Take one block; raise `OverflowError` if the body is too large."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request, with its whole body received."""

    head: Head
    body: Any
    """What `Application.open_body` returned for this head."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A complete answer."""

    status: int
    body: bytes = b""
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Pieces:
    """A long answer, sent piece by piece as fast as the client reads it."""

    pieces: AsyncIterator[bytes]
    status: int = 200
    content_type: str = "application/json"


# All events exist before the first is sent, so a stream costs the loop one write per event, and
# a benchmark measures the app and not the emulator.
@dataclass(frozen=True, slots=True)
class Stream:
    """Events sent one after another, each with one write. They are rendered beforehand."""

    events: Sequence[bytes]
    interval: float
    """Seconds between events."""
    ending: str
    """complete (the body ends), close (within the body), reset, or hang (stays open)."""
    on_end: Callable[..., None]
    """Called once: `everything=True` if all was sent, False if the client left before."""
    ping: Callable[[], bytes] | None = None
    ping_seconds: float = 0.0
    status: int = 200


@dataclass(frozen=True, slots=True)
class Reset:
    """No answer: the connection is reset."""

    # The log notes the status of each answer, and here there is none.
    status: int | None = None


AnyAnswer = Answer | Pieces | Stream | Reset


class Application(Protocol):
    """What an HTTP server serves."""

    def open_body(self, head: Head) -> Body:
        """Return what takes the body of this request."""

    async def answer(self, request: Request) -> AnyAnswer:
        """Return what to send."""

    def upload_rate(self, head: Head) -> int:
        """Return the bytes per second at which this request's body is read; 0: at once."""

    def date_header(self) -> Mapping[str, str]:
        """Return the `Date` header of an answer, or no header."""


def dump_json(value: Any) -> bytes:
    """Write JSON as Starlette does: compact, and not escaped to ASCII."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    # A lone surrogate may have arrived as an escape in a request. The echo must not fail at it.
    return text.encode("utf-8", "surrogatepass")


def json_answer(value: Any, *, status: int = 200) -> Answer:
    return Answer(status, dump_json(value))


def text_answer(text: str, *, status: int, headers: Mapping[str, str] | None = None) -> Answer:
    return Answer(status, text.encode(), "text/plain; charset=utf-8", headers or {})
