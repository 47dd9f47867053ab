"""The one way in which a status changes: a conditional UPDATE and what belongs to it.

Row, content, timeline and rollup are written in one short transaction, and the signals are
queued for after its commit. Invariant: a move that was not won writes nothing.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any

from django.db import IntegrityError, transaction

from creatify_textgen.exceptions import TransitionError
from creatify_textgen.lifecycle.announcing import announce, is_heard
from creatify_textgen.lifecycle.by_key import columns
from creatify_textgen.lifecycle.rollup import add_to_rollup
from creatify_textgen.lifecycle.statements import insert_rows, update_rows
from creatify_textgen.lifecycle.transactions import in_short_transaction
from creatify_textgen.models import Generation, GenerationContent, GenerationEvent
from creatify_textgen.states import SOURCES, TERMINAL, Cause, Status

__all__ = ["Move", "make_moves"]


@dataclass(frozen=True, slots=True)
class Move:
    """One row's part in a batch of moves to the same status."""

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
    """Move those rows that may move, and return the ids of those that did.

    The statements are constant in number, whatever the batch. `only` narrows the condition of
    the UPDATE (the number of a send, for one). May be called twice: the second time moves
    nothing.

    Raises: TransitionError with code `remote_id_taken` where another row has the remote id.
    """
    if not moves:
        return set()
    try:
        return in_short_transaction(
            partial(_move_in_transaction, moves, to=to, cause=cause, now=now, only=only or {})
        )
    except IntegrityError as error:
        if not _is_about_remote_id(error):
            raise
        raise TransitionError(
            "Another generation has this remote id already.", code="remote_id_taken"
        ) from error


def _is_about_remote_id(error: IntegrityError) -> bool:
    # Databases name the constraint, SQLite its columns. PostgreSQL's other lines quote values.
    reason = str(error).partition("\n")[0]
    columns_of_sqlite = f"{Generation._meta.db_table}.remote_id"
    return "textgen_remote_once" in reason or columns_of_sqlite in reason


def _move_in_transaction(
    moves: Sequence[Move],
    *,
    to: Status,
    cause: Cause,
    now: datetime,
    only: Mapping[str, Any],
) -> set[uuid.UUID]:
    claim = uuid.uuid4()
    ids = [move.generation_id for move in moves]
    values = columns(Generation, {move.generation_id: move.row for move in moves})
    changed = update_rows(
        Generation,
        {"status": to, "updated_at": now, "claim": claim, "checks": 0, **values},
        where={"id": ids, "status": SOURCES[to], **only},
    )
    if not changed:
        return set()
    mine = Generation.objects.filter(pk__in=ids, claim=claim)
    won_ids = set(ids) if changed == len(ids) else set(mine.values_list("pk", flat=True))
    _write_contents([move for move in moves if move.generation_id in won_ids])
    _write_timeline([m for m in moves if m.generation_id in won_ids], to=to, cause=cause, now=now)
    if to in TERMINAL or is_heard():
        won = list(mine)
        if to in TERMINAL:
            add_to_rollup(won, status=to, now=now)
        # Django's log wants a name, which a partial has not: it would raise for want of one.
        transaction.on_commit(lambda: announce(won), robust=True)
    return won_ids


def _write_contents(moves: Sequence[Move]) -> None:
    contents = {move.generation_id: move.content for move in moves if move.content}
    if contents:
        values = columns(GenerationContent, contents)
        update_rows(GenerationContent, values, where={"generation": contents})


def _write_timeline(moves: Sequence[Move], *, to: Status, cause: Cause, now: datetime) -> None:
    insert_rows(
        GenerationEvent,
        [
            {
                "generation": move.generation_id,
                "at": now,
                "status": to,
                "cause": cause,
                "detail": move.detail[:255],
            }
            for move in moves
        ],
    )
