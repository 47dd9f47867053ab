"""Changes statuses. This is the only way: a conditional UPDATE, and what belongs to it.

Row, content, timeline and rollup are written in one short transaction. The signals follow its
commit. Of two processes that change a row at once, the UPDATE of only one finds the old status.
Invariant: the other writes nothing.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any

from django.db import transaction
from django.db.models import Q

from creatify_textgen import databases
from creatify_textgen.lifecycle.announcing import announce, has_listeners
from creatify_textgen.lifecycle.by_key import columns
from creatify_textgen.lifecycle.contents import drop_erased, drop_unkept
from creatify_textgen.lifecycle.remote_ids import remote_id_once
from creatify_textgen.lifecycle.rollup import add_to_rollup
from creatify_textgen.lifecycle.transactions import in_short_transaction
from creatify_textgen.models import Generation, GenerationContent, GenerationEvent
from creatify_textgen.states import SOURCES, TERMINAL, Cause, Status

__all__ = ["Move", "make_moves"]


ENDS = TERMINAL | {Status.EXPIRED}
"""The log reports these statuses with facts of the row, so the whole row is read for them."""


@dataclass(frozen=True, slots=True)
class Move:
    """One row of a batch whose rows all change to the same status."""

    generation_id: uuid.UUID
    row: Mapping[str, Any] = field(default_factory=dict)
    content: Mapping[str, Any] = field(default_factory=dict, repr=False)
    detail: str = ""


def make_moves(
    moves: Sequence[Move],
    *,
    to: Status,
    cause: Cause,
    now: datetime,
    only: Mapping[str, Any] | None = None,
) -> set[uuid.UUID]:
    """Change the rows that allow it, and return the ids of the changed rows.

    The number of statements does not depend on the size of the batch. `only` adds to the condition
    of the UPDATE, for example the number of a send. May be called twice: the second call changes
    nothing.

    Raises: TransitionError with code `remote_id_taken` if another row has the remote id.
    """
    if not moves:
        return set()
    with remote_id_once():
        return in_short_transaction(
            partial(_move_in_transaction, moves, to=to, cause=cause, now=now, only=only or {})
        )


def _move_in_transaction(
    moves: Sequence[Move],
    *,
    to: Status,
    cause: Cause,
    now: datetime,
    only: Mapping[str, Any],
) -> set[uuid.UUID]:
    # `update()` returns no keys, so the new claim marks the rows that this UPDATE changed.
    # It also ends the claims of other processes, whose `reschedule` then leaves these rows alone.
    claim = uuid.uuid4()
    ids = [move.generation_id for move in moves]
    values = columns(Generation, {move.generation_id: move.row for move in moves})
    movable = Generation.objects.filter(pk__in=ids, status__in=SOURCES[to], **only)
    if learned := {move.row["remote_id"] for move in moves if "remote_id" in move.row}:
        # A row that has a remote id keeps it, even if another answer names a different one.
        movable = movable.filter(Q(remote_id=None) | Q(remote_id__in=learned))
    changed = movable.update(
        **{"status": to, "updated_at": now, "claim": claim, "polls": 0, **values}
    )
    if not changed:
        return set()
    mine = Generation.objects.filter(pk__in=ids, claim=claim)
    won_ids = set(ids) if changed == len(ids) else set(mine.values_list("pk", flat=True))
    made = [move for move in moves if move.generation_id in won_ids]
    _write_timeline(made, to=to, cause=cause, now=now)
    is_end = to in TERMINAL
    won = list(mine) if to in ENDS or has_listeners() else []
    unkept = {row.pk for row in won if is_end and not row.keeps_content}
    _write_contents([move for move in made if move.generation_id not in unkept])
    if is_end:
        drop_unkept(won, {move.generation_id: move.content for move in made}, now=now)
        # Last, because many processes write these rows: the commit that unlocks them is next.
        add_to_rollup(won, status=to, now=now)
    elif to == Status.EXPIRED:
        drop_erased(won, now=now)
    _announce_after_commit(won)
    return won_ids


def _announce_after_commit(won: Sequence[Generation]) -> None:
    if won:
        # Robust, because the row is committed: an error of a signal must not look like a failed
        # move. Django logs the name of a callback that fails, and a partial has none.
        transaction.on_commit(lambda: announce(won), using=databases.alias(), robust=True)


def _write_contents(moves: Sequence[Move]) -> None:
    contents = {move.generation_id: move.content for move in moves if move.content}
    if contents:
        GenerationContent.objects.filter(pk__in=contents).update(
            **columns(GenerationContent, contents)
        )


def _write_timeline(moves: Sequence[Move], *, to: Status, cause: Cause, now: datetime) -> None:
    GenerationEvent.objects.bulk_create(
        GenerationEvent(
            generation_id=move.generation_id,
            at=now,
            status=to,
            cause=cause,
            detail=move.detail[:255],
        )
        for move in moves
    )
