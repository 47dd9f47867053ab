"""The remote's API as values: paths, limits, words, requests and answers.

Nothing here opens a connection or parses JSON; every value is frozen. Section numbers in this room
are those of the contract (docs/explanation/contract.md), our notes on the remote's API.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from types import MappingProxyType
from typing import Any, BinaryIO, NamedTuple, Protocol, runtime_checkable
from urllib.parse import urlsplit

from creatify_textgen.exceptions import RemoteError

# Without its last slash a path is answered with a redirect, which is not followed (section 1).
GENERATIONS_PATH = "/sse/text_generator/"
STREAM_PATH = "/sse/text_generator/stream/"
CREDITS_PATH = "/api/remaining_credits/"

ROLES = ("user", "model")
FUNCTION_CALLING_MODES = ("AUTO", "ANY", "NONE")
RESPONSE_MIME_TYPES = ("text/plain", "application/json")
IMAGE_MIME_TYPES = ("image/jpeg", "image/png", "image/gif", "image/webp")
# The guide names six, "and more" (section 3.1). Google's documentation adds four.
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
# Decoded bytes. It is unknown whether the remote counts these or the base64 (section 11, row 15).
MAX_IMAGE_BYTES = 20 * 1024 * 1024
MAX_VIDEO_BYTES = 100 * 1024 * 1024
MAX_MODEL_NAME_LENGTH = 255
# Not documented here. It is the limit of other endpoints of the same API (section 3).
MAX_WEBHOOK_URL_LENGTH = 200

# The time for a body, beyond the timeouts, is its size divided by this. Slower uplinks fail.
SLOWEST_UPLOAD_BYTES_PER_SECOND = 128 * 1024


class ConfigRule(NamedTuple):
    """What the guide says about one key of `config` (section 3.2)."""

    kind: str
    """`float`, `int`, `text`, `texts` (a list of strings) or `object`."""
    minimum: float | None = None
    """Smallest value, inclusive; None if the guide names none."""
    maximum: float | None = None
    """Largest value, inclusive; None if the guide names none."""


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

# The keywords of JSON Schema that Gemini reads. It ignores or refuses others (section 3.2).
SCHEMA_KEYWORDS = frozenset(
    [
        "$id",
        "$defs",
        "$ref",
        "$anchor",
        "type",
        "format",
        "title",
        "description",
        "enum",
        "items",
        "prefixItems",
        "minItems",
        "maxItems",
        "minimum",
        "maximum",
        "anyOf",
        "oneOf",
        "properties",
        "additionalProperties",
        "required",
        "propertyOrdering",
    ]
)


@dataclass(frozen=True, slots=True)
class Credentials:
    """The two header values of one workspace, and the URL of its API (section 1).

    Raises: `ValueError` if a value is empty or cannot be put into a header, or if the base URL is
    not a plain http or https origin (with or without a path). The error shows no value.
    """

    api_id: str = field(repr=False)
    api_key: str = field(repr=False)
    base_url: str
    """Without a trailing slash; a given one is removed."""

    def __post_init__(self) -> None:
        # The error of `requests` for a wrong header would quote the value, which is a key.
        for name, value in (("API id", self.api_id), ("API key", self.api_key)):
            if not value or value != value.strip() or not (value.isascii() and value.isprintable()):
                raise ValueError(f"The {name} is empty or has characters that no header may have.")
        parts = urlsplit(self.base_url)
        if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc:
            raise ValueError("The base URL must be http(s)://host, without user or password.")
        if parts.query or parts.fragment:
            raise ValueError("The base URL must not have a query or a fragment.")
        object.__setattr__(self, "base_url", self.base_url.rstrip("/"))


class Timeouts(NamedTuple):
    """How long to wait, in seconds."""

    connect: float = 5
    """Until the connection is open, with TLS."""
    read: float = 30
    """Between two pieces of an answer. Also for the whole answer to an asynchronous create."""
    sync: float = 120
    """The same for a create with `sync`, whose answer comes when the text is complete."""
    stream_idle: float = 60
    """The longest silence in a stream. The remote's keep-alive comments end a silence."""

    def longest_send(
        self, *, sync: bool = False, stream: bool = False, body_bytes: int = 0
    ) -> float:
        """Return the seconds after which a create has certainly ended, or a stream has begun.

        `body_bytes` is the length of the whole body, with text and encoded media. The lease of a
        send and its deadline are both computed from this.
        """
        upload = body_bytes / SLOWEST_UPLOAD_BYTES_PER_SECOND
        return self.connect + upload + self.longest_wait(sync=sync, stream=stream)

    def longest_wait(self, *, sync: bool = False, stream: bool = False) -> float:
        """Return the longest silence before and in the answer to a create."""
        if stream:
            return self.stream_idle
        return self.sync if sync else self.read


@runtime_checkable
class MediaSource(Protocol):
    """An image or a video that is read each time it is sent."""

    @property
    def size(self) -> int:
        """In decoded bytes; `open()` must yield exactly as many."""

    def open(self) -> BinaryIO:
        """Return a new binary stream at the first byte; the reader closes it."""


