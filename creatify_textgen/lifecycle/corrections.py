"""What may still be written on a row after its last move: credits learnt late. No status."""

from __future__ import annotations

from decimal import Decimal
from functools import partial

from creatify_textgen.lifecycle.rollup import correct_rollup
from creatify_textgen.lifecycle.transactions import in_short_transaction
from creatify_textgen.models import Generation

__all__ = ["correct_credits"]


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
