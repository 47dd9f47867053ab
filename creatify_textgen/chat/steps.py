"""One request of a run: saved with its step and turn, then sent by the process of the run.

Invariant: no other process is needed to send it, so one worker is enough for a streamed run.
"""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta
from typing import Any

from creatify_textgen import clock, databases, enqueue
from creatify_textgen.chat.runs import Step, ToolCall
from creatify_textgen.chat.turns import Turn
from creatify_textgen.conf import conf
from creatify_textgen.intake import Intake
from creatify_textgen.logs import RUNS, warn_of
from creatify_textgen.models import Generation
from creatify_textgen.services import pump_stream
from creatify_textgen.services.blocking import begin_blocking, finish_blocking
from creatify_textgen.states import Mode, Status
from creatify_textgen.streams.own_frames import PICKUP_LIMIT
from creatify_textgen.streams.pickup import hold_stream
from creatify_textgen.streams.sessions import save_stream

__all__ = [
    "GRACE_SECONDS",
    "begin_step",
    "calls_of",
    "claim_seconds",
    "continue_conversation",
    "finish_step",
    "hand_to_worker",
    "hold_step",
    "last_generation",
    "responses_of",
    "save_result",
]


GRACE_SECONDS = 60.0
"""How much longer a claim lasts than the work that it is for."""
RESULT_PAUSES = (0.5, 1, 2, 4)
"""Seconds between tries to save what a function returned. If it is lost, nobody knows whether the
function ran, and it may not be called again."""
TAKE_OVER_WITHIN = timedelta(seconds=120)
"""How long readers of a stream wait for another process after the end of a claim. A sweep, which
beat alone requests each minute, gives the run to another process."""


def hand_to_worker(run_id: uuid.UUID, *, delay_seconds: float = 0) -> None:
    """Give a run to a worker; to a worker of the streams' queue if its steps are streams."""
    modes = Step.objects.filter(run=run_id).order_by("-number")
    mode = modes.values_list("generation__mode", flat=True).first()
    enqueue.run(run_id, is_streamed=mode == Mode.STREAM, delay_seconds=delay_seconds)


def claim_seconds(*, is_streamed: bool) -> float:
    """How long a claim lasts during a request: as long as the request may take, and some grace.

    For a stream only until a pump reads it: see `is_pumped`.
    """
    if is_streamed:
        return GRACE_SECONDS
    return conf.timeouts["sync"] + conf.timeouts["connect"] + conf.submit_lease + GRACE_SECONDS


def begin_step(
    intake: Intake, *, is_streamed: bool, is_claimed: bool, **options: Any
) -> Generation:
    """Save a request, and return its generation, or the one that the key stands for.

    Readers of a stream wait for a process that claims the run, or until the one that has claimed it
    could be followed by another. `options` are `link` and `idempotency_key`, as for `save_intent`.
    """
    if not is_streamed:
        return begin_blocking(intake, **options)[0]
    until_handed = timedelta(seconds=claim_seconds(is_streamed=True)) + TAKE_OVER_WITHIN
    limit = until_handed if is_claimed else PICKUP_LIMIT
    return save_stream(intake, pickup_limit=limit, **options)[0]


def hold_step(generation: Generation, *, until: datetime) -> None:
    """Let readers and sweeps wait until then for the process of the run, or for the next one."""
    if generation.mode == Mode.STREAM and generation.status == Status.QUEUED:
        hold_stream(generation.pk, until=until + TAKE_OVER_WITHIN)


def finish_step(generation: Generation) -> Generation:
    """Send it unless it was sent, wait, and return it as it is then. May be called twice."""
    if generation.mode != Mode.STREAM:
        return finish_blocking(generation)
    pump_stream(generation.pk)
    return generation.reloaded()


def last_generation(run_id: uuid.UUID) -> Generation | None:
    """Return the generation of the last step, without its content; None if it was deleted.

    If it `is_pumped`, the process that does so keeps the run, also after the end of its claim.
    """
    steps = Step.objects.filter(run=run_id).select_related("generation")
    last = steps.order_by("-number").first()
    return last.generation if last else None


def continue_conversation(step: Step, new: Generation, *, messages_added: int) -> None:
    """Save the next step's generation as the next turn, if the run is in a conversation."""
    # A fork has no open runs, so the first turn is in the run's own conversation.
    turns = Turn.objects.filter(generation_id=step.generation_id).order_by("pk")
    turn = turns.select_related("conversation").first()
    if turn is None:
        return
    turn.conversation.write(updated_at=new.created_at)
    Turn.objects.create(
        conversation=turn.conversation,
        number=turn.number + 1,
        generation=new,
        messages_added=messages_added,
        created_at=new.created_at,
    )


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
        response = {"name": call.name, "response": call.response or {}}
        if identifier := asked[call.position].get("id"):
            response["id"] = identifier
        messages.append({"role": "user", "function_response": response})
    return messages
