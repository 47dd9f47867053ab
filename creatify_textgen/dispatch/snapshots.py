"""From the remote's report of a generation to a change of our row.

Invariant: only the credits of a final report count; before that the remote writes 0 for unknown.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from creatify_textgen import clock, lifecycle
from creatify_textgen.conf import conf
from creatify_textgen.exceptions import StreamError
from creatify_textgen.lifecycle import NOTHING_NEW, Arrival, Outcome
from creatify_textgen.models import Generation
from creatify_textgen.remote import RemoteGeneration
from creatify_textgen.states import FROM_REMOTE, TRANSITIONS, Cause, Mode, Status

__all__ = [
    "ANSWER_LOST",
    "FOUND_LATE",
    "MAY_HAVE_BEEN_CHARGED",
    "NEVER_ACCEPTED",
    "Snapshot",
    "apply_snapshot",
    "apply_snapshots",
    "expects_webhook",
    "latest_poll_at",
    "next_poll_at",
    "reschedule",
]

MAY_HAVE_BEEN_CHARGED = "may_have_been_charged"
"""The `error_code` of an expired row whose remote id nobody knows."""
NEVER_ACCEPTED, ANSWER_LOST = "never_accepted", "answer_lost"
"""The `error_code` of rows that a proof or a person closed without an answer."""
FOUND_LATE = "found_late"
"""The `error_code` of such rows for which the remote lists an answer later."""
GROWTH = 1.5
"""The factor by which each interval between two polls is longer than the one before."""
JITTER = 0.1
"""The part of an interval that is random, so that rows that were sent together are polled apart."""
WEBHOOK_PATIENCE = 5
"""How much slower we poll if a webhook is expected."""
WITHOUT_ANSWER = "The stream broke off, and the remote does not return the rest of its answer."
EXPIRED_INTERVAL = timedelta(days=1)
LONGEST_EXPIRED_INTERVAL = timedelta(days=30)


class Snapshot(NamedTuple):
    """The remote's object at one moment, and the row that it belongs to."""

    generation: Generation
    remote: RemoteGeneration

    @property
    def target(self) -> Status:
        """The row's status for the remote's status; an unknown status is not final.

        But after we stopped waiting, an answer counts with any status.
        """
        # Sibling resources have other words, and new ones may come (contract, section 4.1).
        known = FROM_REMOTE.get(self.remote.status.lower())
        if known is None and self.generation.status == Status.EXPIRED:
            known = self._apparent
        if known == Status.DONE and self._lacks_the_answer:
            return Status.FAILED
        if known is not None:
            return known
        # Never backwards: a running row stays running.
        current = Status(self.generation.status)
        return current if current == Status.RUNNING else Status.PENDING

    def outcome(self) -> Outcome:
        """The values that the row gets from it."""
        outcome = self._result()
        if self.generation.remote_id:
            return outcome
        sent = self.remote.id_as_sent
        return replace(outcome, remote_id=self.remote.id, remote_id_as_sent=sent)

    def _result(self) -> Outcome:
        if self.target not in (Status.DONE, Status.FAILED):
            return NOTHING_NEW
        failed = self.target == Status.FAILED
        if failed and self.generation.partial:
            # The text of a stream stays, because the remote has no complete answer.
            return Outcome(
                credits_used=self._credits_used,
                error_code=StreamError.code if self._lacks_the_answer else _error_code(self.remote),
                failed_reason=self.remote.failed_reason or WITHOUT_ANSWER,
            )
        return Outcome(
            credits_used=self._credits_used,
            # Empty and not None: it removes the code of a row that had expired.
            error_code=_error_code(self.remote) if failed else "",
            partial=False,
            # An empty answer of the remote does not replace the text of a stream.
            response_text=self.remote.response_text or None,
            response_function_calls=self.remote.response_function_calls or None,
            failed_reason=self.remote.failed_reason,
        )

    @property
    def _apparent(self) -> Status | None:
        """The final status of an object whose status word is unknown, by its other fields."""
        if self.remote.response_text or self.remote.response_function_calls:
            return Status.DONE
        return Status.FAILED if self.remote.failed_reason else None

    @property
    def _credits_used(self) -> Decimal | None:
        """Its cost; with an unknown status word, 0 may mean that the cost is not known yet."""
        is_known = self.remote.status.lower() in FROM_REMOTE
        return self.remote.credits_used if is_known else self.remote.credits_used or None

    @property
    def _lacks_the_answer(self) -> bool:
        """Whether a stream broke off, and the remote finished without returning its answer."""
        remote = self.remote
        is_done = FROM_REMOTE.get(remote.status.lower()) == Status.DONE
        has_answer = remote.response_text or remote.response_function_calls
        return self.generation.partial and is_done and not has_answer


