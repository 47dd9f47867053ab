"""From what the remote says of a generation to a move of our row.

Invariant: only a final answer's credits count; before it the remote says 0 and means unknown.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from creatify_textgen import lifecycle
from creatify_textgen.conf import conf
from creatify_textgen.exceptions import StreamError
from creatify_textgen.lifecycle import Arrival, Outcome
from creatify_textgen.models import Generation
from creatify_textgen.remote import RemoteGeneration
from creatify_textgen.states import FROM_REMOTE, TRANSITIONS, Cause, Mode, Status

__all__ = [
    "Sighting",
    "apply_sighting",
    "apply_sightings",
    "expects_webhook",
    "next_poll_at",
    "wait",
]

GROWTH = 1.5
WEBHOOK_PATIENCE = 5
"""How much slower we poll where a webhook is expected."""
WITHOUT_ANSWER = "The stream broke off, and the remote does not tell the rest of its answer."
EXPIRED_INTERVAL = timedelta(days=1)
LONGEST_EXPIRED_INTERVAL = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Sighting:
    """The remote's object, seen for one of our rows."""

    generation: Generation
    remote: RemoteGeneration

    @property
    def target(self) -> Status:
        """Our word for the remote's; one that we don't know is not final."""
        known = FROM_REMOTE.get(self.remote.status.lower())
        if known == Status.DONE and self._lacks_the_answer:
            return Status.FAILED
        if known is not None:
            return known
        current = Status(self.generation.status)
        return current if current == Status.RUNNING else Status.PENDING

    def outcome(self) -> Outcome:
        """What the row learns from it."""
        adopted = None if self.generation.remote_id else self.remote.id
        if self.target not in (Status.DONE, Status.FAILED):
            return Outcome(remote_id=adopted)
        failed = self.target == Status.FAILED
        if failed and self.generation.partial:
            # What a stream has said stays: there is no whole to take its place.
            return Outcome(
                remote_id=adopted,
                credits_used=self.remote.credits_used,
                error_code=StreamError.code if self._lacks_the_answer else _error_code(self.remote),
                failed_reason=self.remote.failed_reason or WITHOUT_ANSWER,
            )
        return Outcome(
            remote_id=adopted,
            credits_used=self.remote.credits_used,
            error_code=_error_code(self.remote) if failed else "",
            partial=False,
            # Nothing at the remote never takes the place of what a stream has said.
            response_text=self.remote.response_text or None,
            response_function_calls=self.remote.response_function_calls or None,
            failed_reason=self.remote.failed_reason,
        )

    @property
    def _lacks_the_answer(self) -> bool:
        """Whether a stream broke off whose answer the remote has made and does not tell."""
        remote = self.remote
        is_done = FROM_REMOTE.get(remote.status.lower()) == Status.DONE
        tells = remote.response_text or remote.response_function_calls
        return self.generation.partial and is_done and not tells


def apply_sighting(sighting: Sighting, *, cause: Cause, now: datetime, detail: str = "") -> bool:
    """Move the row to where the remote says it is; False where there was nothing to move.

    Raises: TransitionError with code `remote_id_taken` where another row has the remote id.
    """
    return bool(apply_sightings([sighting], cause=cause, now=now, detail=detail))


def apply_sightings(
    sightings: list[Sighting], *, cause: Cause, now: datetime, detail: str = ""
) -> set[uuid.UUID]:
    """The same for many rows, in a constant number of statements."""
    waiting: dict[Generation, datetime] = {}
    arrivals: dict[Status, dict[uuid.UUID, Arrival]] = {}
    for sighting in sightings:
        generation = sighting.generation
        again = next_poll_at(generation, now=now)
        if sighting.target in TRANSITIONS[Status(generation.status)]:
            arrival = Arrival(sighting.outcome(), again, detail)
            arrivals.setdefault(sighting.target, {})[generation.pk] = arrival
        else:
            waiting[generation] = again
    wait(waiting, now=now)
    return _mark_all(arrivals, cause=cause, now=now)


def _mark_all(
    arrivals: Mapping[Status, Mapping[uuid.UUID, Arrival]], *, cause: Cause, now: datetime
) -> set[uuid.UUID]:
    moved: set[uuid.UUID] = set()
    for target, rows in arrivals.items():
        moved |= lifecycle.mark_arrived(rows, to=target, cause=cause, now=now)
    return moved


def wait(again: Mapping[Generation, datetime], *, now: datetime) -> None:
    """Look again at these claimed rows at their times; those waited for too long expire."""
    overdue = {row.pk: Arrival(next_check_at=now) for row in again if _is_overdue(row, now=now)}
    lifecycle.postpone({row: at for row, at in again.items() if row.pk not in overdue})
    lifecycle.mark_arrived(overdue, to=Status.EXPIRED, cause=Cause.SWEEP, now=now)


def next_poll_at(generation: Generation, *, now: datetime) -> datetime:
    """Return when to look again: a growing interval with some jitter, up to the cap."""
    if generation.status == Status.EXPIRED:
        doubled: timedelta = EXPIRED_INTERVAL * 2 ** min(generation.checks, 5)
        return now + min(doubled, LONGEST_EXPIRED_INTERVAL)
    first = conf.poll_interval * (WEBHOOK_PATIENCE if expects_webhook(generation) else 1)
    seconds = min(first * GROWTH ** min(generation.checks, 20), conf.poll_max_interval)
    return now + timedelta(seconds=seconds * random.uniform(0.9, 1.1))  # noqa: S311


def expects_webhook(generation: Generation) -> bool:
    """Whether the remote is told where to call back for this generation."""
    return generation.mode == Mode.ASYNC and conf.webhook_base_url is not None


def _is_overdue(generation: Generation, *, now: datetime) -> bool:
    if Status.EXPIRED not in TRANSITIONS[Status(generation.status)]:
        return False
    waited = now - (generation.submitted_at or generation.created_at)
    return waited > timedelta(seconds=conf.expire_after)


def _error_code(remote: RemoteGeneration) -> str:
    reason = remote.failed_reason.lower()
    if "credit" in reason:
        return "insufficient_credits"
    if "thought_signature" in reason or "thought signature" in reason:
        return "missing_thought_signature"
    return "remote_failed"
