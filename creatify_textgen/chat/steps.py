"""One request of a run: saved with what refers to it, then sent by whoever works on the run.

Invariant: no other process is asked to send it, so one worker is enough for a streamed run.
"""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from creatify_textgen import enqueue
from creatify_textgen.chat.runs import Step, ToolCall
from creatify_textgen.chat.turns import Turn
from creatify_textgen.intake import Intake
from creatify_textgen.models import Generation
from creatify_textgen.services import pump_stream
from creatify_textgen.services.blocking import begin_blocking, finish_blocking
from creatify_textgen.states import Mode
from creatify_textgen.streams.sessions import save_stream

__all__ = [
    "begin_step",
    "calls_of",
    "continue_conversation",
    "finish_step",
    "hand_to_worker",
    "is_pumped",
    "responses_of",
]


def hand_to_worker(run_id: uuid.UUID, *, delay_seconds: float = 0) -> None:
    """Have a worker go on with a run: one of the streams' queue if its steps are streams."""
    modes = Step.objects.filter(run=run_id).order_by("-number")
    mode = modes.values_list("generation__mode", flat=True).first()
    enqueue.run(run_id, is_streamed=mode == Mode.STREAM, delay_seconds=delay_seconds)


def begin_step(intake: Intake, *, is_streamed: bool, **options: Any) -> Generation:
    """Save a request, and return its generation, or the one that the key stands for.

    `options` are `link` and `idempotency_key`, as for `save_intent`.
    """
    save = save_stream if is_streamed else begin_blocking
    return save(intake, **options)[0]


def finish_step(generation: Generation) -> Generation:
    """Send it unless it was sent, wait, and return it as it is then. May be called twice."""
    if generation.mode != Mode.STREAM:
        return finish_blocking(generation)
    pump_stream(generation.pk)
    return generation.reloaded()


def is_pumped(run_id: uuid.UUID, *, now: datetime) -> bool:
    """Whether a process streams the run's last generation, which may outlast the run's claim."""
    steps = Step.objects.filter(run=run_id).select_related("generation")
    last = steps.order_by("-number").first()
    return last is not None and last.generation.is_pumped(now=now)


def continue_conversation(step: Step, new: Generation, *, messages_added: int) -> None:
    """Save the next step's generation as the next turn, if the run is in a conversation."""
    # Forks leave open runs out, so the first turn is the one of the run's own conversation.
    turns = Turn.objects.filter(generation_id=step.generation_id).order_by("pk")
    turn = turns.select_related("conversation").first()
    if turn is None:
        return
    Turn.objects.create(
        conversation=turn.conversation,
        number=turn.number + 1,
        generation=new,
        messages_added=messages_added,
        created_at=new.created_at,
    )
    turn.conversation.updated_at = new.created_at
    turn.conversation.save(update_fields=["updated_at"])


def calls_of(step: Step) -> list[ToolCall]:
    """Return the calls that a step's answer asks for, in their order."""
    calls = ToolCall.objects.filter(step=step).select_related("step__generation__content")
    return list(calls.order_by("position"))


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
