"""The calls that an answer asks for: their rows, and the messages that answer them.

Invariant: a call is a row before its function is called, and each call has one row
(`textgen_call_position`).
"""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from creatify_textgen import clock, databases
from creatify_textgen.chat.runs import Step, ToolCall
from creatify_textgen.chat.toolbox import Toolbox
from creatify_textgen.logs import RUNS, warn_of
from creatify_textgen.models import Generation

__all__ = ["calls_of", "forget_responses", "recover", "responses_of", "save_calls", "save_result"]

UNKNOWN = "The process died during the call. Nobody knows whether the function ran."
LONGEST_NAME = 128
RESULT_PAUSES = (0.5, 1, 2, 4)
"""Seconds between tries to save what a function returned. If it is lost, nobody knows whether the
function ran, and it may not be called again."""


def save_calls(step: Step, generation: Generation, *, toolbox: Toolbox) -> None:
    """Save a row for each call of this answer. May be called again."""
    if ToolCall.objects.filter(step=step).exists():
        return
    calls = generation.content.response_function_calls
    rows = [
        _new_call(step, position, str(call["name"]), toolbox=toolbox)
        for position, call in enumerate(calls)
    ]
    # A process that has lost its claim may save the same rows at this moment.
    ToolCall.objects.bulk_create(rows, ignore_conflicts=True)


def _new_call(step: Step, position: int, name: str, *, toolbox: Toolbox) -> ToolCall:
    # A model may invent a name of any length. None that is cut here is the name of a function, so
    # the next request, which has the whole name, is refused, and the run fails.
    call = ToolCall(step=step, position=position, name=name[:LONGEST_NAME])
    tool = toolbox.get(name)
    if tool is None:
        call.state, call.response = ToolCall.State.FAILED, {"error": "No such function."}
    elif tool.needs_approval:
        call.state = ToolCall.State.WAITING
    return call


def recover(call: ToolCall, *, toolbox: Toolbox) -> None:
    """Decide about a call that another process began and did not finish; set the object's state."""
    tool = toolbox.get(call.name)
    # Still `running` in the condition: the other process may only be slow, and its result holds.
    running = ToolCall.objects.filter(pk=call.pk, state=ToolCall.State.RUNNING)
    if tool is not None and tool.idempotent:
        running.update(state=ToolCall.State.READY)
        call.state = ToolCall.State.READY
    else:
        response = {"error": UNKNOWN}
        running.update(state=ToolCall.State.LOST, response=response, finished_at=clock.now())
        call.state = ToolCall.State.LOST


def calls_of(step: Step) -> list[ToolCall]:
    """Return the calls that a step's answer asks for, in their order."""
    calls = ToolCall.objects.filter(step=step).select_related("step__generation__content")
    return list(calls.order_by("position"))


def save_result(
    call: ToolCall, *, state: ToolCall.State, response: dict[str, Any], started_at: datetime
) -> bool:
    """Save what a function returned; False if another process has taken the call over.

    A database that fails over is waited for.
    """
    # Also what is saved already: the answer to the first UPDATE may have been lost.
    states = (ToolCall.State.RUNNING, state)
    mine = ToolCall.objects.filter(pk=call.pk, state__in=states, started_at=started_at)

    def save() -> bool:
        return bool(mine.update(state=state, response=response, finished_at=clock.now()))

    def warn(error: BaseException) -> None:
        name = type(error).__name__
        text = "The result of %s waits for the database (%s)."
        warn_of(("result waits", name), RUNS, text, call.name, name)

    return databases.patiently(save, pauses=RESULT_PAUSES, waits=warn)


def responses_of(step: Step, generation: Generation) -> list[dict[str, Any]]:
    """Return the messages that answer these calls."""
    asked = generation.content.response_function_calls
    messages = []
    for call in calls_of(step):
        # Empty if the run has ended meanwhile: then the request is refused when it is saved.
        response = {"name": call.name, "response": call.response or {}}
        if identifier := asked[call.position].get("id"):
            response["id"] = identifier
        messages.append({"role": "user", "function_response": response})
    return messages


def forget_responses(run_id: uuid.UUID) -> None:
    """Delete responses that the model will never receive, because the run has ended."""
    ToolCall.objects.filter(step__in=Step.objects.filter(run=run_id)).update(response=None)
