"""Who processes which row, and when: claims of the sweep, deliveries, checkpoints. No status.

A process claims a row by writing a new UUID into `claim`. If another needs the row sooner, it
clears the claim, and the first one cannot reschedule the row. Invariant: two sweeps never hold the
same row, and nothing here makes a row wait longer than a webhook or an operator asked for.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from functools import partial

from django.db.models import Case, F, QuerySet, Value, When

from creatify_textgen import clock, databases
from creatify_textgen.lifecycle.by_key import columns
from creatify_textgen.lifecycle.outcome import Outcome
from creatify_textgen.lifecycle.remote_ids import remote_id_once
from creatify_textgen.lifecycle.transactions import in_short_transaction
from creatify_textgen.models import Generation, GenerationContent, GenerationEvent, increased
from creatify_textgen.states import IN_FLIGHT, TERMINAL, Cause, Mode, Status

__all__ = [
    "claim_due",
    "claim_one",
    "delete_final",
    "drop_unverified_id",
    "hold_queued",
    "keep_remote_id",
    "make_due",
    "note_absence",
    "note_acceptance",
    "note_delivery",
    "note_stop",
    "reschedule",
    "save_checkpoints",
]


def claim_due(
    statuses: Collection[Status],
    *,
    now: datetime,
    hold_until: datetime,
    limit: int,
    without: Collection[str] = (),
) -> list[Generation]:
    """Take up to `limit` due rows for this sweep, in a constant number of statements.

    A row that is neither moved nor rescheduled is due again at `hold_until`. `without` names
    accounts whose rows are left for later.
    """
    due = Generation.objects.due(now).filter(status__in=statuses)
    if without:
        due = due.exclude(account__in=without)
    return in_short_transaction(
        partial(_claim_in_transaction, due, now=now, hold_until=hold_until, limit=limit)
    )


def _claim_in_transaction(
    due: QuerySet[Generation], *, now: datetime, hold_until: datetime, limit: int
) -> list[Generation]:
    # Without SKIP LOCKED, the second of two sweeps would wait for the rows of the first. SQLite has
    # none and needs none, because it has one writer at a time.
    if databases.connection().features.has_select_for_update_skip_locked:
        due = due.select_for_update(skip_locked=True)
    ids = list(due.values_list("pk", flat=True)[:limit])
    return _claim(ids, now=now, hold_until=hold_until, only_due=True) if ids else []


def claim_one(
    generation_id: uuid.UUID, *, now: datetime, hold_until: datetime
) -> Generation | None:
    """Claim this row, due or not, for an operator who asks now. Return None if it is final."""
    claimed = in_short_transaction(
        partial(_claim, [generation_id], now=now, hold_until=hold_until, only_due=False)
    )
    return claimed[0] if claimed else None


def _claim(
    ids: Sequence[uuid.UUID], *, now: datetime, hold_until: datetime, only_due: bool
) -> list[Generation]:
    claim = uuid.uuid4()
    rows = Generation.objects.filter(pk__in=ids).exclude(status__in=TERMINAL)
    if only_due:
        # Again in the UPDATE: where rows are not locked, another sweep may have claimed them.
        rows = rows.filter(due_at__lte=now)
    rows.update(claim=claim, polled_at=now, due_at=hold_until, polls=increased(Generation, "polls"))
    return list(Generation.objects.filter(pk__in=ids, claim=claim))


def reschedule(generations: Mapping[Generation, datetime]) -> None:
    """Set when claimed rows are due again. A row that changed since its claim is left alone."""
    if not generations:
        return
    claims = {generation.claim for generation in generations}
    times = {generation.pk: {"due_at": at} for generation, at in generations.items()}
    Generation.objects.filter(pk__in=times, claim__in=claims).exclude(status__in=TERMINAL).update(
        **columns(Generation, times)
    )


def make_due(generation_id: uuid.UUID, *, at: datetime) -> bool:
    """Have a sweep process this row at this time; False if it is final."""
    rows = Generation.objects.filter(pk=generation_id).exclude(status__in=TERMINAL)
    # A poll that is under way would otherwise reschedule the row when it ends.
    return bool(rows.update(due_at=at, claim=None))


def hold_queued(generation_id: uuid.UUID, *, until: datetime) -> None:
    """Set `due_at` of an unsent row to this time, unless it is later already."""
    queued = Generation.objects.filter(pk=generation_id, status=Status.QUEUED, due_at__lt=until)
    queued.update(due_at=until)


def drop_unverified_id(generation: Generation, *, due_at: datetime) -> None:
    """Remove the remote id that a delivery named, because the remote does not know it."""
    # Only the id that was asked for: a delivery may have named another meanwhile.
    Generation.objects.filter(
        pk=generation.pk, unverified_remote_id=generation.unverified_remote_id
    ).exclude(status__in=TERMINAL).update(unverified_remote_id="", due_at=due_at)


def keep_remote_id(
    generation: Generation,
    remote_id: str,
    as_sent: str = "",
    *,
    due_at: datetime,
    decided: str = "",
) -> bool:
    """Save the remote id of a claimed row whose status stays. Return False if it has changed.

    `as_sent` is its `id_as_sent`. `decided` is what a person has decided, for the timeline.

    Raises: TransitionError with code `remote_id_taken` if another row has the remote id.
    """
    held = Generation.objects.filter(pk=generation.pk, claim=generation.claim, remote_id=None)
    rows = held.exclude(status__in=TERMINAL)
    known = {
        "remote_id": remote_id,
        "remote_id_as_sent": as_sent,
        "unverified_remote_id": "",
        "error_code": "",
        "due_at": due_at,
    }

    def keep() -> bool:
        is_kept = bool(rows.update(**known))
        if is_kept and decided:
            GenerationEvent.objects.create(
                generation=generation,
                at=clock.now(),
                status=generation.status,
                cause=Cause.OPERATOR,
                detail=decided[:255],
            )
        return is_kept

    with remote_id_once():
        return in_short_transaction(keep)


def note_absence(
    generation: Generation, *, at: datetime | None, served_at: datetime | None = None
) -> None:
    """Save when a list first proved a claimed row absent; None if a list has a possible match.

    `at` is our time and `served_at` the remote's. The second list must be later by both clocks, so
    a jump of one of them is no proof.
    """
    held = Generation.objects.filter(pk=generation.pk, claim=generation.claim)
    held.exclude(status__in=TERMINAL).update(absent_since=at, absent_served_at=served_at)


def note_stop(generation_id: uuid.UUID, *, now: datetime) -> bool:
    """Note that somebody stopped a stream that is read; its pump learns it from the row.

    Returns False if it is no longer streamed, or was stopped before.
    """
    return in_short_transaction(partial(_note_stop, generation_id, now=now))


def _note_stop(generation_id: uuid.UUID, *, now: datetime) -> bool:
    # `stopped_at` in the condition: of two who stop it, one writes the entry in the timeline.
    read = Generation.objects.filter(pk=generation_id, mode=Mode.STREAM, stopped_at=None)
    streamed = read.filter(status__in=(Status.SUBMITTING, Status.RUNNING))
    if not streamed.update(stopped_at=now, updated_at=now):
        return False
    status = Generation.objects.values_list("status", flat=True).get(pk=generation_id)
    GenerationEvent.objects.create(
        generation_id=generation_id, at=now, status=status, cause=Cause.OPERATOR, detail="stopped"
    )
    return True


def delete_final(generation_ids: Collection[uuid.UUID]) -> int:
    """Delete the final ones of these rows, with content and timeline; return how many."""
    # Django reads the rows before it deletes them by key. Meanwhile a final row cannot change.
    rows = Generation.objects.filter(pk__in=generation_ids, status__in=TERMINAL)
    _total, by_model = in_short_transaction(rows.delete)
    return by_model.get(Generation._meta.label, 0)


def note_acceptance(generation_id: uuid.UUID, remote_id: str, *, now: datetime) -> bool:
    """Keep the remote id of an answer that came after its row had moved on.

    The row is then neither sent nor cancelled until the remote was asked about that id. Returns
    False if the row is final, or names a remote id already.
    """
    waiting = Generation.objects.filter(
        pk=generation_id, remote_id=None, unverified_remote_id=""
    ).exclude(status__in=TERMINAL)
    return bool(waiting.update(unverified_remote_id=remote_id, due_at=now, claim=None, polls=0))


def note_delivery(
    generation_id: uuid.UUID,
    remote_id: str,
    *,
    now: datetime,
    second_ago: datetime,
    second_later: datetime,
) -> bool:
    """Count a webhook delivery and make its row due, in one statement. Return False if it is final.

    A row that was polled less than a second ago is due a second from now, so a flood of
    deliveries costs at most one GET a second. A row that is due before that stays so.
    """
    # Not over a confirmed id: a delivery is not trusted.
    named = [When(remote_id=None, then=Value(remote_id))] if remote_id else []
    rows = Generation.objects.filter(pk=generation_id).exclude(status__in=TERMINAL)
    changed = rows.update(
        deliveries=increased(Generation, "deliveries"),
        # A poll that began before the delivery may not have seen the result, so it must not
        # reschedule the row.
        claim=None,
        polls=0,
        unverified_remote_id=Case(*named, default=F("unverified_remote_id")),
        due_at=Case(
            When(due_at__lt=now, then=F("due_at")),
            When(polled_at__gt=second_ago, due_at__lt=second_later, then=F("due_at")),
            When(polled_at__gt=second_ago, then=Value(second_later)),
            default=Value(now),
        ),
    )
    return bool(changed)


def save_checkpoints(
    checkpoints: Mapping[uuid.UUID, Outcome], *, now: datetime, due_at: datetime
) -> None:
    """Save the text so far of running streams, and the time at which their pumps count as dead.

    Rows whose status has changed are left alone. `updated_at` is the last sign of life of a pump.

    Raises: TransitionError with code `remote_id_taken` if another row has a remote id.
    """
    with remote_id_once():
        in_short_transaction(partial(_save_in_transaction, checkpoints, now=now, due_at=due_at))


def _save_in_transaction(
    checkpoints: Mapping[uuid.UUID, Outcome], *, now: datetime, due_at: datetime
) -> None:
    claim = uuid.uuid4()
    rows = {pk: saved.row_fields() for pk, saved in checkpoints.items()}
    # Also unconfirmed: a pump that could not reach the database looked dead to a sweep.
    Generation.objects.filter(pk__in=checkpoints, status__in=IN_FLIGHT).update(
        claim=claim,
        polls=0,
        updated_at=now,
        due_at=due_at,
        **columns(Generation, rows),
    )
    # The claim names the rows of this UPDATE. The text of a row that keeps none stays in memory.
    held = Generation.objects.filter(pk__in=checkpoints, claim=claim, keeps_content=True)
    contents = {
        pk: fields
        for pk in held.values_list("pk", flat=True)
        if (saved := checkpoints.get(pk)) and (fields := saved.content_fields())
    }
    if contents:
        GenerationContent.objects.filter(pk__in=contents).update(
            **columns(GenerationContent, contents)
        )
