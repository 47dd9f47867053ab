"""The verbs of runs that have begun: continue one, approve its calls, stop it.

Invariant: a run that is saved goes on until it has ended or waits for a person.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db.models import F
from django.utils.translation import gettext as _

from creatify_textgen import clock, databases
from creatify_textgen.chat.calls import forget_responses
from creatify_textgen.chat.loop import claim_run, wake
from creatify_textgen.chat.runs import OPEN, Run, RunQuerySet, ToolCall
from creatify_textgen.chat.steps import (
    claim_seconds,
    hand_to_worker,
    hold_step,
    last_generation,
)
from creatify_textgen.chat.toolbox import Toolbox
from creatify_textgen.exceptions import TransitionError
from creatify_textgen.intake import expect_row
from creatify_textgen.logs import RUNS
from creatify_textgen.signals import run_finished
from creatify_textgen.states import Status

__all__ = [
    "TAKEN_WITHIN",
    "approve",
    "go_on",
    "reject",
    "reloaded",
    "resume",
    "stop_run",
    "sweep_runs",
]

RUNS_PER_SWEEP = 100
TAKEN_WITHIN = timedelta(seconds=60)
"""After this time, the next sweep publishes a run again that no worker has taken."""
LOST = (Status.FAILED, Status.CANCELLED)
"""If the last generation has one of these statuses, the run ends."""


def resume(run: Run, *, tools: Sequence[Any] | None = None) -> Run:
    """Continue a run in this process, unless another does; return it as it is then.

    `tools` are needed if its functions cannot be imported. Raises: RuntimeError inside a
    transaction.
    """
    expect_row(run, Run)
    databases.refuse_transaction("resume")
    claim = claim_run(run.pk, toolbox=None if tools is None else Toolbox.of(tools))
    if claim is not None:
        claim.go_on()
    return reloaded(run)


def go_on(run_id: uuid.UUID) -> None:
    """Continue a run, unless another process does; a worker's task. May be called twice.

    Raises: RuntimeError inside a transaction: after a rollback, functions would be called again.
    """
    databases.refuse_transaction_of_worker("go_on")
    claim = claim_run(run_id)
    if claim is not None:
        claim.go_on()


def sweep_runs(*, here: bool = False) -> int:
    """Give each run that is due to a worker, or to this process; return their number.

    An error of one run is logged, and the others go on. Raises: an outage of the database.
    """
    now = clock.now()
    due = Run.objects.filter(state=Run.State.RUNNING, due_at__lte=now).order_by("due_at")
    claims = dict(due.values_list("pk", "claim")[:RUNS_PER_SWEEP])
    for run_id, claim in claims.items():
        try:
            _sweep_run(run_id, claim, due=due, now=now, here=here)
        except Exception as error:
            if databases.is_outage(error):
                raise
            # Such as a module of a host that cannot be imported. The run is due again when its
            # claim ends.
            RUNS.error(
                "Run %s was left for later (%s); the others go on.",
                run_id,
                type(error).__name__,
                exc_info=databases.loggable(error),
            )
    return len(claims)


def _sweep_run(
    run_id: uuid.UUID, claim: uuid.UUID | None, *, due: RunQuerySet, now: datetime, here: bool
) -> None:
    last = last_generation(run_id)
    if last is not None and last.is_pumped(now=now):
        # Its claim stays: the process that streams it needs the claim.
        until = clock.after(now, claim_seconds(is_streamed=True))
        due.filter(pk=run_id).update(due_at=until)
    # Without `here` only the loss has to be saved, which takes no time.
    elif here or last is None or last.status in LOST:
        go_on(run_id)
    else:
        if claim is not None:
            # Its process has died. If none ever began it, its readers have waited long enough.
            hold_step(last, until=now + TAKEN_WITHIN)
        # `due` again: another sweep, or the process of the run, may have been faster.
        if due.filter(pk=run_id).update(claim=None, due_at=now + TAKEN_WITHIN):
            hand_to_worker(run_id)


def approve(call: ToolCall, *, by: Any = None) -> ToolCall:
    """Approve a call that waits. A worker executes it and continues its run.

    Raises: TransitionError with code `not_waiting` if the call was decided, or its run has ended.
    """
    return _decide(call, by=by, state=ToolCall.State.READY)


def reject(call: ToolCall, *, reason: str = "", by: Any = None) -> ToolCall:
    """Refuse a call that waits; the model receives the reason. Raises: as `approve`."""
    response = {"error": f"A person refused this call. {reason}".strip()}
    return _decide(
        call, by=by, state=ToolCall.State.REJECTED, response=response, finished_at=clock.now()
    )


def stop_run(run: Run) -> Run:
    """End a run before its next step or call. A step that was sent ends, and is paid for.

    Raises: TransitionError with code `has_ended`.
    """
    expect_row(run, Run)
    # The claim goes with the state, so the process of the run can begin no other call or step.
    open_run = Run.objects.filter(pk=run.pk, state__in=OPEN)
    now = clock.now()
    with databases.short_transaction():
        if not open_run.update(state=Run.State.STOPPED, due_at=None, claim=None, finished_at=now):
            raise TransitionError(_("Run %(id)s has ended.") % {"id": run.pk}, code="has_ended")
        forget_responses(run.pk)
    stopped = reloaded(run)
    run_finished.send_robust(sender=Run, run=stopped)
    return stopped


def _decide(call: ToolCall, *, by: Any, **fields: Any) -> ToolCall:
    expect_row(call, ToolCall)
    # The run may end between this read and the UPDATE. Then nothing executes the call.
    run_id = Run.objects.values_list("pk", flat=True).get(steps__calls=call)
    # No joins: MariaDB would read first, and two decisions could both be the first.
    open_run = Run.objects.filter(pk=run_id, state__in=OPEN)
    waiting = ToolCall.objects.filter(pk=call.pk, state=ToolCall.State.WAITING)
    # In one transaction, because no sweep looks for a run that waits. The first UPDATE changes
    # nothing and locks the run: see `Claim._wait_for_approval`.
    with databases.short_transaction():
        if not open_run.update(limit=F("limit")) or not waiting.update(decided_by=by, **fields):
            text = _("Call %(id)s does not wait for approval.") % {"id": call.pk}
            raise TransitionError(text, code="not_waiting")
        is_awake = wake(run_id)
    if is_awake:
        hand_to_worker(run_id)
    call.refresh_from_db()
    return call


def reloaded(run: Run) -> Run:
    return Run.objects.select_related("owner").get(pk=run.pk)
