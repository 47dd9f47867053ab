"""Sends one row and polls it for a caller who waits.

Invariant: a request that may have been accepted is not sent again, and a row that a pump reads is
left to the pump.
"""

from __future__ import annotations

import time
from contextlib import suppress
from decimal import Decimal
from typing import Any

from creatify_textgen import clock, databases, gateway, lifecycle
from creatify_textgen.conf import conf
from creatify_textgen.dispatch import circuit, sweep_schedule
from creatify_textgen.dispatch.sending import call_quietly, prepare_send, settle_send
from creatify_textgen.dispatch.snapshots import Snapshot
from creatify_textgen.exceptions import RemoteError, RequestError
from creatify_textgen.intake import Intake
from creatify_textgen.intake.text import shown
from creatify_textgen.models import Generation, GenerationContent
from creatify_textgen.recovery.polling import HOLD_SECONDS, settle_polls, start_polls
from creatify_textgen.states import Status

__all__ = [
    "ask_again",
    "ask_now",
    "has_ended",
    "is_answerable",
    "send_within",
    "until",
    "wait_for",
    "wait_while_due",
]

LONGEST_WAIT = 366 * 86400.0
"""A longer wait is a mistake, such as milliseconds for seconds; `time.sleep` refuses huge ones."""
SHORTEST_PAUSE, LONGEST_PAUSE = 0.2, 10.0
"""Seconds between two polls. If the row is due later than the longest, the caller stops waiting and
the sweep does the rest."""
LONGEST_READ_PAUSE = 1.0
"""Between two reads of a row that another process may finish at any time."""


def until(timeout: Any) -> float:
    """Return the time of the monotonic clock at which a wait ends; None: `TIMEOUTS["sync"]`.

    Raises: RequestError if it is no number of seconds.
    """
    if timeout is None:
        timeout = conf.timeouts["sync"]
    is_number = isinstance(timeout, int | float | Decimal) and not isinstance(timeout, bool)
    # NaN is not less than anything, and a Decimal that is NaN cannot be compared.
    with suppress(ArithmeticError):
        if is_number and timeout < LONGEST_WAIT:
            return time.monotonic() + float(timeout)
    rule = f"Must be a number of seconds, at most a year, not {shown(timeout)}."
    raise RequestError.about("timeout", rule)


def send_within(generation: Generation, *, deadline: float) -> None:
    """Send. Send again only if the remote certainly accepted nothing and there is time left."""
    while generation.status == Status.QUEUED:
        now = clock.now()
        if circuit.calls_allowed(generation.account, now=now) == 0:
            open_until = circuit.open_until(generation.account)
            lifecycle.make_due(generation.pk, at=circuit.try_again_at(open_until, now=now))
            return
        send = prepare_send(generation, sync=True)
        if send is None:
            return
        # A wait of minutes would keep a connection of the pool from other requests.
        databases.let_go()
        settle_send(send, call_quietly(send))
        generation.refresh_from_db()
        if not _pause_until_due(generation, deadline=deadline):
            return


def wait_while_due(generation: Generation, *, deadline: float) -> Generation:
    """Poll a row that was just sent until it is final, is due too late, or the deadline is over."""
    generation = generation.reloaded()
    # Read again after each pause: a delivery, or the sweep, may have been faster.
    while not generation.is_final and _pause_until_due(generation, deadline=deadline):
        generation = _poll_quietly(generation.reloaded())
    # The caller waits no longer, so a sweep has to go on with the row.
    sweep_schedule.request_next_sweep(now=clock.now())
    return generation


def ask_now(generation: Generation) -> Generation:
    """Poll a row, due or not, and return it as it is then.

    Raises: RemoteError if the remote did not answer; the row is then polled again later.
    """
    now = clock.now()
    claimed = lifecycle.claim_one(generation.pk, now=now, hold_until=clock.after(now, HOLD_SECONDS))
    if claimed is not None:
        _poll(claimed)
    sweep_schedule.request_next_sweep(now=clock.now())
    return generation.reloaded()


def wait_for(generation: Generation, *, deadline: float) -> Generation:
    """Return the row once it has ended, or as it is at `deadline` of `time.monotonic()`."""
    while not has_ended(generation) and (left := deadline - time.monotonic()) > 0:
        now = clock.now()
        due = generation.due_at or now
        pause = min((due - now).total_seconds(), LONGEST_READ_PAUSE)
        time.sleep(min(max(pause, SHORTEST_PAUSE), left))
        generation = _read(generation.reloaded())
    return generation


def has_ended(generation: Generation) -> bool:
    """Whether the row is final or has expired, so that nobody waits for it."""
    return generation.is_final or generation.status == Status.EXPIRED


def is_answerable(generation: Generation) -> bool:
    """Whether a poll may help: the row was sent, and no pump reads it."""
    if generation.is_final or generation.status == Status.QUEUED:
        return False
    return not generation.is_pumped(now=clock.now())


def _read(generation: Generation) -> Generation:
    is_due = generation.due_at is not None and generation.due_at <= clock.now()
    return _poll_quietly(generation) if is_due else generation


def _poll_quietly(generation: Generation) -> Generation:
    if not is_answerable(generation):
        return generation
    try:
        return ask_now(generation)
    except RemoteError:
        return generation.reloaded()


def _poll(generation: Generation) -> None:
    for poll in start_polls([generation], now=clock.now()):
        databases.let_go()
        try:
            poll.answered(poll.call())
        except RemoteError as error:
            # Saved first, so that the row is due again soon and not only after its claim.
            settle_polls([poll.answered(error)], now=clock.now())
            raise
        settle_polls([poll], now=clock.now())


def _pause_until_due(generation: Generation, *, deadline: float) -> bool:
    """Sleep until the row is due; False at once if this is past the deadline, or too late."""
    # Another process finished it: the loop of the caller ends.
    if generation.is_final or generation.due_at is None:
        return True
    pause = (generation.due_at - clock.now()).total_seconds()
    pause = max(pause, SHORTEST_PAUSE)
    if pause > LONGEST_PAUSE or time.monotonic() + pause > deadline:
        return False
    databases.let_go()
    time.sleep(pause)
    return True


def ask_again(generation: Generation, intake: Intake) -> GenerationContent:
    """Return the content of a row that another process finished: the remote still has the result.

    This is free at the remote. If the remote does not answer, the result is missing.
    """
    content = GenerationContent(messages=intake.messages)
    if not generation.remote_id:
        return content
    databases.let_go()
    try:
        remote = gateway.client_for(generation.account).get(generation.id_at_remote)
    except RemoteError:
        return content
    for name, value in Snapshot(generation, remote).outcome().content_fields().items():
        setattr(content, name, value)
    return content
