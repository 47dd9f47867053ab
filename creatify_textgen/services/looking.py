"""One look at the remote for rows that wait: by their id, or by the list where none is known.

Three steps, as for a send: `start_looks` and `settle_looks` touch the database, `Look.call`
touches only the network. Invariant: a look never makes a row worse; what it could not learn is
asked again later, and what the database refuses of one keeps no other from being written.
"""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from creatify_textgen import gateway, lifecycle
from creatify_textgen.exceptions import RemoteError, TransitionError
from creatify_textgen.models import Generation
from creatify_textgen.remote import RemoteGeneration
from creatify_textgen.services import circuit
from creatify_textgen.services.adoption import read_candidates, settle_lost
from creatify_textgen.services.matching import sent_at
from creatify_textgen.services.snapshots import (
    Sighting,
    apply_sighting,
    apply_sightings,
    next_poll_at,
    wait,
)
from creatify_textgen.states import Cause, Status

__all__ = ["Look", "settle_looks", "start_looks"]

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Look:
    """One call of the remote for one row (by id), or for an account's lost rows (by list)."""

    account: str
    generations: Sequence[Generation]
    remote_id: str = ""
    """Empty for a look into the list."""
    answer: Any = field(default=None, repr=False)

    def call(self) -> RemoteGeneration | list[RemoteGeneration]:
        """Ask the remote. No database: this may run in any thread. Raises: RemoteError."""
        if self.remote_id:
            return gateway.client_for(self.account).get(self.remote_id)
        return read_candidates(self.account, self.generations)

    def answered(self, answer: Any) -> Look:
        """Keep what came back, or what was raised."""
        self.answer = answer
        return self


def start_looks(waiting: Iterable[Generation], *, now: datetime) -> list[Look]:
    """Return the looks to take for these claimed rows; those that need none are settled here."""
    looks: list[Look] = []
    for account, generations in _by_account(waiting).items():
        ready = [row for row in generations if _needs_a_look(row, now=now)]
        looks += _looks_of_account(account, _allowed(account, ready, now=now))
    return looks


def settle_looks(looks: Sequence[Look], *, now: datetime) -> None:
    """Write down what came of these looks, in a constant number of statements.

    Where the database refuses one of them, row by row; the row it refuses is logged and waits.
    Raises: what is neither an answer nor an error of the remote, after all else was written.
    """
    _report_to_circuit(looks, now=now)
    seen = [look for look in looks if look.remote_id and not isinstance(look.answer, Exception)]
    _settle_known(_sightings(look for look in seen if look.generations[0].remote_id), now=now)
    for sighting in _sightings(look for look in seen if not look.generations[0].remote_id):
        with _putting_off_refused(sighting.generation, now=now):
            _settle_hinted(sighting, now=now)
    for look in looks:
        if isinstance(look.answer, Exception):
            _settle_failure(look, now=now)
        elif not look.remote_id:
            _settle_list(look, now=now)
    for look in looks:
        if isinstance(look.answer, Exception) and not isinstance(look.answer, RemoteError):
            raise look.answer


def _by_account(waiting: Iterable[Generation]) -> dict[str, list[Generation]]:
    accounts: dict[str, list[Generation]] = defaultdict(list)
    for generation in waiting:
        accounts[generation.account].append(generation)
    return accounts


def _needs_a_look(generation: Generation, *, now: datetime) -> bool:
    """Settle a lease that runs or has run out without an answer."""
    if generation.status == Status.SUBMITTING and not generation.hinted_remote_id:
        if generation.lease_until and generation.lease_until > now:
            lifecycle.postpone({generation: generation.lease_until})
            return False
        return _doubt(generation, now=now)
    return True


def _doubt(generation: Generation, *, now: datetime) -> bool:
    held_until = generation.next_check_at or now
    won = lifecycle.mark_unconfirmed(
        generation.pk,
        cause=Cause.SWEEP,
        now=now,
        look_at=held_until,
        detail="the lease ran out without an answer",
        attempt=generation.attempts,
    )
    if won:
        # The move ended the claim; the look that follows is still ours, and counts as one.
        lifecycle.claim_one(generation.pk, now=now, hold_until=held_until)
        generation.refresh_from_db()
    return won