@dataclass(frozen=True, slots=True)
class GenerationRequest:
    """What to generate: the body of a create or a stream (section 3)."""

    model_name: str
    messages: Sequence[Mapping[str, Any]] = field(repr=False)
    """In the remote's form. In a media part, `{"type": "image", "mime_type": …, "data": …}`, the
    `data` is base64 text or a `MediaSource`."""
    system_instruction: str = field(default="", repr=False)
    config: Mapping[str, Any] | None = field(default=None, repr=False)
    tools: Sequence[Mapping[str, Any]] | None = field(default=None, repr=False)
    tool_config: Mapping[str, Any] | None = None
    extra: Mapping[str, Any] | None = field(default=None, repr=False)
    """Fields that the contract does not know. Merged into the body last, `config` key by key."""
    webhook_url: str = field(default="", repr=False)
    """Contains the secret token; not sent for a stream."""
    sync: bool = False
    """Not sent for a stream."""


@dataclass(frozen=True, slots=True)
class RemoteGeneration:
    """The remote's object (section 4), or the part of it in a webhook delivery (section 5)."""

    id: str
    """In the form in which ids are compared, see `remote_ids.identifier`."""
    status: str
    """The remote's word in small letters, even an unknown one; empty if there is none."""
    response_text: str = field(default="", repr=False)
    response_function_calls: list[dict[str, Any]] = field(default_factory=list, repr=False)
    """`[{"name": "get_weather", "args": {…}}]`, with `id` and `thought_signature` if given."""
    failed_reason: str = field(default="", repr=False)
    credits_used: Decimal | None = None
    """None while unknown, which is not zero."""
    model_name: str = ""
    messages: list[dict[str, Any]] | None = field(default=None, repr=False)
    """The echo of the request, its media without their `data`; None if there was none."""
    system_instruction: str = field(default="", repr=False)
    config: dict[str, Any] = field(default_factory=dict, repr=False)
    created_at: datetime | None = None
    """Aware, in UTC."""
    id_as_sent: str = ""
    """For the remote's URLs, if it writes its id in another form."""
    updated_at: datetime | None = None
    """Aware, in UTC. It does not show changes: the remote does not always update it (section 4)."""

    @property
    def id_in_urls(self) -> str:
        return self.id_as_sent or self.id


class Receipt(NamedTuple):
    """The `creatify` object of a stream: the proof that it is complete (section 6.2)."""

    id: str
    credits_used: Decimal | None
    """None if the remote named no readable number."""
    id_as_sent: str = ""
    """For the remote's URLs, if it writes its id in another form."""
    is_early: bool = False
    """Whether the answer went on after it: it names the generation, and is not its end."""


class RemoteClock(NamedTuple):
    """The remote's time in one answer (its `Date` header), and this machine's monotonic clock.

    The remote wrote `served_at` at some moment between `asked_at` and `received_at`.
    """

    served_at: datetime
    """Aware, in UTC, cut to whole seconds by the remote."""
    asked_at: float
    """`time.monotonic()` just before the request was sent."""
    received_at: float
    """`time.monotonic()` when the head of the answer was read."""

    def skew(self, *, now: datetime, monotonic: float) -> tuple[timedelta, timedelta]:
        """Return the least and the most by which the remote's clock is ahead of our clock.

        `now` is our time by a clock that the caller trusts, and `monotonic` is the value of
        `time.monotonic()` at that moment. Negative values mean that the remote's clock is behind.
        """
        asked = now - timedelta(seconds=monotonic - self.asked_at)
        received = now - timedelta(seconds=monotonic - self.received_at)
        return self.served_at - received, self.served_at - asked + timedelta(seconds=1)


class Listing(NamedTuple):
    """What was found in the remote's list, and whether the list was read completely.

    If an item cannot be read or a page breaks off, what was found still counts. The list then
    proves no absence.
    """

    generations: Sequence[RemoteGeneration] = ()
    """The generations that the caller wanted to keep, in the order of the list."""
    unreadable: int = 0
    """Number of items that could not be read: no object, no usable id, too large, or no JSON."""
    total: int = 0
    """Number of items read, kept or not, without the unreadable ones."""
    pages: int = 0
    """Number of pages read to their end. The list may have changed between two pages."""
    clocks: Sequence[RemoteClock] = ()
    """One for each page whose answer had a readable `Date`, in order."""
    failure: RemoteError | None = None
    """Why the list was not read to its end; None if it was."""
    may_be_longer: bool = False
    """Whether an answer says of itself that it is a part or a stored copy, or says more of the list
    than this app can read."""

    @property
    def is_complete(self) -> bool:
        """Whether the list was read to its end, unreadable items included."""
        return self.failure is None

    @property
    def is_whole(self) -> bool:
        """Whether all that the remote has was read: the list to its end, and every item in it."""
        return self.is_complete and not self.unreadable and not self.may_be_longer
