"""The tool loop: request, calls, responses, next request, until there is an answer.

What can happen, in which order, and why it is still right:

1. A run is saved with its first generation, and each further step with its generation, in one
   transaction. Two processes would save the same number, and the database refuses the second.
2. A process claims a run for a time. If it dies, the sweep gives the run to another process. A
   stream may take longer: while it shows signs of life, its run stays with the process.
3. A call is a row before it is executed. `ready` becomes `running` in one UPDATE, and only the
   process whose UPDATE did that calls the function. Its result is saved by another UPDATE.
4. A process that takes a run over may find a call that is `running`: nobody knows whether the
   function ran. If it is idempotent, it is called again; otherwise the model receives an error.
5. A process that was only slow has lost its claim: its result is not saved and its next step is
   refused.
6. No sweep looks for a run that waits for a person. So the run begins to wait, and a decision wakes
   it, each in one transaction that locks the run first.

Invariant: a function that is not idempotent is called once at most for each call of the model.
"""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from django.db import IntegrityError
from django.db.models import Q

from creatify_textgen import clock, databases
from creatify_textgen.chat.calls import (
    calls_of,
    forget_responses,
    recover,
    responses_of,
    save_calls,
    save_result,
)
from creatify_textgen.chat.current import during_call
from creatify_textgen.chat.runs import OPEN, Run, Step, ToolCall
from creatify_textgen.chat.steps import (
    GRACE_SECONDS,
    begin_step,
    claim_seconds,
    continue_conversation,
    finish_step,
    hand_to_worker,
    hold_step,
    last_generation,
)
from creatify_textgen.chat.toolbox import Toolbox
from creatify_textgen.conf import conf
from creatify_textgen.exceptions import PolicyRefusal, TextgenError
from creatify_textgen.logs import RUNS
from creatify_textgen.models import Generation
from creatify_textgen.services.submission import accept_request
from creatify_textgen.signals import approval_needed, run_finished
from creatify_textgen.states import Mode, Status

__all__ = ["Claim", "claim_run", "link_first_step", "wake"]

POLL_SECONDS = 5.0
"""A run continues after this time at the earliest if its generation takes longer than a call waits,
and after `POLL_MAX_INTERVAL` at the latest."""

LONGEST_CODE = 40
"""The length of the column `Run.error_code`."""


class _LostClaimError(Exception):
    """Another process has taken the run over, or it was stopped."""


def link_first_step(run: Run) -> Any:
    """Return what saves the run with its first generation; see `save_intent`."""

    def link(generation: Generation) -> None:
        run.save(force_insert=True)
        Step.objects.create(run=run, number=1, generation=generation)

    return link


def claim_run(run_id: uuid.UUID, *, toolbox: Toolbox | None = None) -> Claim | None:
    """Claim a running run on which no process works; None if that is impossible."""
    now, claim = clock.now(), uuid.uuid4()
    last, is_free = last_generation(run_id), Q(claim=None)
    # While a pump works on the last stream, its process has the run, though the claim is over.
    if last is None or not last.is_pumped(now=now):
        is_free |= Q(due_at__lte=now)
    is_streamed = last is not None and last.mode == Mode.STREAM
    until = clock.after(now, claim_seconds(is_streamed=is_streamed))
    if last is not None:
        # First, so that the next sweep finds the run if this process dies between the two.
        hold_step(last, until=until)
    free = Run.objects.filter(is_free, pk=run_id, state=Run.State.RUNNING)
    if not free.update(claim=claim, due_at=until):
        return None
    run = Run.objects.select_related("owner").get(pk=run_id)
    return Claim(run, claim, toolbox or Toolbox.found(run.tools))


