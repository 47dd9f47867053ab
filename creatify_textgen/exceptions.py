"""Every error this app raises on purpose.

Known to all rooms and knows none: no imports from the package, none from Django.

TextgenError
├── RemoteError
│   ├── RemoteUnavailableError
│   ├── RateLimitedError
│   ├── RemoteRejectedError
│   └── ContractError
├── StreamError
├── WebhookError
├── TransitionError
└── RequestError

Tasks, the REST API and a row's `error_code` read `code` and `retryable`, never the message.
Messages carry no key, no token and no content.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

__all__ = [
    "ContractError",
    "RateLimitedError",
    "RemoteError",
    "RemoteRejectedError",
    "RemoteUnavailableError",
    "RequestError",
    "StreamError",
    "TextgenError",
    "TransitionError",
    "WebhookError",
]


class TextgenError(Exception):
    """Root of the tree: catch this to catch everything the app raises on purpose."""

    code: str = "textgen_error"
    """Stable word for programs; an instance may narrow its class's word."""
    retryable: ClassVar[bool] = False
    """Whether the same call may succeed later without being changed."""

    def __init__(self, message: str, *, code: str | None = None) -> None:
        super().__init__(message)
        if code is not None:
            self.code = code


class RemoteError(TextgenError):
    """The remote answered with an error, or not at all."""

    code = "remote_error"

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        excerpt: str = "",
        request_sent: bool = True,
        retry_after: float | None = None,
        code: str | None = None,
    ) -> None:
        super().__init__(message, code=code)
        self.status = status
        """HTTP status, or None where no answer came."""
        self.excerpt = excerpt
        """First 500 characters of the answer, keys redacted."""
        self.request_sent = request_sent
        """False only where the request surely never left, so that nothing can have been charged."""
        self.retry_after = retry_after
        """Seconds the remote asked us to wait, or None."""


class RemoteUnavailableError(RemoteError):
    """No connection, no answer in time, or a 5xx."""

    code = "remote_unavailable"
    retryable = True


class RateLimitedError(RemoteError):
    """429: the remote refused, uncharged, because it is busy with us."""

    code = "rate_limited"
    retryable = True


class RemoteRejectedError(RemoteError):
    """The remote understood and said no.

    `code` is narrowed to `authentication`, `insufficient_credits`, `not_found` or stays
    `invalid_request`.
    """

    code = "invalid_request"


class ContractError(RemoteError):
    """The remote answered with something that cannot be read."""

    code = "unreadable_answer"


class StreamError(TextgenError):
    """A stream ended without its `creatify` object.

    `code` is `stream_interrupted` (cut, silent or empty), `stream_limit` (an event above the
    cap) or the remote's own word for an error inside the stream.
    """

    code = "stream_interrupted"


class WebhookError(TextgenError):
    """A delivery that is not from the remote, or that nobody can read."""

    code = "webhook_rejected"


class TransitionError(TextgenError):
    """A move that the table of states forbids: a bug if we asked for it, normal as a lost race."""

    code = "illegal_transition"


class RequestError(TextgenError):
    """The request is wrong and was refused here, before anything was saved or sent.

    `errors` maps the path of each wrong field (`messages[0].content[1].mime_type`) to what is
    wrong with it; `""` stands for the request as a whole.
    """

    code = "invalid_request"

    def __init__(
        self,
        message: str,
        *,
        errors: Mapping[str, Sequence[str]] | None = None,
        code: str | None = None,
    ) -> None:
        super().__init__(message, code=code)
        self.errors: dict[str, list[str]] = {
            field: list(texts) for field, texts in (errors or {"": [message]}).items()
        }
