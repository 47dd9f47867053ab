"""What a reader of a run is shown: its steps, its calls with their results, and its end.

A result is on the row of its call, and from the next request on in the messages of that: one read
may find it in neither, and the next read finds it. Nothing is written here. Invariant: the state is
read first, so a run that has ended is shown with all of its steps.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection
from decimal import Decimal
from typing import Any, NamedTuple

from creatify_textgen.chat.runs import Run, Step, ToolCall
from creatify_textgen.models import GenerationContent

__all__ = ["CallProgress", "Progress", "read_progress"]


class CallProgress(NamedTuple):
    id: uuid.UUID
    step: int
    position: int
    name: str
    state: str
    response: dict[str, Any] | None
    """What the model receives; None while it is unknown."""


class Progress(NamedTuple):
    state: str
    error_code: str
    credits_used: Decimal | None
    generations: list[uuid.UUID]
    """Those of the steps, in their order."""
    calls: list[CallProgress]


def read_progress(run_id: uuid.UUID, *, without: Collection[uuid.UUID] = ()) -> Progress:
    """Return a run as it is now; `without` are calls whose result is known already.

    Raises: Run.DoesNotExist.
    """
    run = Run.objects.get(pk=run_id)
    steps = {step.number: step for step in Step.objects.filter(run=run).order_by("number")}
    found = ToolCall.objects.filter(step__in=steps.values()).exclude(pk__in=without)
    calls = list(found.order_by("step__number", "position").select_related("step"))
    sent = _sent_responses(steps, {call.step.number for call in calls if call.response is None})
    return Progress(
        state=run.state,
        error_code=run.error_code,
        credits_used=run.credits_used,
        generations=[step.generation_id for step in steps.values()],
        calls=[
            CallProgress(
                call.pk,
                number := call.step.number,
                call.position,
                call.name,
                call.state,
                call.response or sent.get(number, {}).get(call.position),
            )
            for call in calls
        ],
    )


def _sent_responses(
    steps: dict[int, Step], numbers: Collection[int]
) -> dict[int, dict[int, dict[str, Any]]]:
    """Return what the next requests have of these steps' calls, by step and position."""
    following = {steps[n + 1].generation_id: n for n in numbers if n + 1 in steps}
    contents = GenerationContent.objects.filter(generation__in=following)
    sent: dict[int, dict[int, dict[str, Any]]] = {}
    for generation_id, messages in contents.values_list("generation_id", "messages"):
        responses: list[dict[str, Any]] = []
        for message in reversed(messages or []):
            if "function_response" not in message:
                break
            responses.insert(0, message["function_response"]["response"])
        sent[following[generation_id]] = dict(enumerate(responses))
    return sent
