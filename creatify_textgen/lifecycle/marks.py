"""One function per change of status that a result, a doubt or a person causes.

Each returns True if it changed the row. False is normal: another process was faster, and its change
holds. Nothing here calls the network; the moves into and out of the queue are in `queue_marks`.
Invariant: the columns that a status needs are written with it.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from creatify_textgen.lifecycle.announcing import needs_announcement
from creatify_textgen.lifecycle.moves import Move, make_moves
from creatify_textgen.lifecycle.outcome import NOTHING_NEW, Outcome
from creatify_textgen.states import TERMINAL, Cause, Status

__all__ = [
    "Arrival",
    "mark_arrived",
    "mark_cancelled",
    "mark_done",
    "mark_failed",
    "mark_running",
    "mark_unconfirmed",
]

ANNOUNCE_WITHIN = timedelta(seconds=60)
"""How long the process that finished a row may take to announce it. Then a sweep does."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """What is written with a change of status: the result so far, and when the row is due."""

    outcome: Outcome = NOTHING_NEW
    due_at: datetime | None = None
    detail: str = ""


def mark_running(
    generation_id: uuid.UUID, *, cause: Cause, now: datetime, arrival: Arrival
) -> bool:
    """Note that the remote is generating."""
    return _mark_one(Status.RUNNING, generation_id, arrival, cause=cause, now=now)


def mark_done(
    generation_id: uuid.UUID,
    *,
    cause: Cause,
    now: datetime,
    outcome: Outcome,
    detail: str = "",
) -> bool:
    """Finish a row whose whole result is known."""
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
    """Finish a row without a result; `outcome` has its `error_code` and `failed_reason`.

    With `attempt`, only if this is still the number of the last send. With `claim`, only if no
    other process has changed the row since it was claimed.
    """
    arrival = Arrival(outcome, detail=detail or (outcome.error_code or ""))
    return _mark_one(
        Status.FAILED, generation_id, arrival, cause=cause, now=now, attempt=attempt, claim=claim
    )


def mark_unconfirmed(
    generation_id: uuid.UUID,
    *,
    cause: Cause,
    now: datetime,
    due_at: datetime,
    detail: str,
    attempt: int,
    reason: str = "",
) -> bool:
    """Note that the send of this number left and got no answer. Users read `reason`."""
    arrival = Arrival(Outcome(failed_reason=reason or None), due_at=due_at, detail=detail)
    return _mark_one(
        Status.UNCONFIRMED, generation_id, arrival, cause=cause, now=now, attempt=attempt
    )


def mark_cancelled(
    generation_id: uuid.UUID, *, cause: Cause, now: datetime, detail: str = "", code: str = ""
) -> bool:
    """Finish a queued row. It was not accepted by the remote, so it cost nothing.

    `code` is its `error_code` if the site cancels it; users then also read `detail`. Returns False
    if a delivery has named a remote id, because the remote may have accepted it.
    """
    # Zero and not None: an unknown cost would keep what the row holds of its budgets.
    outcome = Outcome(credits_used=Decimal())
    if code:
        outcome = replace(outcome, error_code=code, failed_reason=detail)
    fields = _row_fields(Status.CANCELLED, Arrival(outcome), now=now)
    move = Move(generation_id, fields, outcome.content_fields(), detail=detail)
    only = {"unverified_remote_id": ""}
    return bool(make_moves([move], to=Status.CANCELLED, cause=cause, now=now, only=only))


def mark_arrived(
    arrivals: Mapping[uuid.UUID, Arrival], *, to: Status, cause: Cause, now: datetime
) -> set[uuid.UUID]:
    """Change many rows to one status in a constant number of statements; return the ids changed."""
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
    if to in TERMINAL:
        # A final row needs no `due_at` but for its signal: see `announcing`.
        announced_by = now + ANNOUNCE_WITHIN if needs_announcement() else None
        fields |= {"finished_at": now, "due_at": announced_by}
        if to == Status.DONE:
            # A checkpoint of its stream may have set it.
            fields.setdefault("partial", False)
    else:
        # Never NULL, or no sweep would find the row (`textgen_never_forgotten`).
        fields["due_at"] = arrival.due_at or now
    # None of these moves begins a send.
    fields["lease_until"] = None
    return fields
