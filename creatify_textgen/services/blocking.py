"""Generates and waits: one request with the remote's `sync: true`, under our deadline.

Invariant: at most one request is accepted. If the wait runs out, the row stays, and the sweep
finishes it.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Unpack

from creatify_textgen import clock, databases, gateway, lifecycle
from creatify_textgen.dispatch.intents import Link, accept_request, save_intent
from creatify_textgen.intake import Intake
from creatify_textgen.models import Generation
from creatify_textgen.recovery.waiting import ask_again, send_within, until, wait_while_due
from creatify_textgen.states import Mode
from creatify_textgen.types import Messages, RequestOptions

__all__ = ["generate"]


def generate(
    messages: Messages,
    *,
    timeout: float | None = None,
    idempotency_key: str | None = None,
    **options: Unpack[RequestOptions],
) -> Generation:
    """Generate and return the finished row, or one that is not final if the wait ran out.

    `timeout` is in seconds, by default `TIMEOUTS["sync"]`. The other arguments are those of
    `submit`. A generation that failed is also returned: see its `status` and `error_code`.
    If the idempotency key already belongs to a generation, this waits for that one.

    Raises: RequestError, and then nothing was saved or sent; RuntimeError inside a transaction,
    because a rollback would lose what was paid for.
    """
    databases.refuse_transaction("generate")
    return generate_intake(
        accept_request(messages, **options), timeout=timeout, idempotency_key=idempotency_key
    )


def generate_intake(
    intake: Intake,
    *,
    timeout: float | None = None,
    idempotency_key: str | None = None,
    link: Link | None = None,
) -> Generation:
    """Do the same for a request that was accepted; `link` as for `save_intent`."""
    # First, because it refuses a wrong timeout, and then nothing must be saved.
    deadline = until(timeout)
    generation, is_new = begin_blocking(intake, idempotency_key=idempotency_key, link=link)
    # Before the send: content that is not stored is handed over while the row is finished.
    with lifecycle.awaiting(generation.pk) as result:
        # A row that is not new is sent by the process that saved it. Here it is only waited for.
        if is_new:
            send_within(generation, deadline=deadline)
        generation = wait_while_due(generation, deadline=deadline)
        if generation.is_final and not generation.keeps_content:
            # The caller alone gets the content, which is stored nowhere.
            generation.content = result() or ask_again(generation, intake)
    return generation


def begin_blocking(
    intake: Intake, *, idempotency_key: str | None = None, link: Link | None = None
) -> tuple[Generation, bool]:
    """Save it, and return whether it is new. Without `finish_blocking` a sweep sends it."""
    now = clock.now()
    # This process sends the row. A sweep may take it over only once this send has surely ended.
    due_at = now + timedelta(seconds=gateway.longest_send(sync=True))
    return save_intent(
        intake, mode=Mode.SYNC, now=now, due_at=due_at, idempotency_key=idempotency_key, link=link
    )


def finish_blocking(generation: Generation) -> Generation:
    """Send it unless it was sent, wait, and return it as it is then. May be called twice."""
    deadline = until(None)
    send_within(generation, deadline=deadline)
    return wait_while_due(generation, deadline=deadline)
