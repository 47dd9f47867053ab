"""Whether to send again after a failed send: a decision, as a value, and nothing that acts on it.

Pure: time and chance are passed in. Invariant: what the remote may have accepted, and so may
bill, is never sent again from here (section 8, 'No idempotency key').
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from creatify_textgen.exceptions import RemoteError, StreamError, TextgenError

Action = Literal["retry", "fail", "unconfirmed"]

FIRST_WAIT_SECONDS = 1.0
LONGEST_WAIT_SECONDS = 300.0
# A remote that asks for more is not busy, it is closed: the caller should hear of it.
LONGEST_RETRY_AFTER_SECONDS = 600.0
_REFUSED_AS_BUSY = (429, 503)


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do about a failed send."""

    action: Action
    """`retry`: surely not accepted, send again. `fail`: refused for good. `unconfirmed`: may
    have been accepted; look for it, never send it again blindly."""
    error_code: str
    """The error's stable word, for the row."""
    message: str
    """What happened, for a person; no key, no token, no content."""
    after_seconds: float = 0.0
    """How long to wait before a retry."""
    retry_at: datetime | None = None
    """When that is; None unless the action is `retry`."""


def decide(
    error: TextgenError, attempt: int, *, now: datetime, random: Callable[[], float]
) -> Decision:
    """Return what to do after `attempt` sends (1 for the first) of which the last met `error`.

    `random` returns floats in [0, 1). A remote that is down is waited for however long it takes;
    giving up is the caller's deadline.
    """
    if isinstance(error, RemoteError):
        return _decide_remote(error, attempt, now=now, random=random)
    action: Action = "unconfirmed" if isinstance(error, StreamError) else "fail"
    return Decision(action, error.code, str(error))


def backoff_seconds(
    attempt: int,
    *,
    random: Callable[[], float],
    first: float = FIRST_WAIT_SECONDS,
    longest: float = LONGEST_WAIT_SECONDS,
    retry_after: float | None = None,
) -> float:
    """Return how long to wait after `attempt` failed calls in a row.

    Doubles from `first` to `longest`, of which half to all is drawn, so that many who fail
    together do not come back together. Never less than `retry_after`. Fit for any GET: those are
    free and may be repeated whatever the error was.
    """
    # The exponent is bounded because floats are.
    wait = min(longest, first * 2.0 ** min(max(attempt, 1) - 1, 64)) * (0.5 + random() / 2)
    if retry_after is None:
        return wait
    return max(wait, retry_after + min(wait, first))


def _decide_remote(
    error: RemoteError, attempt: int, *, now: datetime, random: Callable[[], float]
) -> Decision:
    if not error.request_sent or error.status in _REFUSED_AS_BUSY:
        return _decide_wait(error, attempt, now=now, random=random)
    if error.status is not None and 300 <= error.status < 500 and error.status != 408:
        return Decision("fail", error.code, str(error))
    return Decision("unconfirmed", error.code, str(error))


def _decide_wait(
    error: RemoteError, attempt: int, *, now: datetime, random: Callable[[], float]
) -> Decision:
    asked = error.retry_after
    if asked is not None and asked > LONGEST_RETRY_AFTER_SECONDS:
        return Decision(
            "fail",
            "rate_limited",
            f"The remote asked to wait {asked:.0f} s, more than the "
            f"{LONGEST_RETRY_AFTER_SECONDS:.0f} s we wait; try again later.",
        )
    seconds = backoff_seconds(attempt, random=random, retry_after=asked)
    return Decision(
        "retry", error.code, str(error), seconds, retry_at=now + timedelta(seconds=seconds)
    )
