"""What an operator may ask of one generation: look now, take it back. Retry is a submission."""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone

from creatify_textgen import lifecycle
from creatify_textgen.exceptions import RemoteError, TransitionError
from creatify_textgen.models import Generation
from creatify_textgen.services import alarm
from creatify_textgen.services.looking import settle_looks, start_looks
from creatify_textgen.services.streaming.checkpoints import is_pumped
from creatify_textgen.states import Cause, Status

__all__ = ["cancel", "refresh"]

HOLD = timedelta(seconds=120)


def refresh(generation: Generation) -> Generation:
    """Ask the remote now and return the row as it is then. Free at the remote.

    A row that is final, queued, being sent or streamed by a living pump is returned as it stands.

    Raises: RemoteError where the remote did not answer; the row is asked about again later.
    """
    now = timezone.now()
    current = _fresh(generation)
    if current.status == Status.QUEUED or current.is_final or is_pumped(current, now=now):
        return current
    claimed = lifecycle.claim_one(generation.pk, now=now, hold_until=now + HOLD)
    if claimed is not None:
        _look_now(claimed)
    alarm.set_for_next_due(now=timezone.now())
    return _fresh(generation)


def cancel(generation: Generation) -> Generation:
    """Take back a generation that was not sent yet.

    Raises: TransitionError with code `not_cancellable` where it was, for the remote knows no
    cancelling.
    """
    won = lifecycle.mark_cancelled(generation.pk, cause=Cause.OPERATOR, now=timezone.now())
    fresh = _fresh(generation)
    if not won and fresh.status != Status.CANCELLED:
        raise TransitionError(
            f"Generation {generation.pk} is {fresh.status}: only a queued one can be cancelled.",
            code="not_cancellable",
        )
    return fresh


def _look_now(generation: Generation) -> None:
    for look in start_looks([generation], now=timezone.now()):
        try:
            look.answered(look.call())
        except RemoteError as error:
            settle_looks([look.answered(error)], now=timezone.now())
            raise
        settle_looks([look], now=timezone.now())


def _fresh(generation: Generation) -> Generation:
    return Generation.objects.select_related("content").get(pk=generation.pk)
