"""One function per change of status. Each returns True if it changed the row.

False is normal: another process was faster, and its change holds. Nothing here calls the network.
Invariant: the columns that a status needs are written with it.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from creatify_textgen import clock
from creatify_textgen.lifecycle.announcing import needs_announcement
from creatify_textgen.lifecycle.moves import Move, make_moves
from creatify_textgen.lifecycle.outcome import NOTHING_NEW, Outcome
from creatify_textgen.models import Generation, largest
from creatify_textgen.states import TERMINAL, Cause, Status

__all__ = [
    "Arrival",
    "mark_absent",
    "mark_arrived",
    "mark_cancelled",
    "mark_done",
    "mark_failed",
    "mark_named",
    "mark_queued",
    "mark_queued_as_text",
    "mark_running",
    "mark_submitting",
    "mark_unconfirmed",
    "mark_unnamed",
]

ANNOUNCE_WITHIN = timedelta(seconds=60)
"""How long the process that finished a row may take to announce it. Then a sweep does."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """What is written with a change of status: the result so far, and when the row is due."""

    outcome: Outcome = NOTHING_NEW
    due_at: datetime | None = None
    detail: str = ""


def mark_submitting(generation: Generation, *, now: datetime, lease_seconds: float) -> bool:
    """Take the lease for one send. The row's `attempts` is then the number of this send.

    Returns False also if a delivery has named a remote id: the remote may have accepted the row.
    Sets the new values on the object, too.
    """
    lease_until = clock.after(now, lease_seconds)
    attempt = min(generation.attempts + 1, largest(Generation, "attempts"))
    row = {
        "attempts": attempt,
        "lease_until": lease_until,
        "sent_until": lease_until,
        "due_at": lease_until,
        "first_submitted_at": generation.first_submitted_at or now,
        "submitted_at": now,
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
    """Take a queued row out of the queue because a delivery has named a remote id for it.

    It is `submitting` without a lease until that id is confirmed or dropped: nothing is sent.
    """
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
    """Final: the whole result is here."""
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
    never_accepted: bool = False,
) -> bool:
    """Back in the queue: the remote certainly did not accept the send with this number.

    With `never_accepted` no earlier send can have been accepted either, so the columns of the
    first send are cleared.
    """
    row: dict[str, Any] = {"due_at": retry_at, "lease_until": None}
    if never_accepted:
        row["first_submitted_at"] = None
    move = Move(generation_id, row, detail=detail)
    only = {"attempts": attempt}
    return bool(make_moves([move], to=Status.QUEUED, cause=cause, now=now, only=only))


def mark_absent(generation: Generation, *, now: datetime, detail: str) -> bool:
    """Back in the queue, once in the row's life: two lists prove that the remote has no such row.

    Returns False if the row has changed since it was claimed.
    """
    move = Move(
        generation.pk,
        {"due_at": now, "lease_until": None, "absent_since": None, "resends": 1},
        {"failed_reason": ""},
        detail,
    )
    only = {"attempts": generation.attempts, "claim": generation.claim, "resends": 0}
    return bool(make_moves([move], to=Status.QUEUED, cause=Cause.RECONCILE, now=now, only=only))


def mark_queued_as_text(
    generation: Generation, *, fingerprint: str, cause: Cause, now: datetime, retry_at: datetime
) -> bool:
    """Back in the queue, once in the row's life: its function calls were refused, so they go as
    text, of which `fingerprint` is the hash."""
    row: dict[str, Any] = {
        "due_at": retry_at,
        "lease_until": None,
        "calls_as_text": True,
        "fingerprint": fingerprint,
    }
    if not generation.resends:
        row["first_submitted_at"] = None
    move = Move(generation.pk, row, detail="function calls refused: they are sent as text")
    only = {"attempts": generation.attempts, "calls_as_text": False}
    return bool(make_moves([move], to=Status.QUEUED, cause=cause, now=now, only=only))


def mark_unnamed(generation: Generation, *, now: datetime, due_at: datetime) -> bool:
    """Back in the queue from `mark_named`: the remote does not know that id."""
    move = Move(generation.pk, {"due_at": due_at, "unverified_remote_id": ""}, detail="id unknown")
    only = {
        "attempts": generation.attempts,
        "unverified_remote_id": generation.unverified_remote_id,
        "lease_until": None,
        "status": Status.SUBMITTING,
    }
    return bool(make_moves([move], to=Status.QUEUED, cause=Cause.WEBHOOK, now=now, only=only))


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
    """The send with this number left, and no answer came. Users read `reason`."""
    arrival = Arrival(Outcome(failed_reason=reason or None), due_at=due_at, detail=detail)
    return _mark_one(
        Status.UNCONFIRMED, generation_id, arrival, cause=cause, now=now, attempt=attempt
    )


def mark_cancelled(
    generation_id: uuid.UUID, *, cause: Cause, now: datetime, detail: str = "", code: str = ""
) -> bool:
    """Final: cancelled before anything was sent, so it cost nothing.

    `code` is its `error_code` if the site cancels it, `detail` is then what users read as well.
    Returns False if a delivery has named a remote id: then the remote may have accepted it.
    """
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
        announced_by = now + ANNOUNCE_WITHIN if needs_announcement() else None
        fields |= {"finished_at": now, "due_at": announced_by}
        if to == Status.DONE:
            fields.setdefault("partial", False)
    else:
        fields["due_at"] = arrival.due_at or now
    if to != Status.SUBMITTING:
        fields["lease_until"] = None
    return fields
