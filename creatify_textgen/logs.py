"""The loggers that hosts configure by name, and how a repeated cause is logged.

Each room logs to one of these, whatever its modules are called. Invariant: no line has a key, a
token, a prompt or an answer; callers pass ids, codes, counts and our own words.
"""

from __future__ import annotations

import logging
import os
import re
import threading
import time
from collections import OrderedDict
from collections.abc import Hashable

__all__ = [
    "BULK",
    "CONTROL",
    "GENERATIONS",
    "REMOTE",
    "REPEAT_SECONDS",
    "REQUESTS",
    "RUNS",
    "SENDING",
    "STREAMS",
    "SWEEP",
    "WEBHOOKS",
    "WithoutTokens",
    "hide_tokens",
    "warn_of",
]

GENERATIONS = logging.getLogger("creatify_textgen.generations")
REMOTE = logging.getLogger("creatify_textgen.remote")
CONTROL = logging.getLogger("creatify_textgen.control")
SENDING = logging.getLogger("creatify_textgen.sending")
SWEEP = logging.getLogger("creatify_textgen.sweep")
STREAMS = logging.getLogger("creatify_textgen.streams")
WEBHOOKS = logging.getLogger("creatify_textgen.webhooks")
RUNS = logging.getLogger("creatify_textgen.runs")
BULK = logging.getLogger("creatify_textgen.bulk")
REQUESTS = logging.getLogger("creatify_textgen.requests")

REPEAT_SECONDS = 600.0
"""A cause that goes on is logged again after this time, with the number of times since."""
CAUSES_KEPT = 1000
"""Strangers may choose causes, so the oldest are forgotten."""
# Under any prefix, because the host chooses where our URLs begin.
TOKEN_IN_PATH = re.compile(r"(/webhooks/[0-9A-Fa-f-]+/)[^/?\s]+")


class WithoutTokens(logging.Filter):
    """Replaces the tokens of webhooks in the paths that a logger writes.

    `django.request` has it. It writes the paths of requests that never reach the receiver, such as
    those for a host that is not in `ALLOWED_HOSTS`. Add it to your loggers that write paths.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        # Django writes the path as an argument of the message (`django.utils.log.log_response`).
        if isinstance(record.args, tuple):
            record.args = tuple(map(_without_token, record.args))
        return True


def hide_tokens() -> None:
    """Let Django's log of requests contain no token of a webhook."""
    logging.getLogger("django.request").addFilter(WithoutTokens())


def _without_token(value: object) -> object:
    return TOKEN_IN_PATH.sub(r"\1…", value) if isinstance(value, str) else value


class _Causes:
    """What this process has logged lately: for each cause, when it may be logged again."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen: OrderedDict[Hashable, tuple[float, int]] = OrderedDict()

    def note(self, cause: Hashable) -> int | None:
        """Count one; return how many were counted since the last line, or None for no line."""
        now = time.monotonic()
        with self._lock:
            # Put back at the end, so that a cause that goes on is not among the oldest.
            until, count = self._seen.pop(cause, (0.0, 0))
            if now < until:
                self._seen[cause] = until, count + 1
                return None
            self._seen[cause] = now + REPEAT_SECONDS, 0
            if len(self._seen) > CAUSES_KEPT:
                self._seen.popitem(last=False)
            return count

    def forget(self) -> None:
        self._lock = threading.Lock()
        self._seen.clear()


causes = _Causes()
# A fork copies the lock, and if a thread of the parent holds it, nobody in the child releases it.
os.register_at_fork(after_in_child=causes.forget)


def warn_of(
    cause: Hashable,
    logger: logging.Logger,
    message: str,
    *args: object,
    level: int = logging.WARNING,
) -> None:
    """Log a line, a warning by default, the first time that this cause occurs in this process.

    Until `REPEAT_SECONDS` later the same cause is only counted. The next line gives the number.
    """
    count = causes.note(cause)
    if count is None:
        return
    if count:
        message, args = f"{message} (%d more times since the last line)", (*args, count)
    logger.log(level, message, *args, extra={"repeats": count})
