"""What may still be written on a row after its last move: what was learnt late. No status."""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from functools import partial

from django.db import IntegrityError

from creatify_textgen.exceptions import TransitionError
from creatify_textgen.lifecycle.outcome import Outcome
from creatify_textgen.lifecycle.rollup import correct_rollup
from creatify_textgen.lifecycle.transactions import in_short_transaction
from creatify_textgen.models import Generation, GenerationContent, GenerationEvent
from creatify_textgen.states import Cause, Status

__all__ = ["complete_failed", "complete_found", "correct_credits"]

_TOLD_BY_STREAMS = (
    "finish_reason",
    "model_version",
    "response_thoughts",
    "response_function_calls",
    "usage",
    "citations",
)
"""What the remote's list has not or may not have."""


def complete_failed(
    generation_id: uuid.UUID, outcome: Outcome, *, cause: Cause, now: datetime, detail: str
) -> bool:
    """Write the id, cost and answer of a failed row that was given up before they were known.

    It stays failed, for the reason that it has. Returns False where nothing of that was learnt,
    the row is not failed, or it has its remote id.

    Raises: TransitionError with code `remote_id_taken` where another row has the remote id.
    """
    if outcome.remote_id is None and outcome.credits_used is None:
        return False
    learnt = replace(outcome, error_code=None, failed_reason=None)
    return in_short_transaction(
        partial(_complete, generation_id, learnt, cause=cause, now=now, detail=detail)
    )


def _complete(
    generation_id: uuid.UUID, learnt: Outcome, *, cause: Cause, now: datetime, detail: str
) -> bool:
    given_up = Generation.objects.filter(pk=generation_id, status=Status.FAILED, remote_id=None)
    generation = given_up.select_for_update().first()
    if generation is None:
        return False
    try:
        given_up.update(updated_at=now, **learnt.row_fields())
    except IntegrityError as error:
        raise TransitionError(
            "Another generation has this remote id already.", code="remote_id_taken"
        ) from error
    content = learnt.content_fields()
    if content:
        GenerationContent.objects.filter(pk=generation_id).update(**content)
    if learnt.credits_used is not None:
        before, generation.credits_used = generation.credits_used, learnt.credits_used
        correct_rollup(generation, before=before)
    GenerationEvent.objects.create(
        generation=generation, at=now, status=Status.FAILED, cause=cause, detail=detail
    )
    return True


def complete_found(
    generation_id: uuid.UUID, outcome: Outcome, *, cause: Cause, now: datetime, detail: str
) -> bool:
    """Write what only its stream told of a row that was found in the remote's list before.

    Its text and cost stay. Returns False where the row is not done, or has another remote id.
    """
    told = {name: getattr(outcome, name) or None for name in _TOLD_BY_STREAMS}
    return in_short_transaction(
        partial(
            _add,
            generation_id,
            outcome.remote_id,
            Outcome(**told),
            cause=cause,
            now=now,
            detail=detail,
        )
    )


def _add(
    generation_id: uuid.UUID,
    remote_id: str | None,
    told: Outcome,
    *,
    cause: Cause,
    now: datetime,
    detail: str,
) -> bool:
    found = Generation.objects.filter(pk=generation_id, status=Status.DONE, remote_id=remote_id)
    if remote_id is None or not found.update(updated_at=now, **told.row_fields()):
        return False
    content = told.content_fields()
    if content:
        GenerationContent.objects.filter(pk=generation_id).update(**content)
    GenerationEvent.objects.create(
        generation_id=generation_id, at=now, status=Status.DONE, cause=cause, detail=detail
    )
    return True


def correct_credits(generation: Generation, credits_used: Decimal) -> bool:
    """Set a final row's credits to what the remote says now, and the rollup with them.

    Returns False where the row's credits are no longer what the object given has.
    """
    return in_short_transaction(partial(_correct, generation, credits_used))


def _correct(generation: Generation, credits_used: Decimal) -> bool:
    before = generation.credits_used
    rows = Generation.objects.filter(pk=generation.pk, credits_used=before)
    if before is None:
        rows = Generation.objects.filter(pk=generation.pk, credits_used__isnull=True)
    if not rows.update(credits_used=credits_used):
        return False
    generation.credits_used = credits_used
    correct_rollup(generation, before=before)
    return True