class Claim:
    """A run that this process has claimed."""

    def __init__(self, run: Run, claim: uuid.UUID, toolbox: Toolbox) -> None:
        self.run = run
        self._claim = claim
        self._toolbox = toolbox

    def go_on(self) -> None:
        """Work until the run ends, waits for approval, or has to wait for something else."""
        try:
            while self._go_one_step():
                pass
        except _LostClaimError:
            # A call that ran while the run was stopped has saved its response after that.
            if _has_ended(self.run.pk):
                forget_responses(self.run.pk)
            RUNS.info("Run %s was stopped, or another process goes on with it.", self.run.pk)

    def _go_one_step(self) -> bool:
        """Finish the last request and answer its calls. Return whether another step follows."""
        # From the rows each time, as a process that takes the run over does it.
        step = self._last_step()
        if step is None:
            self._finish(Run.State.FAILED, "content_removed")
            return False
        generation = finish_step(step.generation)
        if generation.content_removed_at is not None:
            self._finish(Run.State.FAILED, "content_removed")
        elif generation.status == Status.EXPIRED or (
            generation.is_final and generation.status != Status.DONE
        ):
            self._finish(Run.State.FAILED, generation.error_code or str(generation.status))
        elif not generation.is_final:
            self._postpone(_seconds_until(generation.due_at))
        # From here on it is done. An answer without calls is the answer to the user.
        elif not generation.content.response_function_calls:
            self._finish(Run.State.DONE)
        elif code := self._reached(step):
            self._finish(Run.State.FAILED, code)
        elif self._answer_calls(step, generation):
            return self._begin_step(step, generation)
        return False

    def _last_step(self) -> Step | None:
        steps = Step.objects.filter(run=self.run).select_related("generation__content")
        return steps.order_by("-number").first()

    def _reached(self, step: Step) -> str:
        """Return the code of the limit that forbids another step, or ""."""
        if step.number >= self.run.limit:
            return "limit_reached"
        if self.run.max_credits is None:
            return ""
        used = self.run.credits_used
        if used is None:
            # An unknown cost may be above the limit, so nothing more is spent.
            return "cost_unknown"
        return "credits_reached" if used >= self.run.max_credits else ""

    def _answer_calls(self, step: Step, generation: Generation) -> bool:
        """Execute the calls. Return whether all have a response; otherwise the run waits."""
        save_calls(step, generation, toolbox=self._toolbox)
        for call in calls_of(step):
            if call.state == ToolCall.State.RUNNING:
                recover(call, toolbox=self._toolbox)
            if call.state == ToolCall.State.READY:
                self._execute(call)
        if not ToolCall.objects.filter(step=step, state=ToolCall.State.WAITING).exists():
            return True
        self._wait_for_approval(step)
        return False

    def _execute(self, call: ToolCall) -> None:
        tool = self._toolbox.get(call.name)
        mine = ToolCall.objects.filter(pk=call.pk)
        if tool is None:  # The site was changed since the call was saved.
            response = {"error": "This function is gone."}
            mine.update(state=ToolCall.State.FAILED, response=response, finished_at=clock.now())
            return
        arguments = call.args
        # Before the call, because no process can renew the claim while the function runs.
        now = self._renew(tool.timeout + GRACE_SECONDS)
        ready = mine.filter(state=ToolCall.State.READY)
        if not ready.update(state=ToolCall.State.RUNNING, started_at=now):
            raise _LostClaimError
        # No connection is held while the function runs. Inside, a function keeps what it opens.
        databases.let_go()
        with during_call(self.run), databases.letting_go(allowed=False):
            response, is_error = tool.call(arguments)
        # If another process has taken the run over, it has decided about this call already.
        state = ToolCall.State.FAILED if is_error else ToolCall.State.DONE
        if not save_result(call, state=state, response=response, started_at=now):
            raise _LostClaimError

    def _begin_step(self, step: Step, generation: Generation) -> bool:
        """Save the next request, which `_go_one_step` sends. Return whether the run goes on."""
        content = generation.content
        responses = responses_of(step, generation)
        messages = [*content.messages, *content.answer_messages(), *responses]
        is_streamed = generation.mode == Mode.STREAM

        def link(new: Generation) -> None:
            # In the transaction that saves the step: a process without the claim saves nothing.
            self._renew(claim_seconds(is_streamed=is_streamed))
            Step.objects.create(run=self.run, number=step.number + 1, generation=new)
            continue_conversation(step, new, messages_added=len(responses))
            # From now on the responses are in the content of the new generation.
            ToolCall.objects.filter(step=step).update(response=None)

        try:
            intake = accept_request(
                **{**content.request_fields(), "messages": messages},
                model_name=generation.model_name,
                owner=self.run.owner,
                account=generation.account,
                metadata=generation.metadata,
            )
            begin_step(intake, link=link, is_streamed=is_streamed, is_claimed=True)
        except IntegrityError as error:
            if Step.objects.filter(run=self.run, number=step.number + 1).exists():
                raise _LostClaimError from error
            raise
        except TextgenError as error:
            self._refused(error)
            return False
        return True

    def _refused(self, error: TextgenError) -> None:
        """Try again later if the site allows the step then; otherwise the run has failed."""
        wait = error.retry_after if isinstance(error, PolicyRefusal) else None
        if wait is not None:
            self._postpone(wait)
        else:
            self._finish(Run.State.FAILED, error.code)

    def _wait_for_approval(self, step: Step) -> None:
        # In one transaction, because no sweep looks for a run that waits: if this process dies in
        # between, the run must still be running. `open_runs` locks the run before the call, so the
        # states are read before a decision, which then finds a run that waits, or after it.
        with databases.short_transaction():
            self._write(state=Run.State.WAITING, due_at=None, claim=None)
            states = set(ToolCall.objects.filter(step=step).values_list("state", flat=True))
            is_decided = ToolCall.State.READY in states or ToolCall.State.WAITING not in states
            if is_decided:
                wake(self.run.pk)
        if is_decided:
            hand_to_worker(self.run.pk)
        else:
            approval_needed.send_robust(sender=Run, run=self.run)

    def _postpone(self, seconds: float) -> None:
        self._write(due_at=clock.after(clock.now(), seconds), claim=None)
        hand_to_worker(self.run.pk, delay_seconds=seconds)

    def _finish(self, state: Run.State, code: str = "") -> None:
        now = clock.now()
        # A `POLICY` may have a code of any length, and a run must end nevertheless.
        code = code[:LONGEST_CODE]
        # Together: whoever finds the run ended never comes back for its responses.
        with databases.short_transaction():
            self._write(state=state, error_code=code, finished_at=now, due_at=None, claim=None)
            forget_responses(self.run.pk)
        run_finished.send_robust(sender=Run, run=self.run)

    def _renew(self, seconds: float) -> datetime:
        now = clock.now()
        self._write(due_at=clock.after(now, seconds))
        return now

    def _write(self, **fields: Any) -> None:
        mine = Run.objects.filter(pk=self.run.pk, claim=self._claim, state=Run.State.RUNNING)
        if not mine.update(**fields):
            raise _LostClaimError
        for name, value in fields.items():
            setattr(self.run, name, value)


def _has_ended(run_id: uuid.UUID) -> bool:
    return Run.objects.filter(pk=run_id).exclude(state__in=OPEN).exists()


def wake(run_id: uuid.UUID) -> bool:
    """Continue a run that waits for approval. Return whether this call did it."""
    waiting = Run.objects.filter(pk=run_id, state=Run.State.WAITING)
    return bool(waiting.update(state=Run.State.RUNNING, claim=None, due_at=clock.now()))


def _seconds_until(due_at: datetime | None) -> float:
    seconds = (due_at - clock.now()).total_seconds() if due_at else 0.0
    return min(max(seconds, POLL_SECONDS), conf.poll_max_interval)
