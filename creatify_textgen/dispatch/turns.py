"""Whether a queued row may be sent now, and what it waits for if not.

Invariant: a row waits unsent for at most `EXPIRE_AFTER` seconds. Then it fails and costs nothing.
"""

from __future__ import annotations

import uuid
from datetime import datetime

from django.db.models import Exists, OuterRef, QuerySet

from creatify_textgen import clock, control, lifecycle
from creatify_textgen.conf import conf
from creatify_textgen.dispatch import circuit
from creatify_textgen.dispatch.balance import pause_if_low
from creatify_textgen.dispatch.sending import Send, prepare_send
from creatify_textgen.dispatch.unaccepted import fail_send, is_out_of_time
from creatify_textgen.exceptions import RemoteUnavailableError
from creatify_textgen.models import Generation
from creatify_textgen.states import Cause, Mode

__all__ = ["begin_send", "call_off_stream", "with_obstacles"]

PAUSED = "Sending was paused for as long as this site waits; nothing was sent."
NOT_TAKEN_UP = "not_taken_up"
NO_PUMP = "No worker started the stream in time; nothing was sent."
AWAY_CODE = RemoteUnavailableError.code
AWAY = "Creatify was not reached for as long as this site waits; nothing was sent."


def with_obstacles(rows: QuerySet[Generation], *, now: datetime) -> QuerySet[Generation]:
    """Add to each row whether a pause or an outage may hold it.

    If there is none, `begin_send` and `settle_send` save three statements.
    """
    pauses = control.pauses_of([OuterRef("account")], now=now)
    held = Exists(pauses.order_by()) | Exists(circuit.failing_circuits(OuterRef("account")))
    return rows.annotate(**{circuit.MAY_BE_HELD: held})


def begin_send(generation: Generation) -> Send | None:
    """Take the lease of a queued row, unless its account is paused or its remote is down.

    Returns None if nothing is to be sent now. The row is then due again, or final.
    """
    now = clock.now()
    if generation.unverified_remote_id:
        # A delivery has named this queued row, so an earlier send may have been accepted.
        lifecycle.mark_named(generation, now=now)
        return None
    if generation.mode == Mode.STREAM:
        # Only a pump sends a stream. It is due here because none began it while its readers waited.
        call_off_stream(generation.pk, now=now)
        return None
    is_held = circuit.may_be_held(generation)
    pause = control.find_pause(generation.account, now=now) if is_held else None
    if pause is None and pause_if_low(generation.account, now=now):
        pause = control.find_pause(generation.account, now=now)
    if pause is not None:
        again = clock.after(now, conf.poll_max_interval)
        until = min(again, pause.until or again)
        _wait_unsent(generation, until=until, code=pause.code, reason=PAUSED, now=now)
        return None
    # After the pause: a paused account must not use up the one test that an open circuit allows.
    if is_held and circuit.calls_allowed(generation.account, now=now) == 0:
        until = circuit.try_again_at(circuit.open_until(generation.account), now=now)
        _wait_unsent(generation, until=until, code=AWAY_CODE, reason=AWAY, now=now)
        return None
    return prepare_send(generation)


def call_off_stream(generation_id: uuid.UUID, *, now: datetime) -> bool:
    """Cancel a queued stream that no process began in time. False if a process began it."""
    return lifecycle.mark_cancelled(
        generation_id, cause=Cause.SWEEP, now=now, code=NOT_TAKEN_UP, detail=NO_PUMP
    )


def _wait_unsent(
    generation: Generation, *, until: datetime, code: str, reason: str, now: datetime
) -> None:
    """Leave a queued row for later, or fail it if it has waited for `EXPIRE_AFTER`."""
    if not is_out_of_time(generation, now=now):
        lifecycle.make_due(generation.pk, at=until)
    # By way of `submitting`, because a queued row can only be sent or cancelled. The lease has no
    # length, and nothing is sent.
    elif lifecycle.mark_submitting(generation, now=now, lease_seconds=0):
        fail_send(generation, code=code, reason=reason, now=now)
