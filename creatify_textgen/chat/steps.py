"""One request of a run: saved with its step and turn, then sent by the process of the run.

Invariant: no other process is needed to send it, so one worker is enough for a streamed run.
"""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta
from typing import Any

from creatify_textgen import enqueue
from creatify_textgen.chat.runs import Step
from creatify_textgen.chat.turns import Turn
from creatify_textgen.conf import conf
from creatify_textgen.intake import Intake
from creatify_textgen.models import Generation
from creatify_textgen.services import pump_stream
from creatify_textgen.services.blocking import begin_blocking, finish_blocking
from creatify_textgen.states import Mode, Status
from creatify_textgen.streams.begin import save_stream
from creatify_textgen.streams.own_frames import PICKUP_LIMIT
from creatify_textgen.streams.pickup import hold_stream

__all__ = [
    "GRACE_SECONDS",
    "begin_step",
    "claim_seconds",
    "continue_conversation",
    "finish_step",
    "hand_to_worker",
    "hold_step",
    "last_generation",
]


GRACE_SECONDS = 60.0
"""How much longer a claim lasts than the work that it is for."""
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
    # A pump shows signs of life, so its run needs no long claim: see `claim_run`.
    if is_streamed:
        return GRACE_SECONDS
    return conf.timeouts["sync"] + conf.timeouts["connect"] + conf.submit_lease + GRACE_SECONDS


def begin_step(
    intake: Intake, *, is_streamed: bool, is_claimed: bool, **options: Any
) -> Generation:
    """Save a request, and return its generation, or the one that the key stands for.

    Readers of a stream wait until a process claims the run. If one has claimed it, they wait until
    another could have taken the run over. `options` are `link` and `idempotency_key`, as for
    `save_intent`.
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
    # Here and not in another worker: one worker alone would wait for itself.
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
