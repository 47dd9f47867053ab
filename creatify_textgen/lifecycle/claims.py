"""Who looks at which row, and when: claims of the sweep, deliveries, checkpoints. No status.

Invariant: two sweeps never hold the same row, and nothing here makes a row wait longer than a
webhook or an operator asked for.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from functools import cache, partial
from typing import Any

from django.db import IntegrityError, connection
from django.db.models import F

from creatify_textgen.exceptions import TransitionError
from creatify_textgen.lifecycle.by_key import columns
from creatify_textgen.lifecycle.outcome import Outcome
from creatify_textgen.lifecycle.transactions import in_short_transaction
from creatify_textgen.models import Generation, GenerationContent
from creatify_textgen.states import IN_FLIGHT, TERMINAL, Status

__all__ = [
    "claim_due",
    "claim_one",
    "drop_hint",
    "keep_remote_id",
    "make_due",
    "note_delivery",
    "postpone",
    "save_checkpoints",
]

# By hand: the ORM takes as long to build this as a database takes to run it.
_DELIVERY = """
UPDATE {table} SET
    deliveries = deliveries + 1,
    claim = NULL,
    checks = 0,
    hinted_remote_id = CASE WHEN remote_id IS NULL THEN %s ELSE hinted_remote_id END,
    next_check_at = CASE
        WHEN checked_at > %s THEN CASE WHEN next_check_at < %s THEN next_check_at ELSE %s END
        WHEN next_check_at < %s THEN next_check_at
        ELSE %s
    END
WHERE id = %s AND status NOT IN ({final})
"""


def claim_due(
    statuses: Collection[Status], *, now: datetime, hold_until: datetime, limit: int
) -> list[Generation]:
    """Take up to `limit` due rows for this sweep, in a constant number of statements.

    A row that is not moved or postponed comes due again at `hold_until`.
    """
    return in_short_transaction(
        partial(_claim_in_transaction, statuses, now=now, hold_until=hold_until, limit=limit)
    )


def _claim_in_transaction(
    statuses: Collection[Status], *, now: datetime, hold_until: datetime, limit: int
) -> list[Generation]:
    due = Generation.objects.due(now).filter(status__in=statuses)
    if connection.features.has_select_for_update_skip_locked:
        due = due.select_for_update(skip_locked=True)
    ids = list(due.values_list("pk", flat=True)[:limit])
    return _claim(ids, now=now, hold_until=hold_until, only_due=True) if ids else []


def claim_one(
    generation_id: uuid.UUID, *, now: datetime, hold_until: datetime
) -> Generation | None:
    """Take this row, due or not, for an operator who asks now; None where it is final."""
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
        rows = rows.filter(next_check_at__lte=now)
    rows.update(claim=claim, checked_at=now, next_check_at=hold_until, checks=F("checks") + 1)
    return list(Generation.objects.filter(pk__in=ids, claim=claim))


def postpone(generations: Mapping[Generation, datetime]) -> None:
    """Say when to look at claimed rows again; a row touched since its claim is left alone."""
    if not generations:
        return
    claims = {generation.claim for generation in generations}
    times = {generation.pk: {"next_check_at": at} for generation, at in generations.items()}
    Generation.objects.filter(pk__in=times, claim__in=claims).exclude(status__in=TERMINAL).update(
        **columns(Generation, times)
    )


def make_due(generation_id: uuid.UUID, *, at: datetime) -> bool:
    """Have the next sweep look at this row; False where it is final."""
    rows = Generation.objects.filter(pk=generation_id).exclude(status__in=TERMINAL)
    return bool(rows.update(next_check_at=at, claim=None))


def drop_hint(generation: Generation, *, look_at: datetime) -> None:
    """Forget the remote id that a delivery named: the remote does not know it."""
    Generation.objects.filter(
        pk=generation.pk, hinted_remote_id=generation.hinted_remote_id
    ).exclude(status__in=TERMINAL).update(hinted_remote_id="", next_check_at=look_at)


def keep_remote_id(generation: Generation, remote_id: str, *, look_at: datetime) -> bool:
    """Note the remote id of a claimed row that does not move yet; False where it has moved on.

    Raises: TransitionError with code `remote_id_taken` where another row has the remote id.
    """
    held = Generation.objects.filter(pk=generation.pk, claim=generation.claim, remote_id=None)
    rows = held.exclude(status__in=TERMINAL)
    try:
        return bool(
            in_short_transaction(partial(rows.update, remote_id=remote_id, next_check_at=look_at))
        )
    except IntegrityError as error:
        raise TransitionError(
            "Another generation has this remote id already.", code="remote_id_taken"
        ) from error


def note_delivery(
    generation_id: uuid.UUID,
    remote_id: str,
    *,
    now: datetime,
    second_ago: datetime,
    second_later: datetime,
) -> bool:
    """Note a webhook delivery and make its row due, in one statement; False where it is final.

    A row that was looked at less than a second ago comes due a second from now, so a flood
    costs at most one GET a second.
    """
    ago, later, at = map(connection.ops.adapt_datetimefield_value, (second_ago, second_later, now))
    key: Any = generation_id if connection.features.has_native_uuid_field else generation_id.hex
    with connection.cursor() as cursor:
        cursor.execute(_delivery_sql(), [remote_id, ago, later, later, at, at, key])
        return bool(cursor.rowcount)


@cache
def _delivery_sql() -> str:
    final = ", ".join(f"'{status.value}'" for status in sorted(TERMINAL))
    return _DELIVERY.format(table=Generation._meta.db_table, final=final)


def save_checkpoints(
    checkpoints: Mapping[uuid.UUID, Outcome], *, now: datetime, next_check_at: datetime
) -> None:
    """Save what streams that are under way have said, and when a silent pump is missed.

    Rows that have moved on keep what they have. `updated_at` is then when a row's pump last gave
    a sign of life.
    """
    in_short_transaction(
        partial(_save_in_transaction, checkpoints, now=now, next_check_at=next_check_at)
    )


def _save_in_transaction(
    checkpoints: Mapping[uuid.UUID, Outcome], *, now: datetime, next_check_at: datetime
) -> None:
    claim = uuid.uuid4()
    rows = {pk: saved.row_fields() for pk, saved in checkpoints.items()}
    # Unconfirmed, too: a sweep may have taken a pump for dead that could not reach the database.
    Generation.objects.filter(pk__in=checkpoints, status__in=IN_FLIGHT).update(
        claim=claim,
        checks=0,
        updated_at=now,
        next_check_at=next_check_at,
        **columns(Generation, rows),
    )
    held = Generation.objects.filter(pk__in=checkpoints, claim=claim)
    contents = {
        pk: fields
        for pk in held.values_list("pk", flat=True)
        if (saved := checkpoints.get(pk)) and (fields := saved.content_fields())
    }
    if contents:
        GenerationContent.objects.filter(pk__in=contents).update(
            **columns(GenerationContent, contents)
        )
