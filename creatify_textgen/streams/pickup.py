"""Claims a queued stream for a pump. Readers wait meanwhile, so it makes few statements.

Invariant: if a stream will not be sent, its readers receive an error frame and the end frame.
"""

from __future__ import annotations

import uuid
from datetime import datetime
from functools import partial

from creatify_textgen import clock, lifecycle
from creatify_textgen.dispatch import circuit
from creatify_textgen.dispatch.function_calls import is_call_refusal
from creatify_textgen.dispatch.sending import Send, prepare_send
from creatify_textgen.dispatch.unaccepted import ask_as_text
from creatify_textgen.models import Generation
from creatify_textgen.states import Cause, Mode, Status
from creatify_textgen.streams import database
from creatify_textgen.streams.hub import START, get_hub
from creatify_textgen.streams.own_frames import PICKUP_LIMIT, ending, rest

__all__ = ["claim_as_text", "claim_stream", "give_up_lease", "hold_stream"]

UNSENDABLE = "This site's settings or storage prevent the request; nothing was sent."
HELD_UP = "The worker was too slow: its time to send was over, so nothing was sent."

_CIRCUIT = "circuit_open_until"
_RESULT = (
    "content__response_text",
    "content__response_thoughts",
    "content__response_function_calls",
    "content__usage",
    "content__citations",
)
"""Columns that a send does not need; a long result would be read for nothing."""


def claim_stream(generation_id: uuid.UUID) -> Send | None:
    """Return the send of a queued stream, with its lease; None if there is nothing to send."""
    generation = _waiting(generation_id)
    if generation is None:
        # Another pump has claimed it, or it was cancelled.
        return None
    now = clock.now()
    open_until = getattr(generation, _CIRCUIT)
    if not circuit.may_send(generation.account, open_until=open_until, now=now):
        # Not left in the queue, as an asynchronous row would be: its readers wait.
        message = "The remote is down, and nothing was sent; try again in a while."
        wait = (circuit.try_again_at(open_until, now=now) - now).total_seconds()
        _call_off(generation, "remote_unavailable", message, retry_after=wait)
        return None
    send = prepare_send(generation)
    # `prepare_send` takes the lease by a conditional UPDATE, so of two pumps one gets the send.
    if send is None:
        _publish_why_not(generation)
    return send


def hold_stream(generation_id: uuid.UUID, *, until: datetime) -> None:
    """Have the readers of a queued stream wait until then for a process that pumps it."""
    lifecycle.hold_queued(generation_id, until=until)


def claim_as_text(generation: Generation, error: Exception) -> Send | None:
    """Return another send of a refused stream, its function calls as text; None if there is none.

    No sweep claims it meanwhile: it is due only after `PICKUP_LIMIT`.
    """
    if not is_call_refusal(error):
        return None
    return database.run(partial(_claim_as_text, generation, error))


def _claim_as_text(generation: Generation, error: Exception) -> Send | None:
    now = clock.now()
    if not ask_as_text(generation, error, now=now, retry_at=now + PICKUP_LIMIT):
        return None
    return prepare_send(generation)


def _call_off(
    generation: Generation, code: str, message: str, *, retry_after: float | None = None
) -> None:
    """Cancel a stream that was not sent, and publish the reason to its readers."""
    won = lifecycle.mark_cancelled(
        generation.pk, cause=Cause.STREAM, now=clock.now(), code=code, detail=message
    )
    # Whoever cancelled it first publishes the reason. Two ends would have the same number.
    if won:
        row = database.load(generation.pk)
        frames = ending(row, START, code=code, message=message, retry_after=retry_after)
        get_hub().publish(str(row.pk), frames)


def give_up_lease(generation: Generation) -> None:
    """Cancel a stream whose lease ended before the send: its reader waits for no other pump."""
    now = clock.now()
    # `submitting` may not become `cancelled`, so it is queued first. The row is due at once: if
    # this process dies between the two, a sweep cancels it.
    won = lifecycle.mark_queued(
        generation.pk,
        cause=Cause.STREAM,
        now=now,
        retry_at=now,
        detail="lease lost before the send",
        attempt=generation.attempts,
        never_accepted=True,
    )
    if won:
        _call_off(generation, "not_taken_up", HELD_UP)


def _publish_why_not(generation: Generation) -> None:
    """Publish why the stream cannot be sent. Do nothing if another process has claimed the row."""
    row = database.load(generation.pk)
    # Failed: the request itself was wrong. Queued again: the settings or the storage were.
    if row.status == Status.FAILED:
        get_hub().publish(str(row.pk), rest(row, START))
    elif row.status == Status.QUEUED:
        _call_off(row, "not_configured", UNSENDABLE)


def _waiting(generation_id: uuid.UUID) -> Generation | None:
    rows = Generation.objects.filter(pk=generation_id, mode=Mode.STREAM, status=Status.QUEUED)
    known = circuit.with_open_until(rows, name=_CIRCUIT)
    return known.select_related("content").defer(*_RESULT).first()
