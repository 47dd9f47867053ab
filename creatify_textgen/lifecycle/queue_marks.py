"""The moves into the queue and out of it: each decides whether a row may be sent.

Invariant: each is conditional on the number of the send (`attempts`), so a process that was slow
cannot undo a later send, and of two processes only one takes the lease.
"""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from creatify_textgen import clock
from creatify_textgen.lifecycle.moves import Move, make_moves
from creatify_textgen.models import Generation, largest
from creatify_textgen.states import Cause, Status

__all__ = [
    "mark_absent",
    "mark_named",
    "mark_queued",
    "mark_queued_as_text",
    "mark_submitting",
    "mark_unnamed",
]


def mark_submitting(generation: Generation, *, now: datetime, lease_seconds: float) -> bool:
    """Take the lease for one send. The row's `attempts` is then the number of this send.

    Sets the new values on the object, too. Returns False if another process was faster, or if a
    delivery has named a remote id, because the remote may have accepted the row.
    """
    lease_until = clock.after(now, lease_seconds)
    attempt = min(generation.attempts + 1, largest(Generation, "attempts"))
    row = {
        "attempts": attempt,
        "lease_until": lease_until,
        # Stays when the next move clears the lease: a search of the remote's list, and a person
        # who decides about the row, must know when the send had surely ended.
        "sent_until": lease_until,
        "due_at": lease_until,
        # `EXPIRE_AFTER` counts from the first send that may have been accepted.
        "first_submitted_at": generation.first_submitted_at or now,
        "submitted_at": now,
        # A list that proved the earlier sends absent was read before this one.
        "absent_since": None,
        "workspace": generation.workspace,
    }
    won = make_moves(
        [Move(generation.pk, row)],
        to=Status.SUBMITTING,
        cause=Cause.SUBMIT,
        now=now,
        only={"attempts": generation.attempts, "unverified_remote_id": ""},
    )
    if won:
        generation.status = Status.SUBMITTING
        for name, value in row.items():
            setattr(generation, name, value)
    return bool(won)


def mark_named(generation: Generation, *, now: datetime) -> bool:
    """Take a row out of the queue because a delivery has named a remote id for it.

    It is `submitting` without a lease until that id is confirmed or dropped: nothing is sent.
    """
    # If a delivery has named another id since the row was read, the next sweep reads that one.
    return bool(
        make_moves(
            [Move(generation.pk, {"due_at": now}, detail="named by a delivery")],
            to=Status.SUBMITTING,
            cause=Cause.WEBHOOK,
            now=now,
            only={
                "attempts": generation.attempts,
                "unverified_remote_id": generation.unverified_remote_id,
            },
        )
    )


def mark_unnamed(generation: Generation, *, now: datetime, due_at: datetime) -> bool:
    """Put a row back into the queue that `mark_named` took out: the remote does not know the id."""
    move = Move(generation.pk, {"due_at": due_at, "unverified_remote_id": ""}, detail="id unknown")
    only = {
        "attempts": generation.attempts,
        "unverified_remote_id": generation.unverified_remote_id,
        # Both together mean `mark_named`. A row with a lease is being sent, and an unconfirmed row
        # was sent: neither may be sent again because of an unknown id.
        "lease_until": None,
        "status": Status.SUBMITTING,
    }
    return bool(make_moves([move], to=Status.QUEUED, cause=Cause.WEBHOOK, now=now, only=only))


def mark_queued(
    generation_id: uuid.UUID,
    *,
    cause: Cause,
    now: datetime,
    retry_at: datetime,
    detail: str,
    attempt: int,
    never_accepted: bool = False,
) -> bool:
    """Put a row back into the queue: the remote certainly did not accept the send of this number.

    With `never_accepted` no earlier send can have been accepted either, so the time of the first
    send is cleared.
    """
    row: dict[str, Any] = {"due_at": retry_at, "lease_until": None}
    if never_accepted:
        row["first_submitted_at"] = None
    move = Move(generation_id, row, detail=detail)
    only = {"attempts": attempt}
    return bool(make_moves([move], to=Status.QUEUED, cause=cause, now=now, only=only))


def mark_absent(generation: Generation, *, now: datetime, detail: str) -> bool:
    """Put a row back into the queue because two lists prove that the remote never accepted it.

    This is possible once in the life of a row.
    Returns False if the row has changed since it was claimed.
    """
    move = Move(
        generation.pk,
        {"due_at": now, "lease_until": None, "absent_since": None, "resends": 1},
        # `mark_unconfirmed` wrote there that it may have been charged.
        {"failed_reason": ""},
        detail,
    )
    # The claim, because a delivery may have named the row while its list was read; that ends the
    # claim. `resends`, because a second proof of absence must not lead to a third send.
    only = {"attempts": generation.attempts, "claim": generation.claim, "resends": 0}
    return bool(make_moves([move], to=Status.QUEUED, cause=Cause.RECONCILE, now=now, only=only))


def mark_queued_as_text(
    generation: Generation, *, fingerprint: str, cause: Cause, now: datetime, retry_at: datetime
) -> bool:
    """Put a row back into the queue because the remote refused its function calls.

    They are then sent as text, and `fingerprint` is the hash of the new request. This is possible
    once in the life of a row.
    """
    row: dict[str, Any] = {
        "due_at": retry_at,
        "lease_until": None,
        "calls_as_text": True,
        "fingerprint": fingerprint,
    }
    # As `never_accepted`: a refusal proves nothing about the send before a proof of absence.
    if not generation.resends:
        row["first_submitted_at"] = None
    move = Move(generation.pk, row, detail="function calls refused: they are sent as text")
    only = {"attempts": generation.attempts, "calls_as_text": False}
    return bool(make_moves([move], to=Status.QUEUED, cause=cause, now=now, only=only))
