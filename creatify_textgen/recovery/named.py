"""Rows for which an answer or a webhook has named a remote id, after that generation was fetched.

The send and the token in the webhook's URL belong to the row, but the remote may name a wrong
generation. Invariant: a row takes only a generation with its own request, and is not sent again if
the remote may have accepted it.
"""

from __future__ import annotations

from datetime import datetime

from creatify_textgen import clock, lifecycle
from creatify_textgen.dispatch.snapshots import (
    MAY_HAVE_BEEN_CHARGED,
    Snapshot,
    apply_snapshot,
    next_poll_at,
)
from creatify_textgen.dispatch.unaccepted import MAY_BE_CHARGED
from creatify_textgen.exceptions import TransitionError
from creatify_textgen.lifecycle import Arrival, Outcome
from creatify_textgen.models import Generation
from creatify_textgen.recovery.evidence import APART
from creatify_textgen.recovery.matching import asks_the_same, texts_of, texts_of_row
from creatify_textgen.recovery.resemblance import is_alone
from creatify_textgen.recovery.taken import taken_ids
from creatify_textgen.remote import RemoteGeneration
from creatify_textgen.states import TRANSITIONS, Cause, Status

__all__ = ["forget_named", "may_be_stored_late", "settle_named"]

NAMED_BY_DELIVERY = "named by a delivery"
NAMED_BY_ANSWER = "named by the answer to its send"
OTHER_REQUEST = "the answer to its send named a generation with another request"


def settle_named(snapshot: Snapshot, *, now: datetime) -> None:
    """Adopt the generation that was named, leave it to a person, or forget its id."""
    generation, remote = snapshot.generation, snapshot.remote
    if _is_another_rows(generation, remote.id):
        forget_named(generation, now=now)
    elif _is_its(generation, remote):
        if not _adopt(snapshot, now=now):
            forget_named(generation, now=now)
    elif _is_from_answer(generation):
        _leave_to_person(generation, now=now)
    else:
        forget_named(generation, now=now)


def forget_named(generation: Generation, *, now: datetime) -> None:
    """Drop the id, because it does not belong to this row.

    A row that left the queue because of the id is queued again, unless it was sent before. Then the
    remote has used the row's webhook URL, so it has accepted the request under another id.
    """
    _doubt_if_sent(generation, now=now)
    # A send that still runs will write its answer itself.
    due_at = max(now, generation.lease_until or now)
    if not lifecycle.mark_unnamed(generation, now=now, due_at=due_at):
        lifecycle.drop_unverified_id(generation, due_at=due_at)


def may_be_stored_late(generation: Generation, error: Exception, *, now: datetime) -> bool:
    """Whether the remote may have the generation of an unverified id, and not show it yet.

    If the id were dropped while a slow replica does not know it, the row might be sent again.
    """
    is_missing = getattr(error, "code", "") == "not_found"
    if generation.status == Status.EXPIRED and _is_from_answer(generation):
        return is_missing  # A person decides, see `_leave_to_person`.
    # A send that still runs will write its answer itself.
    has_no_lease = generation.lease_until is None
    waits_until = clock.after(generation.updated_at, APART.total_seconds())
    return is_missing and has_no_lease and now < waits_until


def _is_another_rows(generation: Generation, remote_id: str) -> bool:
    """Whether another row has this remote id, or had it before it was deleted.

    False if the row itself has a remote id.
    """
    return generation.remote_id is None and bool(taken_ids([remote_id]))


def _is_its(generation: Generation, remote: RemoteGeneration) -> bool:
    if asks_the_same(generation, remote):
        return True
    # The remote reports another form of the request, but named this row. A delivery is not trusted,
    # so no other row may fit.
    is_named_surely = _is_from_answer(generation) or is_alone(generation)
    return texts_of(remote) == texts_of_row(generation) and is_named_surely


def _is_from_answer(generation: Generation) -> bool:
    """Whether the answer to a send of the row has named the id, and surely no delivery."""
    return not generation.deliveries


def _adopt(snapshot: Snapshot, *, now: datetime) -> bool:
    generation = snapshot.generation
    try:
        if snapshot.target not in TRANSITIONS[Status(generation.status)]:
            due_at = next_poll_at(generation, now=now)
            return lifecycle.keep_remote_id(
                generation, snapshot.remote.id, snapshot.remote.id_as_sent, due_at=due_at
            )
        if _is_from_answer(generation):
            apply_snapshot(snapshot, cause=Cause.POLL, now=now, detail=NAMED_BY_ANSWER)
        else:
            apply_snapshot(snapshot, cause=Cause.WEBHOOK, now=now, detail=NAMED_BY_DELIVERY)
    except TransitionError:
        return False  # Another row has taken it a moment ago.
    return True  # Or the row has another status by now. Nothing is left to do.


def _leave_to_person(generation: Generation, *, now: datetime) -> None:
    """Keep an id that the answer to our own send named, although its request has other texts.

    Something was accepted, so the row expires at once: an expired row is never sent again. A person
    decides, and the remote is still asked for the id.
    """
    if generation.status == Status.SUBMITTING and generation.lease_until is None:
        _doubt_if_sent(generation, now=now)
    elif Status.EXPIRED in TRANSITIONS[Status(generation.status)]:
        outcome = Outcome(error_code=MAY_HAVE_BEEN_CHARGED)
        arrival = Arrival(outcome, due_at=next_poll_at(generation, now=now), detail=OTHER_REQUEST)
        lifecycle.mark_arrived(
            {generation.pk: arrival}, to=Status.EXPIRED, cause=Cause.POLL, now=now
        )
    else:
        # A send that still runs will write its answer itself.
        until = generation.lease_until or next_poll_at(generation, now=now)
        lifecycle.reschedule({generation: until})


def _doubt_if_sent(generation: Generation, *, now: datetime) -> None:
    """Have the list searched for a row that was sent before, instead of sending it again."""
    if generation.attempts and generation.lease_until is None:
        lifecycle.mark_unconfirmed(
            generation.pk,
            cause=Cause.WEBHOOK,
            now=now,
            due_at=now,
            detail="a delivery named a generation that is not its",
            attempt=generation.attempts,
            reason=MAY_BE_CHARGED,
        )
