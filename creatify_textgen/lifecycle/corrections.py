"""Writes on a final row what became known too late: an id, a cost, a text. Never a status."""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from functools import partial

from creatify_textgen.lifecycle.outcome import Outcome
from creatify_textgen.lifecycle.remote_ids import remote_id_once
from creatify_textgen.lifecycle.rollup import correct_rollup
from creatify_textgen.lifecycle.transactions import in_short_transaction
from creatify_textgen.models import Generation, GenerationContent, GenerationEvent
from creatify_textgen.states import TERMINAL, Cause, Status

__all__ = ["complete_empty", "complete_failed", "complete_found", "correct_credits"]

_SAID_BY_STREAMS = (
    "finish_reason",
    "model_version",
    "last_frame",
    "response_thoughts",
    "response_function_calls",
    "usage",
    "citations",
)
"""Columns whose values the remote's list does not have, or may not have."""


def complete_failed(
    generation_id: uuid.UUID,
    outcome: Outcome,
    *,
    cause: Cause,
    now: datetime,
    detail: str,
    keeps_reason: bool = True,
) -> bool:
    """Write the id, cost and answer of a failed row that was given up before they were known.

    The row stays failed, with its reason unless `keeps_reason` is False. Returns False if there is
    nothing new to write, the row is not failed, or it has a remote id already.

    Raises: TransitionError with code `remote_id_taken` if another row has the remote id.
    """
    if outcome.remote_id is None and outcome.credits_used is None:
        return False
    learnt = replace(outcome, error_code=None, failed_reason=None) if keeps_reason else outcome
    return in_short_transaction(
        partial(_complete, generation_id, learnt, cause=cause, now=now, detail=detail)
    )


def _complete(
    generation_id: uuid.UUID, learnt: Outcome, *, cause: Cause, now: datetime, detail: str
) -> bool:
    # Locked: the rollup is corrected by the difference from the cost that is read here.
    given_up = Generation.objects.filter(pk=generation_id, status=Status.FAILED, remote_id=None)
    generation = given_up.select_for_update().first()
    if generation is None:
        return False
    with remote_id_once():
        given_up.update(updated_at=now, **learnt.row_fields())
    content = learnt.content_fields()
    if content:
        # An UPDATE and never an INSERT, so content that was removed stays removed.
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
    """Write what only the stream contained on a row that was found in the remote's list before.

    Its text and cost stay. Returns False if the row is not done, or has another remote id.
    """
    # An empty value of the stream does not replace what the list had.
    known = {name: getattr(outcome, name) or None for name in _SAID_BY_STREAMS}
    return in_short_transaction(
        partial(
            _add,
            generation_id,
            outcome.remote_id,
            Outcome(**known),
            cause=cause,
            now=now,
            detail=detail,
        )
    )


def _add(
    generation_id: uuid.UUID,
    remote_id: str | None,
    known: Outcome,
    *,
    cause: Cause,
    now: datetime,
    detail: str,
) -> bool:
    # With the remote id: the list may have given the row a generation of an equal request.
    found = Generation.objects.filter(pk=generation_id, status=Status.DONE, remote_id=remote_id)
    if remote_id is None or not found.update(updated_at=now, **known.row_fields()):
        return False
    content = known.content_fields()
    if content:
        GenerationContent.objects.filter(pk=generation_id).update(**content)
    GenerationEvent.objects.create(
        generation_id=generation_id, at=now, status=Status.DONE, cause=cause, detail=detail
    )
    return True


def complete_empty(
    generation_id: uuid.UUID, outcome: Outcome, *, cause: Cause, now: datetime
) -> bool:
    """Write the answer of a final row that ended without one. Its status, cost and reason stay.

    Returns False if it has an answer now, or its content was removed.
    """
    answer = Outcome(
        response_text=outcome.response_text or None,
        response_function_calls=outcome.response_function_calls or None,
    )
    return in_short_transaction(partial(_fill, generation_id, answer, cause=cause, now=now))


def _fill(generation_id: uuid.UUID, answer: Outcome, *, cause: Cause, now: datetime) -> bool:
    # An UPDATE first, which locks: the content cannot be removed meanwhile.
    ended = Generation.objects.filter(pk=generation_id, status__in=TERMINAL, keeps_content=True)
    if not ended.update(updated_at=now):
        return False
    content = GenerationContent.objects.filter(pk=generation_id, response_text="").first()
    if content is None or content.response_function_calls:
        return False
    GenerationContent.objects.filter(pk=generation_id).update(**answer.content_fields())
    GenerationEvent.objects.create(
        generation_id=generation_id,
        at=now,
        status=Generation.objects.values_list("status", flat=True).get(pk=generation_id),
        cause=cause,
        detail="its answer came after its end",
    )
    return True


def correct_credits(generation: Generation, credits_used: Decimal) -> bool:
    """Set the credits of a final row to the remote's figure, and correct the rollup.

    Returns False if the credits of the row have changed since this object was read.
    """
    return in_short_transaction(partial(_correct, generation, credits_used))


def _correct(generation: Generation, credits_used: Decimal) -> bool:
    before = generation.credits_used
    # With the old value: of two processes that correct a row, one changes the sums.
    rows = Generation.objects.filter(pk=generation.pk, credits_used=before)
    if not rows.update(credits_used=credits_used):
        return False
    generation.credits_used = credits_used
    correct_rollup(generation, before=before)
    return True
