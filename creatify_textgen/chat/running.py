"""The verbs that start a run: in this process, or in a worker.

Invariant: a run is saved with its first generation, or neither is.
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
from creatify_textgen.chat.loop import Claim, link_first_step
from creatify_textgen.chat.open_runs import TAKEN_WITHIN, reloaded, resume
from creatify_textgen.chat.runs import Run
from creatify_textgen.chat.settings import refuse_unstored
from creatify_textgen.chat.steps import begin_step, claim_seconds, hand_to_worker
from creatify_textgen.chat.toolbox import Toolbox
from creatify_textgen.exceptions import RequestError
from creatify_textgen.intake import Intake, expect_row
from creatify_textgen.models import Generation, uuid7
from creatify_textgen.services.asynchronous import closing_connections
from creatify_textgen.services.submission import accept_request
from creatify_textgen.streams.own_frames import PICKUP_LIMIT

__all__ = ["arun", "asubmit_run", "run", "submit_run"]

MOST_STEPS = 1000
MOST_CREDITS = 10**10
"""Beyond the largest number of the column `Run.max_credits`."""


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
    return reloaded(begun)


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


# For minutes, so not in the one thread that Django shares between coroutines.
run_apart = sync_to_async(closing_connections(run), thread_sensitive=False)


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
    # If the key was used before, `first` belongs to an earlier run, or to none.
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
    # Without a claim it waits for a worker; with a stream only as long as the readers wait.
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
    # By its type, because True is an int, too.
    if type(limit) is not int or not 0 < limit <= MOST_STEPS:
        rule = f"Must be a number of requests from 1 to {MOST_STEPS}."
        raise RequestError.about("limit", rule)
    # To compare NaN would raise InvalidOperation.
    is_number = isinstance(max_credits, Decimal) and max_credits.is_finite()
    if max_credits is not None and not (is_number and 0 <= max_credits < MOST_CREDITS):
        rule = f"Must be a Decimal from 0 to below {MOST_CREDITS}, or None."
        raise RequestError.about("max_credits", rule)