def _allowed(account: str, generations: list[Generation], *, now: datetime) -> Sequence[Generation]:
    if not generations:
        return generations
    allowed = circuit.calls_allowed(account, now=now)
    if allowed is None:
        return generations
    until = max(circuit.open_until(account) or now, now + timedelta(seconds=1))
    lifecycle.postpone(dict.fromkeys(generations[allowed:], until))
    return generations[:allowed]


def _looks_of_account(account: str, generations: Iterable[Generation]) -> list[Look]:
    lost: list[Generation] = []
    looks: list[Look] = []
    for generation in generations:
        remote_id = generation.remote_id or generation.hinted_remote_id
        if remote_id:
            looks.append(Look(account, [generation], remote_id))
        else:
            lost.append(generation)
    return [*looks, Look(account, lost)] if lost else looks


def _report_to_circuit(looks: Sequence[Look], *, now: datetime) -> None:
    answers: dict[str, Counter[bool]] = defaultdict(Counter)
    for look in looks:
        failed = isinstance(look.answer, RemoteError) and look.answer.code == "remote_unavailable"
        answers[look.account][failed] += 1
    for account, counts in answers.items():
        if counts[False]:
            circuit.report_success(account)
        else:
            circuit.report_failure(account, now=now, times=counts[True])


def _sightings(looks: Iterable[Look]) -> list[Sighting]:
    return [Sighting(look.generations[0], look.answer) for look in looks]


def _settle_known(sightings: Sequence[Sighting], *, now: datetime) -> None:
    for cause in (Cause.WEBHOOK, Cause.POLL):
        batch = [sighting for sighting in sightings if _cause(sighting.generation) == cause]
        try:
            apply_sightings(batch, cause=cause, now=now)
        except lifecycle.REFUSALS as error:
            if not lifecycle.is_refusal(error):
                raise
            for sighting in batch:
                with _putting_off_refused(sighting.generation, now=now):
                    apply_sighting(sighting, cause=cause, now=now)


def _settle_list(look: Look, *, now: datetime) -> None:
    try:
        settle_lost(look.generations, look.answer, now=now)
    except lifecycle.REFUSALS as error:
        if not lifecycle.is_refusal(error):
            raise
        # In the order in which they were tried together: the oldest may choose first.
        for generation in sorted(look.generations, key=sent_at):
            with _putting_off_refused(generation, now=now):
                settle_lost([generation], look.answer, now=now)


@contextmanager
def _putting_off_refused(generation: Generation, *, now: datetime) -> Iterator[None]:
    try:
        yield
    except lifecycle.REFUSALS as error:
        if not lifecycle.is_refusal(error):
            raise
        logger.exception("The database refuses what the remote says of %s.", generation.pk)
        wait({generation: next_poll_at(generation, now=now)}, now=now)


def _cause(generation: Generation) -> Cause:
    """A delivery sets the count of looks back, so the first look after one is its doing."""
    return Cause.WEBHOOK if generation.deliveries and generation.checks == 1 else Cause.POLL


def _settle_hinted(sighting: Sighting, *, now: datetime) -> None:
    generation = sighting.generation
    try:
        apply_sighting(sighting, cause=Cause.WEBHOOK, now=now, detail="named by a delivery")
    except TransitionError:
        lifecycle.drop_hint(generation, look_at=_after_hint(generation, now=now))


def _settle_failure(look: Look, *, now: datetime) -> None:
    error = look.answer
    for generation in look.generations:
        if getattr(error, "code", "") == "not_found" and not generation.remote_id:
            lifecycle.drop_hint(generation, look_at=_after_hint(generation, now=now))
            continue
        again = next_poll_at(generation, now=now)
        asked_for = timedelta(seconds=getattr(error, "retry_after", None) or 0)
        wait({generation: max(again, now + asked_for)}, now=now)


def _after_hint(generation: Generation, *, now: datetime) -> datetime:
    return max(now, generation.lease_until or now)
