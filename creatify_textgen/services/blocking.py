"""Generates and waits: the remote's `sync: true` under a deadline of ours.

Invariant: one accepted request. A wait that runs out leaves a tracked row, which the sweep
finishes.
"""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

from django.utils import timezone

from creatify_textgen import gateway, lifecycle
from creatify_textgen.conf import conf
from creatify_textgen.exceptions import RemoteError
from creatify_textgen.models import Generation
from creatify_textgen.services import alarm, circuit
from creatify_textgen.services.intake import Intake, accept
from creatify_textgen.services.intents import save_intent
from creatify_textgen.services.operations import refresh
from creatify_textgen.services.sending import prepare_send, settle_send
from creatify_textgen.services.submission import call_quietly
from creatify_textgen.states import Mode, Status

__all__ = ["generate"]

SHORTEST_PAUSE, LONGEST_PAUSE = 0.2, 10.0
"""Seconds; what is due later than the longest is left to the sweep, and its caller is let go."""


def generate(
    messages: Any,
    *,
    timeout: float | None = None,
    idempotency_key: str | None = None,
    **request: Any,
) -> Generation:
    """Generate and return the finished row, or one that is not final where the wait ran out.

    `timeout` is in seconds, by default `TIMEOUTS["sync"]`. The other arguments are those of
    `submit`. A generation that failed is returned, too: look at `status` and `error_code`.
    With an idempotency key that stands for a generation, that one is waited for.

    Raises: RequestError, and then nothing was saved or sent.
    """
    return generate_intake(
        accept(messages, **request), timeout=timeout, idempotency_key=idempotency_key
    )


def generate_intake(
    intake: Intake, *, timeout: float | None = None, idempotency_key: str | None = None
) -> Generation:
    """The same for a request that was accepted."""
    deadline = time.monotonic() + (conf.timeouts["sync"] if timeout is None else timeout)
    now = timezone.now()
    generation, is_new = save_intent(
        intake,
        mode=Mode.SYNC,
        now=now,
        next_check_at=now + timedelta(seconds=gateway.longest_send(sync=True)),
        idempotency_key=idempotency_key,
    )
    if is_new:
        _send_within(generation, deadline=deadline)
    return _wait(generation, deadline=deadline)


def _send_within(generation: Generation, *, deadline: float) -> None:
    """Send; again only where the last was surely refused uncharged and there is time left."""
    while generation.status == Status.QUEUED:
        now = timezone.now()
        if circuit.calls_allowed(generation.account, now=now) == 0:
            lifecycle.make_due(generation.pk, at=now + timedelta(seconds=1))
            return
        send = prepare_send(generation, now=now, sync=True)
        if send is None:
            return
        settle_send(send, call_quietly(send))
        generation.refresh_from_db()
        if not _pause(generation, deadline=deadline):
            return


def _wait(generation: Generation, *, deadline: float) -> Generation:
    """Look until it is final or the deadline has passed."""
    generation = Generation.objects.select_related("content").get(pk=generation.pk)
    while not generation.is_final and _pause(generation, deadline=deadline):
        try:
            generation = refresh(generation)
        except RemoteError:
            generation.refresh_from_db()
    alarm.set_for_next_due(now=timezone.now())
    return generation


def _pause(generation: Generation, *, deadline: float) -> bool:
    """Sleep until the row is due; False, at once, where that is past the deadline or far off."""
    if generation.is_final or generation.next_check_at is None:
        return True
    pause = (generation.next_check_at - timezone.now()).total_seconds()
    pause = max(pause, SHORTEST_PAUSE)
    if pause > LONGEST_PAUSE or time.monotonic() + pause > deadline:
        return False
    time.sleep(pause)
    return True
