"""Rows for which a webhook has named a remote id, once that generation has been fetched.

The token in the webhook's URL is the row's own, but the remote may be wrong about whose a
generation is. Invariant: a row takes only what asks the same as it did, and what may have been
accepted for it is not sent again.
"""

from __future__ import annotations

from datetime import datetime

from creatify_textgen import lifecycle
from creatify_textgen.dispatch.sending import MAY_BE_CHARGED
from creatify_textgen.dispatch.snapshots import Snapshot, apply_snapshot, next_poll_at
from creatify_textgen.exceptions import TransitionError
from creatify_textgen.models import Generation
from creatify_textgen.recovery.evidence import APART
from creatify_textgen.recovery.matching import asks_the_same, texts_of, texts_of_row
from creatify_textgen.recovery.resemblance import is_alone
from creatify_textgen.recovery.taken import taken_ids
from creatify_textgen.remote import RemoteGeneration
from creatify_textgen.states import TRANSITIONS, Cause, Status

__all__ = ["forget_named", "may_be_stored_late", "settle_named"]

FOUND = "named by a delivery"


def settle_named(snapshot: Snapshot, *, now: datetime) -> None:
    """Adopt the generation that a delivery named, or forget its id."""
    generation, remote = snapshot.generation, snapshot.remote
    is_its = not _is_another_rows(generation, remote.id) and _is_its(generation, remote)
    if not (is_its and _adopt(snapshot, now=now)):
        forget_named(generation, now=now)


def forget_named(generation: Generation, *, now: datetime) -> None:
    """Drop the id: nothing at the remote is this row's by that name.

    A row that was taken out of the queue for it goes back there, unless it was sent before. Then
    the remote has its webhook URL, and has used it: it accepted the request under some other id.
    """
    _keep_unsent(generation, now=now)
    due_at = max(now, generation.lease_until or now)
    if not lifecycle.mark_unnamed(generation, now=now, due_at=due_at):
        lifecycle.drop_unverified_id(generation, due_at=due_at)


def may_be_stored_late(generation: Generation, error: Exception, *, now: datetime) -> bool:
    """Whether the remote may have what a delivery named for a queued row, and not show it yet.

    The row would be sent again at once, while a replica that lags says that there is nothing.
    """
    was_queued = generation.status == Status.SUBMITTING and generation.lease_until is None
    is_missing = getattr(error, "code", "") == "not_found"
    return was_queued and is_missing and now < generation.updated_at + APART


def _is_another_rows(generation: Generation, remote_id: str) -> bool:
    """Whether another row has this remote id, or had it before it was deleted.

    The row itself has none yet, or it would not be asked.
    """
    return generation.remote_id is None and bool(taken_ids([remote_id]))


def _is_its(generation: Generation, remote: RemoteGeneration) -> bool:
    if asks_the_same(generation, remote):
        return True
    # The echo was changed, and the remote itself named this row: nobody else must fit.
    return texts_of(remote) == texts_of_row(generation) and is_alone(generation)


def _adopt(snapshot: Snapshot, *, now: datetime) -> bool:
    generation = snapshot.generation
    try:
        if snapshot.target not in TRANSITIONS[Status(generation.status)]:
            due_at = next_poll_at(generation, now=now)
            return lifecycle.keep_remote_id(
                generation, snapshot.remote.id, snapshot.remote.id_as_sent, due_at=due_at
            )
        apply_snapshot(snapshot, cause=Cause.WEBHOOK, now=now, detail=FOUND)
    except TransitionError:
        return False  # Another row has taken it a moment ago.
    return True  # Or the row has moved on, which is as good.


def _keep_unsent(generation: Generation, *, now: datetime) -> None:
    """Leave a row to the list that was sent and for which a delivery came: never send it again."""
    if generation.attempts and generation.lease_until is None:
        lifecycle.mark_unconfirmed(
            generation.pk,
            cause=Cause.WEBHOOK,
            now=now,
            due_at=now,
            detail="a delivery named what is not its own",
            attempt=generation.attempts,
            reason=MAY_BE_CHARGED,
        )