def apply_snapshot(snapshot: Snapshot, *, cause: Cause, now: datetime, detail: str = "") -> bool:
    """Write the remote's report on the row. Return False if its status did not change.

    Raises: TransitionError with code `remote_id_taken` if another row has the remote id.
    """
    return bool(apply_snapshots([snapshot], cause=cause, now=now, detail=detail))


def apply_snapshots(
    snapshots: list[Snapshot], *, cause: Cause, now: datetime, detail: str = ""
) -> set[uuid.UUID]:
    """Do the same for many rows, in a constant number of statements."""
    waiting: dict[Generation, datetime] = {}
    arrivals: dict[Status, dict[uuid.UUID, Arrival]] = {}
    for snapshot in snapshots:
        generation = snapshot.generation
        again = next_poll_at(generation, now=now)
        if snapshot.target in TRANSITIONS[Status(generation.status)]:
            arrival = Arrival(snapshot.outcome(), again, detail)
            arrivals.setdefault(snapshot.target, {})[generation.pk] = arrival
        else:
            waiting[generation] = again
    if waiting:
        reschedule(waiting, now=now)
    return _mark_all(arrivals, cause=cause, now=now) if arrivals else set()


def _mark_all(
    arrivals: Mapping[Status, Mapping[uuid.UUID, Arrival]], *, cause: Cause, now: datetime
) -> set[uuid.UUID]:
    moved: set[uuid.UUID] = set()
    for target, rows in arrivals.items():
        moved |= lifecycle.mark_arrived(rows, to=target, cause=cause, now=now)
    return moved


def reschedule(again: Mapping[Generation, datetime], *, now: datetime) -> None:
    """Set the next poll of these claimed rows; rows that waited for too long expire."""
    overdue = {row.pk: _given_up(row, now=now) for row in again if _is_overdue(row, now=now)}
    if len(overdue) < len(again):
        lifecycle.reschedule({row: at for row, at in again.items() if row.pk not in overdue})
    if overdue:
        lifecycle.mark_arrived(overdue, to=Status.EXPIRED, cause=Cause.SWEEP, now=now)


def next_poll_at(generation: Generation, *, now: datetime) -> datetime:
    """Return when to poll again: after an interval that grows up to `POLL_MAX_INTERVAL`."""
    if generation.status == Status.EXPIRED:
        # It may still be charged, and a GET is free. A timedelta has a largest value, so the
        # exponent has a limit.
        doubled: timedelta = EXPIRED_INTERVAL * 2 ** min(generation.polls, 5)
        return now + min(doubled, LONGEST_EXPIRED_INTERVAL)
    jitter = random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311
    return now + timedelta(seconds=_poll_seconds(generation) * jitter)


def latest_poll_at(generation: Generation, *, now: datetime) -> datetime:
    """Return the latest time that `next_poll_at` chooses for a row that was just accepted."""
    return now + timedelta(seconds=_poll_seconds(generation) * (1 + JITTER))


def _poll_seconds(generation: Generation) -> float:
    # A float has a largest value, so the exponent has a limit; 1.5 ** 20 is about 3300.
    first = conf.poll_interval * (WEBHOOK_PATIENCE if expects_webhook(generation) else 1)
    return min(first * GROWTH ** min(generation.polls, 20), conf.poll_max_interval)


def expects_webhook(generation: Generation) -> bool:
    """Whether the request had a webhook URL, so that a delivery is expected."""
    return generation.mode == Mode.ASYNC and conf.webhook_base_url is not None


def _is_overdue(generation: Generation, *, now: datetime) -> bool:
    if Status.EXPIRED not in TRANSITIONS[Status(generation.status)]:
        return False
    first = generation.first_submitted_at or generation.submitted_at or generation.created_at
    return now > clock.after(first, conf.expire_after)


def _given_up(generation: Generation, *, now: datetime) -> Arrival:
    """Return the values of a row that expires: without a remote id its cost is unknown."""
    is_known = generation.remote_id is not None
    outcome = NOTHING_NEW if is_known else Outcome(error_code=MAY_HAVE_BEEN_CHARGED)
    return Arrival(outcome, due_at=now, detail="no result in time")


def _error_code(remote: RemoteGeneration) -> str:
    # Free text (contract, section 11, row 27): no code, and nothing that a program could parse.
    reason = remote.failed_reason.lower()
    if "credit" in reason:
        return "insufficient_credits"
    if "thought_signature" in reason or "thought signature" in reason:
        return "missing_thought_signature"
    return "remote_failed"
