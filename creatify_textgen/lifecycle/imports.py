"""Writes a row for a generation that the remote has charged and none of our rows requested."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from creatify_textgen import clock
from creatify_textgen.exceptions import TransitionError
from creatify_textgen.lifecycle.holds import hold_imported
from creatify_textgen.lifecycle.outcome import Outcome
from creatify_textgen.lifecycle.remote_ids import remote_id_once
from creatify_textgen.lifecycle.rollup import add_to_rollup
from creatify_textgen.lifecycle.transactions import in_short_transaction
from creatify_textgen.models import Generation, GenerationContent, GenerationEvent
from creatify_textgen.states import TERMINAL, Cause, Status

__all__ = ["import_generation"]


def import_generation(
    generation: Generation, content: GenerationContent, *, to: Status, outcome: Outcome
) -> bool:
    """Save a new row in this status with its result, timeline and share of the rollup.

    A final one counts on the day of its creation, because only this time is known. It sends no
    signal, because nobody here waits for it. Returns False if another row has the remote id.
    """
    generation.status = to
    _set(generation, outcome.row_fields())
    _set(content, outcome.content_fields())
    if to in TERMINAL:
        generation.finished_at, generation.due_at = generation.created_at, None
    try:
        with remote_id_once():
            in_short_transaction(partial(_save, generation, content))
    except TransitionError:
        # Two reconciliations at once, or a row that has just got this id. All that was saved here
        # is rolled back, so the cost is counted once.
        return False
    return True


def _set(row: Generation | GenerationContent, values: Mapping[str, Any]) -> None:
    for name, value in values.items():
        setattr(row, name, value)


def _save(generation: Generation, content: GenerationContent) -> None:
    status = Status(generation.status)
    generation.save(force_insert=True)
    if generation.keeps_content:
        content.generation = generation
        content.save(force_insert=True)
    GenerationEvent.objects.create(
        generation=generation,
        at=generation.updated_at,
        status=status,
        cause=Cause.RECONCILE,
        detail="imported from the list",
    )
    # By the day of its creation, as its sums; before the rollup, which settles what it holds.
    hold_imported(generation, day=clock.utc_day(generation.created_at))
    if generation.finished_at is not None:
        add_to_rollup([generation], status=status, now=generation.finished_at)
