"""One function per move. Each returns True where the move was won, and False where the row had
moved already, which is normal: somebody else knew it first.

Nothing here calls the network. Invariant: what each status needs is written with it.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from creatify_textgen.lifecycle.moves import Move, make_moves
from creatify_textgen.lifecycle.outcome import NOTHING_NEW, Outcome
from creatify_textgen.models import Generation
from creatify_textgen.states import Cause, Status

__all__ = [
    "Arrival",
    "mark_arrived",
    "mark_cancelled",
    "mark_done",
    "mark_expired",
    "mark_failed",
    "mark_pending",
    "mark_queued",
    "mark_running",
    "mark_submitting",
    "mark_unconfirmed",
]

ANNOUNCE_WITHIN = timedelta(seconds=60)
"""How long the process that finished a row may take to announce it before a sweep does."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """What is to be written with a move: the result so far and when to look again."""

    outcome: Outcome = NOTHING_NEW
    next_check_at: datetime | None = None
    detail: str = ""


def mark_submitting(generation: Generation, *, now: datetime, lease_seconds: float) -> bool:
    """Take the lease for one send; the row's `attempts` is then the number of that send.

    Lost, too, where a delivery has named a remote id since the row was read: it is there already.
    Sets `attempts`, `status` and `lease_until` on the object given.
    """
    lease_until = now + timedelta(seconds=lease_seconds)
    row = {
        "attempts": generation.attempts + 1,
        "lease_until": lease_until,
        "next_check_at": lease_until,
        "submitted_at": now,
    }
    won = make_moves(
        [Move(generation.pk, row)],
        to=Status.SUBMITTING,
        cause=Cause.SUBMIT,
        now=now,
        only={
            "attempts": generation.attempts,
            "hinted_remote_id": generation.hinted_remote_id,
        },
    )
    if won:
        generation.attempts += 1
        generation.status = Status.SUBMITTING
        generation.lease_until = generation.next_check_at = lease_until
        generation.submitted_at = now
    return bool(won)


def mark_pending(
    generation_id: uuid.UUID, *, cause: Cause, now: datetime, arrival: Arrival
) -> bool:
    """The remote has accepted it."""
    return _mark_one(Status.PENDING, generation_id, arrival, cause=cause, now=now)


def mark_running(
    generation_id: uuid.UUID, *, cause: Cause, now: datetime, arrival: Arrival
) -> bool:
    """The remote is generating."""
    return _mark_one(Status.RUNNING, generation_id, arrival, cause=cause, now=now)


def mark_done(
    generation_id: uuid.UUID,
    *,
    cause: Cause,
    now: datetime,
    outcome: Outcome,
    detail: str = "",
) -> bool:
    """Final: the result is here and whole."""
    arrival = Arrival(outcome, detail=detail)
    return _mark_one(Status.DONE, generation_id, arrival, cause=cause, now=now)


def mark_failed(
    generation_id: uuid.UUID,
    *,
    cause: Cause,
    now: datetime,
    outcome: Outcome,
    detail: str = "",
    attempt: int | None = None,
    claim: uuid.UUID | None = None,
) -> bool:
    """Final: it ended without a result; `outcome` carries `error_code` and `failed_reason`.

    `attempt` narrows the move to the send of that number, `claim` to a row that nobody has
    touched since it was claimed so.
    """
    arrival = Arrival(outcome, detail=detail or (outcome.error_code or ""))
    return _mark_one(
        Status.FAILED, generation_id, arrival, cause=cause, now=now, attempt=attempt, claim=claim
    )


def mark_queued(
    generation_id: uuid.UUID,
    *,
    cause: Cause,
    now: datetime,
    retry_at: datetime,
    detail: str,
    attempt: int,
    claim: uuid.UUID | None = None,
) -> bool:
    """Back in the queue: the send of that number surely was not accepted.

    `claim` narrows the move to a row that nobody has touched since it was claimed so.
    """
    arrival = Arrival(next_check_at=retry_at, detail=detail)
    return _mark_one(
        Status.QUEUED, generation_id, arrival, cause=cause, now=now, attempt=attempt, claim=claim
    )


def mark_unconfirmed(
    generation_id: uuid.UUID,
    *,
    cause: Cause,
    now: datetime,
    look_at: datetime,
    detail: str,
    attempt: int,
) -> bool:
    """The send of that number left, and its answer never came."""
    arrival = Arrival(next_check_at=look_at, detail=detail)
    return _mark_one(
        Status.UNCONFIRMED, generation_id, arrival, cause=cause, now=now, attempt=attempt
    )


def mark_expired(generation_id: uuid.UUID, *, now: datetime, look_at: datetime) -> bool:
    """We stop waiting; what the remote tells later can still finish it."""
    arrival = Arrival(next_check_at=look_at, detail="no result in time")
    return _mark_one(Status.EXPIRED, generation_id, arrival, cause=Cause.SWEEP, now=now)


def mark_cancelled(
    generation_id: uuid.UUID, *, cause: Cause, now: datetime, detail: str = ""
) -> bool:
    """Final: taken back before anything was sent, so it cost nothing."""
    arrival = Arrival(Outcome(credits_used=Decimal()), detail=detail)
    return _mark_one(Status.CANCELLED, generation_id, arrival, cause=cause, now=now)


def mark_arrived(
    arrivals: Mapping[uuid.UUID, Arrival], *, to: Status, cause: Cause, now: datetime
) -> set[uuid.UUID]:
    """Many rows to one status in a constant number of statements; the ids of those that moved."""
    moves = [
        Move(
            generation_id,
            _row_fields(to, arrival, now=now),
            arrival.outcome.content_fields(),
            arrival.detail,
        )
        for generation_id, arrival in arrivals.items()
    ]
    return make_moves(moves, to=to, cause=cause, now=now)


def _mark_one(
    to: Status,
    generation_id: uuid.UUID,
    arrival: Arrival,
    *,
    cause: Cause,
    now: datetime,
    attempt: int | None = None,
    claim: uuid.UUID | None = None,
) -> bool:
    move = Move(
        generation_id,
        _row_fields(to, arrival, now=now),
        arrival.outcome.content_fields(),
        arrival.detail,
    )
    only: dict[str, Any] = {} if attempt is None else {"attempts": attempt}
    if claim is not None:
        only["claim"] = claim
    return bool(make_moves([move], to=to, cause=cause, now=now, only=only))


def _row_fields(to: Status, arrival: Arrival, *, now: datetime) -> dict[str, Any]:
    fields = arrival.outcome.row_fields()
    if to in (Status.DONE, Status.FAILED, Status.CANCELLED):
        fields |= {"finished_at": now, "next_check_at": now + ANNOUNCE_WITHIN}
        if to == Status.DONE:
            fields.setdefault("partial", False)
    else:
        fields["next_check_at"] = arrival.next_check_at or now
    if to != Status.SUBMITTING:
        fields["lease_until"] = None
    return fields
