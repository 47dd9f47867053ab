"""What may be asked of one generation: poll now, wait, cancel, stop, delete.

Retry is in `submission`.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection
from typing import Any

from django.utils.translation import gettext as _

from creatify_textgen import clock, control, databases, lifecycle
from creatify_textgen.exceptions import TransitionError
from creatify_textgen.intake import expect_generation
from creatify_textgen.models import Generation
from creatify_textgen.recovery.waiting import ask_now, has_ended, is_answerable, until, wait_for
from creatify_textgen.states import Cause, Status
from creatify_textgen.streams import stop_here

__all__ = ["cancel", "delete", "delete_many", "refresh", "stop", "wait"]


def refresh(generation: Generation, *, user: Any = None) -> Generation:
    """Ask the remote now and return the row as it is then. The remote charges nothing for it.

    A row that is final, queued, being sent, or streamed by a living pump is returned unchanged.
    With `user`, the setting `POLICY` and the limit `refreshes_per_minute` apply to that user.

    Raises: PolicyRefusal; RemoteError if the remote did not answer, and a sweep polls it later.
    """
    expect_generation(generation)
    current = generation.reloaded()
    if not is_answerable(current):
        return current
    # After the check above: a refresh that does not ask the remote counts for no limit.
    if user is not None:
        control.admit_refresh(user, current, now=clock.now())
    return ask_now(current)


def wait(generation: Generation, *, timeout: float | None = None) -> Generation:
    """Return the row once it has ended, or as it is after `timeout` seconds.

    The default is `TIMEOUTS["sync"]`. A worker must send the generation: this only polls it when it
    is due. Check `status` afterwards: an expired generation ends the wait, too.

    Raises: RuntimeError inside a transaction, where the result could not be seen.
    """
    expect_generation(generation)
    deadline = until(timeout)
    current = generation.reloaded()
    # A row that has ended is returned inside a transaction, too: there is nothing to wait for.
    if has_ended(current):
        return current
    databases.refuse_transaction("wait")
    return wait_for(current, deadline=deadline)


def cancel(generation: Generation) -> Generation:
    """Cancel a generation that was not sent yet.

    Raises: TransitionError with code `not_cancellable` if it was sent: the remote cannot cancel.
    """
    expect_generation(generation)
    # The UPDATE decides, not the status that was read: a worker may be taking the row now.
    won = lifecycle.mark_cancelled(generation.pk, cause=Cause.OPERATOR, now=clock.now())
    fresh = generation.reloaded()
    # Cancelled by another process, or by an earlier call: what was asked for is the case.
    if not won and fresh.status != Status.CANCELLED:
        text = _("Generation %(id)s is %(status)s: only a queued one can be cancelled.")
        raise _refusal(text, fresh, code="not_cancellable")
    return fresh


def stop(generation: Generation) -> Generation:
    """End the answer now: readers of the stream receive its end, and its text stays as it is.

    The remote cannot stop and charges the whole answer, so the pump reads on to learn the cost.
    The row is then `done`, `partial` and has the `error_code` `stopped`. A queued generation is
    cancelled, and one that is final is returned as it is. May be called twice.

    Raises: TransitionError with code `not_stoppable` if it was sent and is not a stream.
    """
    expect_generation(generation)
    now = clock.now()
    # In this order: if a worker takes the row between the two statements, the second one finds a
    # stream that runs. In the other order neither would find anything.
    was_queued = lifecycle.mark_cancelled(generation.pk, cause=Cause.OPERATOR, now=now)
    if not was_queued and lifecycle.note_stop(generation.pk, now=now):
        # A pump in another process reads the stop from the row within a second.
        stop_here(generation.pk)
    fresh = generation.reloaded()
    if not fresh.is_final and fresh.stopped_at is None:
        text = _(
            "Generation %(id)s is %(status)s and cannot be stopped: only a stream can, while "
            "it runs. It will be charged, and its result will come."
        )
        raise _refusal(text, fresh, code="not_stoppable")
    return fresh


def delete(generation: Generation) -> None:
    """Delete a generation that has ended, with its content and its timeline.

    Its cost stays in the sums. Raises: TransitionError with code `not_finished` if it has not
    ended, because its result would be lost.
    """
    expect_generation(generation)
    if not lifecycle.delete_final([generation.pk]):
        text = _("Generation %(id)s has not ended: wait until it has, or cancel it.")
        raise _refusal(text, generation.reloaded(), code="not_finished")


def delete_many(generation_ids: Collection[uuid.UUID]) -> int:
    """Delete the generations that have ended, a few hundred at a time; return how many.

    Raises: ProtectedError or RestrictedError if rows of the site need one; then none is deleted.
    """
    return lifecycle.delete_final(generation_ids)


def _refusal(text: str, generation: Generation, *, code: str) -> TransitionError:
    return TransitionError(text % {"id": generation.pk, "status": generation.status}, code=code)
