"""All errors that this app raises on purpose.

Every room may import this module. It imports nothing from the package or from Django.

TextgenError
├── RemoteError
│   ├── RemoteUnavailableError
│   ├── RateLimitedError
│   ├── RemoteRejectedError
│   └── ContractError
├── StreamError
├── WebhookError
├── TransitionError
├── RequestError
│   └── PolicyRefusal
└── AnswerError

Tasks, the REST API and a row's `error_code` use `code` and `retryable`, never the message.
A message contains no key, no token and no content.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

__all__ = [
    "AnswerError",
    "ContractError",
    "PolicyRefusal",
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

_LONGEST_WAIT = 10**9
"""Seconds, about 30 years. With a much larger value, times would be outside the calendar."""


class TextgenError(Exception):
    """The root of the tree: catch it to catch every error that the app raises on purpose."""

    code: str = "textgen_error"
    """A stable word for programs; an instance may have a more exact one than its class."""
    retryable: ClassVar[bool] = False
    """Whether the same call, unchanged, may succeed later."""

    def __init__(self, message: str, *, code: str | None = None) -> None:
        super().__init__(message)
        if code is not None:
            self.code = code

    @property
    def explanation(self) -> str:
        """The message with every known detail, for the row. Not for logs: it may quote a prompt."""
        return str(self)


class RemoteError(TextgenError):
    """The remote answered with an error, or not at all."""

    code = "remote_error"

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        excerpt: str = "",
        reason: str = "",
        request_sent: bool = True,
        retry_after: float | None = None,
        accepted_as: str = "",
        code: str | None = None,
    ) -> None:
        super().__init__(message, code=code)
        self.status = status
        """The HTTP status, or None if no answer arrived."""
        self.excerpt = excerpt
        """First 500 characters of the answer, keys redacted."""
        self.reason = reason
        """What the remote says is wrong, in its own words, keys redacted; may quote the request."""
        # True if nobody knows: to send again what may have been accepted would pay twice.
        self.request_sent = request_sent
        """False only if the request certainly never left this machine, so nothing was charged."""
        # Bounded by the caller: a remote that asks for a year must not stop an account.
        self.retry_after = retry_after
        """The seconds that the remote asks us to wait, or None."""
        self.accepted_as = accepted_as
        """The id of a generation that this answer names: whatever its status, it may be charged."""

    @property
    def explanation(self) -> str:
        """The message, then the remote's own words, which may quote the request."""
        return f"{self} Creatify says: {self.reason}" if self.reason else str(self)


class RemoteUnavailableError(RemoteError):
    """No connection, no answer in time, or a 5xx."""

    code = "remote_unavailable"
    retryable = True


class RateLimitedError(RemoteError):
    """429: the remote refused because this workspace sends too much. Nothing was charged."""

    # Creatify documents no 429 and no limit (contract.md, section 8); Google's API has both.

    code = "rate_limited"
    retryable = True


class RemoteRejectedError(RemoteError):
    """The remote read the request and refused it.

    `code` is `authentication`, `insufficient_credits`, `not_found`, `missing_thought_signature`,
    `missing_call_id` or `invalid_request`.
    """

    code = "invalid_request"


class ContractError(RemoteError):
    """The remote answered with something that this app cannot read."""

    code = "unreadable_answer"


class StreamError(TextgenError):
    """A stream ended without its `creatify` object.

    `code` is `stream_interrupted` (cut, silent or empty), `stream_limit` (an event or the answer
    is too large, or takes too long) or the remote's own word for an error inside the stream.
    """

    code = "stream_interrupted"

    def __init__(self, message: str, *, code: str | None = None) -> None:
        super().__init__(message, code=code)
        self.accepted_as = ""
        """The id of a generation that the answer names outside of its chunks: it may be charged."""


class WebhookError(TextgenError):
    """A delivery that is not from the remote, or that is malformed."""

    # Every fault of a delivery is one of these. Another exception would let a stranger cause a 500.

    code = "webhook_rejected"


class TransitionError(TextgenError):
    """A change of status that the table of states forbids.

    It is normal if another process was faster, and a bug otherwise.
    """

    code = "illegal_transition"


class RequestError(TextgenError):
    """The request is wrong. It was refused here, before anything was saved or sent.

    `errors` maps the path of each wrong field to the rules that it breaks, such as
    `{"messages[0].content[1].mime_type": ["Must be a string, not a list."]}`. The path `""` stands
    for the request as a whole.
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
        # Never empty: doors render this alone, and would refuse without a reason.
        self.errors: dict[str, list[str]] = {
            field: list(texts) for field, texts in (errors or {"": [message]}).items()
        }

    # Not a class method: `PolicyRefusal` takes no errors of fields.
    @staticmethod
    def about(path: str, rule: str) -> RequestError:
        """Return the error for one field, such as `about("limit", "Must be a number.")`."""
        return RequestError(f"{path}: {rule}", errors={path: [rule]})


class PolicyRefusal(RequestError):  # noqa: N818  hosts raise it: the name is fixed
    """This site does not allow the request; nothing was saved or sent.

    A host's `POLICY` raises it, and so do limits, budgets and a pause. `status` is the HTTP status
    of the refusal, from 400 to 599.
    """

    code = "not_allowed"

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        status: int = 403,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message, code=code)
        # A host writes this number. With 200, its refusal would look like a success over HTTP.
        if not 400 <= status <= 599:
            raise ValueError(f"A refusal has a status from 400 to 599, not {status}.")
        # Nor a timedelta or infinity, which no header `Retry-After` can carry.
        if retry_after is not None and not _is_wait(retry_after):
            raise ValueError(f"`retry_after` is 0 to {_LONGEST_WAIT:,} seconds, not {retry_after}.")
        self.status = status
        self.retry_after = retry_after
        """Seconds after which the same request may be allowed, or None if nobody knows."""


def _is_wait(seconds: Any) -> bool:
    return isinstance(seconds, int | float) and 0 <= seconds <= _LONGEST_WAIT


class AnswerError(TextgenError):
    """An answer is not what was asked for; what it cost is on its generation.

    `code` is `not_finished`, `not_done`, `no_text`, `truncated`, `invalid_json` or
    `schema_mismatch`. The message quotes nothing of the answer.
    """

    code = "invalid_json"

    def __init__(
        self,
        message: str,
        *,
        text: str = "",
        errors: Mapping[str, Sequence[str]] | None = None,
        code: str | None = None,
    ) -> None:
        super().__init__(message, code=code)
        # Not in the message, because logs and error reports show messages.
        self.text = text
        """The whole answer, for a caller who may read it."""
        self.errors: dict[str, list[str]] = {
            path: list(texts) for path, texts in (errors or {}).items()
        }
        """What is wrong, by path (`lines[0].price`); `""` stands for the value as a whole."""
