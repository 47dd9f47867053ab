"""The remote's API as values: paths, limits, words, and what goes in and comes out.

Nothing here opens a connection or knows how JSON looks; every value is frozen. Section numbers
in this room are those of the contract, the notes on what is known of the remote's API.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Any, BinaryIO, NamedTuple, Protocol, runtime_checkable
from urllib.parse import urlsplit

DEFAULT_BASE_URL = "https://api.creatify.ai"
GENERATIONS_PATH = "/sse/text_generator/"
STREAM_PATH = "/sse/text_generator/stream/"
CREDITS_PATH = "/api/remaining_credits/"

# Suggestions, never an enum: the remote learns new names without telling us (section 9).
MODELS = (
    "gemini-2.5-flash",
    "gemini-2.5-pro",
    "gemini-3-flash-preview",
    "gemini-3.1-pro-preview",
    "gemini-3.1-flash-lite-preview",
)
ROLES = ("user", "model")
FUNCTION_CALLING_MODES = ("AUTO", "ANY", "NONE")
RESPONSE_MIME_TYPES = ("text/plain", "application/json")
IMAGE_MIME_TYPES = ("image/jpeg", "image/png", "image/gif", "image/webp")
# The guide's six and the four that Google adds ("and more", section 3.1).
VIDEO_MIME_TYPES = (
    "video/mp4",
    "video/mpeg",
    "video/mov",
    "video/avi",
    "video/webm",
    "video/quicktime",
    "video/x-flv",
    "video/mpg",
    "video/wmv",
    "video/3gpp",
)
# Decoded bytes; whether the remote counts these or the base64 is unknown (section 11, row 15).
MAX_IMAGE_BYTES = 20 * 1024 * 1024
MAX_VIDEO_BYTES = 100 * 1024 * 1024
MAX_MODEL_NAME_LENGTH = 255
MAX_WEBHOOK_URL_LENGTH = 200
# The remote's ids are UUIDs; anything else is accepted up to this length.
MAX_REMOTE_ID_LENGTH = 64

# A body may take this long beyond the timeouts: slower uplinks than this are given up.
SLOWEST_UPLOAD_BYTES_PER_SECOND = 128 * 1024


class ConfigRule(NamedTuple):
    """What the guide says of one key of `config` (section 3.2)."""

    kind: str
    """`float`, `int`, `text`, `texts` (a list of strings) or `object`."""
    minimum: float | None = None
    """Smallest value, inclusive; None where the guide names none."""
    maximum: float | None = None
    """Largest value, inclusive; None where the guide names none."""


CONFIG: Mapping[str, ConfigRule] = MappingProxyType(
    {
        "temperature": ConfigRule("float", 0.0, 2.0),
        "max_output_tokens": ConfigRule("int"),
        "top_p": ConfigRule("float", 0.0, 1.0),
        "top_k": ConfigRule("int"),
        "presence_penalty": ConfigRule("float", -2.0, 2.0),
        "frequency_penalty": ConfigRule("float", -2.0, 2.0),
        "seed": ConfigRule("int"),
        "stop_sequences": ConfigRule("texts"),
        "response_mime_type": ConfigRule("text"),
        "response_json_schema": ConfigRule("object"),
    }
)


@dataclass(frozen=True, slots=True)
class Credentials:
    """The two header values of one workspace and where it lives (section 1).

    Raises: `ValueError`, which never shows a value, where one is empty or unfit for a header, or
    the base URL is not a plain http or https origin (a path prefix is fine).
    """

    api_id: str = field(repr=False)
    api_key: str = field(repr=False)
    base_url: str = DEFAULT_BASE_URL
    """Without a trailing slash; a given one is removed."""

    def __post_init__(self) -> None:
        # requests would quote an unfit header value, that is a key, in its error.
        for name, value in (("API id", self.api_id), ("API key", self.api_key)):
            if not value or value != value.strip() or not (value.isascii() and value.isprintable()):
                raise ValueError(f"The {name} is empty or holds characters no header may carry.")
        parts = urlsplit(self.base_url)
        if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc:
            raise ValueError("The base URL must be http(s)://host, without user or password.")
        if parts.query or parts.fragment:
            raise ValueError("The base URL must not have a query or a fragment.")
        object.__setattr__(self, "base_url", self.base_url.rstrip("/"))


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long to wait, in seconds."""

    connect: float = 5
    """Until the connection stands, TLS included."""
    read: float = 30
    """Between two pieces of an answer, and for the whole answer to an asynchronous create."""
    sync: float = 120
    """The same for a create that blocks until the text is there."""
    stream_idle: float = 60
    """Silence in a stream; the remote's keep-alive comments count as sound."""

    def longest_send(
        self, *, sync: bool = False, stream: bool = False, body_bytes: int = 0
    ) -> float:
        """Seconds after which a create has surely ended, one way or the other.

        Of a stream: until its answer begins. The lease on a send must not run out before this.
        """
        upload = body_bytes / SLOWEST_UPLOAD_BYTES_PER_SECOND
        answer = self.sync if sync else self.stream_idle if stream else self.read
        return self.connect + upload + answer


@runtime_checkable
class MediaSource(Protocol):
    """An image or a video that is read when it is sent, and again if it is sent again."""

    @property
    def size(self) -> int:
        """Decoded bytes; what `open()` yields must be exactly as long."""

    def open(self) -> BinaryIO:
        """Return a new binary stream at the first byte; the reader closes it."""


@dataclass(frozen=True, slots=True)
class GenerationRequest:
    """What to generate: the body of a create or a stream (section 3)."""

    model_name: str
    messages: Sequence[Mapping[str, Any]] = field(repr=False)
    """In the remote's shape. In a media part, `{"type": "image", "mime_type": …, "data": …}`,
    `data` is base64 text or a `MediaSource`."""
    system_instruction: str = field(default="", repr=False)
    config: Mapping[str, Any] | None = field(default=None, repr=False)
    tools: Sequence[Mapping[str, Any]] | None = field(default=None, repr=False)
    tool_config: Mapping[str, Any] | None = None
    webhook_url: str = field(default="", repr=False)
    """Holds a secret of ours; not sent to the stream."""
    sync: bool = False
    """Not sent to the stream."""


@dataclass(frozen=True, slots=True)
class RemoteGeneration:
    """The remote's object (section 4), or what a webhook delivery tells of it (section 5)."""

    id: str
    status: str
    """The remote's own word, whatever it is; empty where it said none."""
    response_text: str = field(default="", repr=False)
    response_function_calls: list[dict[str, Any]] = field(default_factory=list, repr=False)
    """`[{"name": "get_weather", "args": {…}}]`"""
    failed_reason: str = field(default="", repr=False)
    credits_used: Decimal | None = None
    """None while unknown, which is not zero."""
    model_name: str = ""
    messages: list[dict[str, Any]] | None = field(default=None, repr=False)
    """The echo of the request, its media without their `data`; None where there was none."""
    system_instruction: str = field(default="", repr=False)
    config: dict[str, Any] = field(default_factory=dict, repr=False)
    created_at: datetime | None = None
    """Aware, in UTC."""
    updated_at: datetime | None = None
    """Aware, in UTC. Not a change marker: the remote forgets to move it (section 4)."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """The `creatify` object of a stream: the proof that it is complete (section 6.2)."""

    id: str
    credits_used: Decimal | None
    """None where the remote named no readable number."""
