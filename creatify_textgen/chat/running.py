"""The verbs of runs: start one, approve its calls, go on with it, stop it.

Invariant: a run that is saved goes on until it has ended or waits for a person.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from decimal import Decimal
from functools import partial
from typing import Any, TypedDict, Unpack

from asgiref.sync import sync_to_async
from django.utils.translation import gettext as _

from creatify_textgen import clock, databases
from creatify_textgen.chat.addition import Addition
from creatify_textgen.chat.conversations import Conversation
from creatify_textgen.chat.loop import Claim, claim_run, forget_responses, link_first_step, wake
from creatify_textgen.chat.runs import Run, ToolCall
from creatify_textgen.chat.settings import refuse_unstored
from creatify_textgen.chat.steps import (
    begin_step,
    claim_seconds,
    hand_to_worker,
    hold_step,
    last_generation,
)
from creatify_textgen.chat.toolbox import Toolbox
from creatify_textgen.exceptions import RequestError, TransitionError
from creatify_textgen.intake import Intake, expect_row
from creatify_textgen.models import Generation, uuid7
from creatify_textgen.services.asynchronous import closing_connections
from creatify_textgen.services.submission import accept_request
from creatify_textgen.signals import run_finished
from creatify_textgen.states import Status
from creatify_textgen.streams.own_frames import PICKUP_LIMIT

__all__ = [
    "approve",
    "arun",
    "asubmit_run",
    "go_on",
    "reject",
    "resume",
    "run",
    "stop_run",
    "submit_run",
    "sweep_runs",
]

MOST_STEPS = 1000
RUNS_PER_SWEEP = 100
TAKEN_WITHIN = timedelta(seconds=60)
"""After this time, the next sweep publishes a run again that no worker has taken."""
LOST = (Status.FAILED, Status.CANCELLED)
"""If the last generation has one of these statuses, the run ends."""


class RunOptions(TypedDict, total=False):
    """What may be given beside messages and tools."""

    limit: int
    max_credits: Decimal | None
    model_name: str | None
    system_instruction: str
    config: Mapping[str, Any] | None
    tool_config: Mapping[str, Any] | None
    schema: Any
    owner: Any
    account: str
    metadata: Mapping[str, Any] | None
    conversation: Conversation | None
    stream: bool
    idempotency_key: str | None


def run(messages: Any, *, tools: Sequence[Any], **options: Unpack[RunOptions]) -> Run:
    """Let a model call functions until it answers; return the run as it is then.

    `messages` is as for `submit`; `tools` are functions with hints, which `tool` may mark. `limit`
    is the most requests (10), `max_credits` what they may cost before the last of them. What a
    function raises is sent to the model. A run that failed is returned, too: look at `state` and
    `error_code`. One that waits for `approve`, or for Creatify, goes on later by itself.

    With a `conversation`, each request is its next turn, and its settings hold; see
    `Conversation.say`. With `stream`, readers can attach to each generation meanwhile.

    Raises: RequestError, and then nothing was saved or sent; TransitionError with code
    `conversation_busy`; RuntimeError inside a transaction.
    """
    databases.refuse_transaction("run")
    toolbox, claim = Toolbox.of(tools), uuid.uuid4()
    begun = _begin(messages, toolbox, claim=claim, **options)
    if begun.claim != claim:  # The key stands for an earlier run.
        return resume(begun, tools=tools)
    Claim(begun, claim, toolbox).go_on()
    return _reloaded(begun)


def submit_run(messages: Any, *, tools: Sequence[Any], **options: Unpack[RunOptions]) -> Run:
    """As `run`, but return at once: a worker does it, and `run_finished` is sent at its end.

    The functions must be importable by the worker. Raises: RequestError; then nothing was saved.
    """
    toolbox = Toolbox.of(tools)
    toolbox.refuse_unreachable()
    begun = _begin(messages, toolbox, claim=None, **options)
    hand_to_worker(begun.pk)
    return begun


async def arun(messages: Any, *, tools: Sequence[Any], **options: Unpack[RunOptions]) -> Run:
    """As `run`, for a coroutine; it works in a separate thread."""
    return await run_apart(messages, tools=tools, **options)


async def asubmit_run(messages: Any, *, tools: Sequence[Any], **options: Unpack[RunOptions]) -> Run:
    """As `submit_run`, for a coroutine."""
    return await sync_to_async(submit_run)(messages, tools=tools, **options)


run_apart = sync_to_async(closing_connections(run), thread_sensitive=False)


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
    return _reloaded(run)


def go_on(run_id: uuid.UUID) -> None:
    """Continue a run, unless another process does; a worker's task. May be called twice.

    Raises: RuntimeError inside a transaction: after a rollback, functions would be called again.
    """
    databases.refuse_transaction_of_worker("go_on")
    claim = claim_run(run_id)
    if claim is not None:
        claim.go_on()


def sweep_runs(*, here: bool = False) -> int:
    """Give each run that is due to a worker, or to this process; return their number."""
    now = clock.now()
    due = Run.objects.filter(state=Run.State.RUNNING, due_at__lte=now).order_by("due_at")
    claims = dict(due.values_list("pk", "claim")[:RUNS_PER_SWEEP])
    for run_id, claim in claims.items():
        last = last_generation(run_id)
        if last is not None and last.is_pumped(now=now):
            # Its claim stays: the process that streams it needs the claim.
            until = clock.after(now, claim_seconds(is_streamed=True))
            due.filter(pk=run_id).update(due_at=until)
        elif here or last is None or last.status in LOST:
            go_on(run_id)  # Only the loss has to be saved.
        else:
            if claim is not None:
                # Its process has died. If none ever began it, its readers have waited long enough.
                hold_step(last, until=now + TAKEN_WITHIN)
            if due.filter(pk=run_id).update(claim=None, due_at=now + TAKEN_WITHIN):
                hand_to_worker(run_id)
    return len(claims)


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
    open_run = Run.objects.filter(pk=run.pk, state__in=(Run.State.RUNNING, Run.State.WAITING))
    now = clock.now()
    with databases.short_transaction():
        if not open_run.update(state=Run.State.STOPPED, due_at=None, claim=None, finished_at=now):
            raise TransitionError(_("Run %(id)s has ended.") % {"id": run.pk}, code="has_ended")
        forget_responses(run.pk)
    stopped = _reloaded(run)
    run_finished.send_robust(sender=Run, run=stopped)
    return stopped


def _begin(
    messages: Any,
    toolbox: Toolbox,
    *,
    claim: uuid.UUID | None,
    limit: int = 10,
    max_credits: Decimal | None = None,
    conversation: Conversation | None = None,
    stream: bool = False,
    idempotency_key: str | None = None,
    **request: Any,
) -> Run:
    """Save a run and its first generation, or find the run of the key. Raises: RequestError."""
    refuse_unstored()
    _check_limits(limit, max_credits)
    new = Run(pk=uuid7(), limit=limit, max_credits=max_credits, tools=toolbox.paths, claim=claim)
    begin = partial(_save, new, is_streamed=stream)
    if conversation is None:
        intake = accept_request(messages, tools=toolbox.declarations, **request)
        first = begin(intake, idempotency_key=idempotency_key)
    else:
        expect_row(conversation, Conversation)
        first = Addition.read(
            conversation,
            messages,
            key=idempotency_key,
            options=request,
            tools=toolbox.declarations,
        ).send(begin)
    begun = Run.objects.select_related("owner").filter(steps__generation=first).first()
    if begun is None:
        text = _("This Idempotency-Key was used for a generation without a run: use a new key.")
        raise RequestError(text, code="idempotency_conflict")
    return begun


def _save(
    run: Run,
    intake: Intake,
    *,
    is_streamed: bool,
    link: Callable[[Generation], object] | None = None,
    **options: Any,
) -> Generation:
    """Save the run with its first generation, and with what `link` saves."""
    now = clock.now()
    run.owner, run.metadata, run.created_at = intake.owner, intake.metadata, now
    lasting = timedelta(seconds=claim_seconds(is_streamed=is_streamed))
    unclaimed = PICKUP_LIMIT if is_streamed else TAKEN_WITHIN
    run.due_at = now + (lasting if run.claim else unclaimed)
    link_run = link_first_step(run)

    def link_both(generation: Generation) -> None:
        link_run(generation)
        if link is not None:
            link(generation)

    return begin_step(
        intake, link=link_both, is_streamed=is_streamed, is_claimed=run.claim is not None, **options
    )


def _check_limits(limit: Any, max_credits: Any) -> None:
    if type(limit) is not int or not 0 < limit <= MOST_STEPS:
        rule = f"Must be a number of requests from 1 to {MOST_STEPS}."
        raise RequestError.about("limit", rule)
    is_amount = isinstance(max_credits, Decimal) and max_credits.is_finite() and max_credits >= 0
    if max_credits is not None and not is_amount:
        rule = "Must be a Decimal of at least 0, or None."
        raise RequestError.about("max_credits", rule)


def _decide(call: ToolCall, *, by: Any, **fields: Any) -> ToolCall:
    expect_row(call, ToolCall)
    run = Run.objects.get(steps__calls=call)
    # No join: MariaDB would read first, and two decisions could both be the first.
    waiting = ToolCall.objects.filter(pk=call.pk, state=ToolCall.State.WAITING)
    if run.has_ended or not waiting.update(decided_by=by, **fields):
        text = _("Call %(id)s does not wait for approval.") % {"id": call.pk}
        raise TransitionError(text, code="not_waiting")
    if wake(run.pk):
        hand_to_worker(run.pk)
    call.refresh_from_db()
    return call


def _reloaded(run: Run) -> Run:
    return Run.objects.select_related("owner").get(pk=run.pk)
