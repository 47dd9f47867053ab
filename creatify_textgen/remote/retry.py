"""Decides whether a failed send may be repeated, and when. It returns a decision and sends nothing.

Pure: the time and random numbers are passed in. Invariant: a request that the remote may have
accepted, and so may bill, is never repeated (section 8, 'No idempotency key').
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Literal, NamedTuple

from creatify_textgen.exceptions import RemoteError, StreamError, TextgenError

Action = Literal["retry", "fail", "unconfirmed"]

FIRST_WAIT_SECONDS = 1.0
LONGEST_WAIT_SECONDS = 300.0
# If it asks for a longer wait, even for a year, it is asked again after this: that costs nothing.
LONGEST_RETRY_AFTER_SECONDS = 600.0
_REFUSED_AS_BUSY = (429, 503)
# Proxies also answer 503 for a request that they had passed on: Envoy ("reset reason: connection
# termination"), Varnish ("Backend fetch failed"), Fastly ("first byte timeout"). So does an API
# whose model timed out.
_PASSED_ON = re.compile(
    r"connection termination|(?:remote|local) reset|protocol error|prematurely|backend fetch"
    r"|(?:first|between) bytes? time|read (?:error|timed?[ -]?out)|deadline.exceeded"
    r"|(?:upstream|gateway|backend|request)[\w ]* timed?[ -]?out",
    re.IGNORECASE,
)
# Only these say that the request itself was turned away. Others may follow an acceptance: "see
# other", "timeout" and "conflict", what a proxy says of a connection (444, 460, 499), and
# Google's 499 for a generation that was cancelled.
_REFUSALS = frozenset(
    [
        *(300, 301, 302, 307, 308),
        *(400, 401, 402, 403, 404, 405, 406, 407, 410, 411, 413, 414, 415, 417),
        *(421, 422, 423, 426, 428, 431, 451),
    ]
)


class Decision(NamedTuple):
    """What to do after a failed send."""

    action: Action
    """`retry`: certainly not accepted, send again. `fail`: refused, and would be again.
    `unconfirmed`: may have been accepted, so search for it in the remote's list."""
    error_code: str
    """The `error_code` of the row."""
    message: str
    """The reason for the row, with the remote's own words. No key, no token. Not for logs."""
    after_seconds: float = 0.0
    """How long to wait before a retry."""
    retry_at: datetime | None = None
    """The time of the retry; None for other actions."""


def decide(
    error: TextgenError, attempt: int, *, now: datetime, random: Callable[[], float]
) -> Decision:
    """Return what to do after `attempt` sends (1 for the first), the last of which failed.

    `random` returns floats in [0, 1). There is no limit on the number of retries while the remote
    is down: the caller has a deadline.
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

    The wait doubles from `first` to `longest`. A random part, up to a half, is subtracted, so that
    calls that fail together are not repeated together. It is never less than `retry_after`, of
    which at most ten minutes count. Also for GETs, which are free and may always be repeated.
    """
    # The exponent is limited, because a float has a largest value.
    wait = min(longest, first * 2.0 ** min(max(attempt, 1) - 1, 64)) * (0.5 + random() / 2)
    if retry_after is None:
        return wait
    return max(wait, min(retry_after, LONGEST_RETRY_AFTER_SECONDS) + min(wait, first))


def asked_seconds(error: Exception) -> float:
    """Return how long the remote asks us to wait before the next GET, at most ten minutes.

    A remote may ask for a year, or name a date in 2099. But a GET is free, and users wait for a
    result that was paid for.
    """
    asked = getattr(error, "retry_after", None) or 0.0
    return min(asked, LONGEST_RETRY_AFTER_SECONDS)


def _decide_remote(
    error: RemoteError, attempt: int, *, now: datetime, random: Callable[[], float]
) -> Decision:
    if error.accepted_as:
        # A gateway that is busy may pass on what the remote answered.
        return Decision("unconfirmed", error.code, error.explanation)
    if not error.request_sent or _is_refused_as_busy(error):
        return _decide_wait(error, attempt, now=now, random=random)
    if error.status in _REFUSALS:
        return Decision("fail", error.code, error.explanation)
    return Decision("unconfirmed", error.code, error.explanation)


def _is_refused_as_busy(error: RemoteError) -> bool:
    words = error.reason or error.excerpt  # A page of a proxy has no reason.
    was_passed_on = error.status == 503 and _PASSED_ON.search(words)
    return error.status in _REFUSED_AS_BUSY and not was_passed_on


def _decide_wait(
    error: RemoteError, attempt: int, *, now: datetime, random: Callable[[], float]
) -> Decision:
    seconds = backoff_seconds(attempt, random=random, retry_after=error.retry_after)
    return Decision(
        "retry", error.code, error.explanation, seconds, retry_at=now + timedelta(seconds=seconds)
    )
