"""What a reader of a run is shown: its steps, the calls of one of them, and its end.

A result is on the row of its call until the next request is saved, then in the messages of this
request. One read may find it in neither; the next read finds it. Nothing is written here.
Invariant: the state is read first, so a run that has ended is shown with all of its steps.
"""

from __future__ import annotations

import uuid
from decimal import Decimal
from typing import Any, NamedTuple

from creatify_textgen.chat.runs import Run, Step, ToolCall
from creatify_textgen.models import GenerationContent

__all__ = ["CallProgress", "Progress", "read_progress"]


class CallProgress(NamedTuple):
    id: uuid.UUID
    position: int
    name: str
    state: str
    response: dict[str, Any] | None
    """The response that the model receives; None while it is unknown."""


class Progress(NamedTuple):
    state: str
    error_code: str
    credits_used: Decimal | None
    """None also while the run goes on, because it is not read then."""
    generations: list[uuid.UUID]
    """Those of the steps, in their order."""
    calls: list[CallProgress]


def read_progress(run_id: uuid.UUID, *, calls_of: uuid.UUID | None) -> Progress:
    """Return a run as it is now, with the calls of the step that has this generation.

    Raises: Run.DoesNotExist.
    """
    run = Run.objects.get(pk=run_id)
    steps = Step.objects.filter(run=run).order_by("number")
    generations = list(steps.values_list("generation_id", flat=True))
    return Progress(
        state=run.state,
        error_code=run.error_code,
        # Readers poll a running run; its cost is one query more, and would change with each step.
        credits_used=None if run.state == Run.State.RUNNING else run.credits_used,
        generations=generations,
        calls=_calls(calls_of, generations) if calls_of in generations else [],
    )


def _calls(generation_id: uuid.UUID, generations: list[uuid.UUID]) -> list[CallProgress]:
    found = ToolCall.objects.filter(step__generation=generation_id)
    calls = list(found.order_by("position"))
    # The next request has the responses at its end, in the order of the calls.
    following = generations[generations.index(generation_id) + 1 :]
    sent: dict[int, dict[str, Any]] = {}
    if following and any(call.response is None for call in calls):
        sent = _sent_responses(following[0])
    return [
        CallProgress(
            call.pk,
            call.position,
            call.name,
            call.state,
            sent.get(call.position) if call.response is None else call.response,
        )
        for call in calls
    ]


def _sent_responses(generation_id: uuid.UUID) -> dict[int, dict[str, Any]]:
    """Return the responses in a request to the calls of the previous step, by position."""
    contents = GenerationContent.objects.filter(generation=generation_id)
    responses: list[dict[str, Any]] = []
    for message in reversed(contents.values_list("messages", flat=True).first() or []):
        # An earlier step's responses come before the model's message, which ends the search.
        if "function_response" not in message:
            break
        responses.insert(0, message["function_response"]["response"])
    return dict(enumerate(responses))
