"""Begins streams: saves a request as a row, then starts its pump.

Invariant: the row is committed before its pump starts, so the pump finds it.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Unpack

from creatify_textgen import clock, databases, enqueue
from creatify_textgen.dispatch.intents import Link, accept_request, save_intent
from creatify_textgen.intake import Intake
from creatify_textgen.models import Generation
from creatify_textgen.states import Mode
from creatify_textgen.streams.own_frames import PICKUP_LIMIT
from creatify_textgen.types import Messages, RequestOptions

__all__ = ["begin_accepted", "begin_stream", "get_or_begin_stream", "save_stream"]


def begin_stream(
    messages: Messages, *, idempotency_key: str | None = None, **options: Unpack[RequestOptions]
) -> Generation:
    """Save a generation and start a pump for it; returns at once.

    Raises: RequestError or PolicyRefusal, and then nothing was saved; RuntimeError inside a
    transaction, because no pump can see the row before the transaction ends.
    """
    generation, _ = get_or_begin_stream(messages, idempotency_key=idempotency_key, **options)
    return generation


def get_or_begin_stream(
    messages: Messages, *, idempotency_key: str | None = None, **options: Unpack[RequestOptions]
) -> tuple[Generation, bool]:
    """Do the same as `begin_stream`, and return also whether the generation is new.

    It is not new if the idempotency key was used before.
    """
    databases.refuse_transaction("stream")
    return begin_accepted(accept_request(messages, **options), idempotency_key=idempotency_key)


def begin_accepted(
    intake: Intake, *, idempotency_key: str | None = None, link: Link | None = None
) -> tuple[Generation, bool]:
    """The same for a request that was accepted; `link` as for `save_intent`."""
    generation, is_new = save_stream(intake, idempotency_key=idempotency_key, link=link)
    if is_new:
        # A repeated key starts no second pump. If the first message was lost, `due_at` passes, and
        # a reader or the sweep cancels the row, for which nothing was sent.
        enqueue.stream(generation.pk)
    return generation, is_new


def save_stream(
    intake: Intake, *, pickup_limit: timedelta | None = None, **options: Any
) -> tuple[Generation, bool]:
    """Do the same as `begin_accepted`, for a caller that calls `pump_stream` itself.

    `pickup_limit` is how long readers wait for a pump, `PICKUP_LIMIT` by default.
    """
    now = clock.now()
    # For a queued stream, `due_at` is the time at which it is cancelled instead of sent.
    due_at = now + (pickup_limit or PICKUP_LIMIT)
    # Not in a transaction. `save_intent` reads the key first, and after a read SQLite would refuse
    # the lock of the INSERT, and MariaDB would not show a row saved meanwhile with the same key.
    return save_intent(intake, mode=Mode.STREAM, now=now, due_at=due_at, **options)
