"""One poll of the remote for rows that wait: by their id, or by the list if none is known.

Three steps, as for a send: `start_polls` and `settle_polls` use the database, `Poll.call` uses
only the network. Invariants: a poll never makes a row worse, and a poll that fails is repeated
later. An error of one row, answer or workspace does not stop the others.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from django.db.models import prefetch_related_objects

from creatify_textgen import gateway, lifecycle
from creatify_textgen.dispatch import circuit
from creatify_textgen.dispatch.pump_silence import longest_silence
from creatify_textgen.dispatch.snapshots import (
    Snapshot,
    apply_snapshot,
    apply_snapshots,
    next_poll_at,
    reschedule,
)
from creatify_textgen.dispatch.unaccepted import MAY_BE_CHARGED
from creatify_textgen.exceptions import RemoteError
from creatify_textgen.logs import SENDING, STREAMS, warn_of
from creatify_textgen.models import Generation
from creatify_textgen.recovery.adoption import settle_lost
from creatify_textgen.recovery.confinement import Confinement, is_for_all
from creatify_textgen.recovery.evidence import Reading
from creatify_textgen.recovery.matching import sent_at
from creatify_textgen.recovery.named import forget_named, may_be_stored_late, settle_named
from creatify_textgen.recovery.reading import next_list_at, read_list
from creatify_textgen.remote import RemoteClient, RemoteGeneration, asked_by, asked_seconds
from creatify_textgen.states import Cause, Mode, Status

__all__ = ["HOLD_SECONDS", "Poll", "settle_polls", "start_polls"]

HOLD_SECONDS = 120.0
"""How long a claimed row belongs to the process that claimed it. If that died, another takes it."""


@dataclass(slots=True)
class Poll:
    """One call of the remote for one row (by id), or for an account's lost rows (by list)."""

    account: str
    generations: Sequence[Generation]
    remote_id: str = ""
    """Empty for a poll of the list."""
    answer: Any = field(default=None, repr=False)
    client_of: Callable[[str], RemoteClient] = field(default=gateway.client_for, repr=False)

    def call(self) -> RemoteGeneration | Reading:
        """Ask the remote. No database: this may run in any thread. Raises: RemoteError."""
        with asked_by([generation.traceparent for generation in self.generations]):
            if self.remote_id:
                return self.client_of(self.account).get(self.remote_id)
            return read_list(self.account, self.generations)

    def answered(self, answer: Any) -> Poll:
        """Keep the answer, or the error."""
        self.answer = answer
        return self


def start_polls(waiting: Iterable[Generation], *, now: datetime) -> list[Poll]:
    """Return the polls to make for these claimed rows; those that need none are settled here.

    A row whose poll cannot be prepared is logged, and is due again when its claim runs out.
    """
    polls: list[Poll] = []
    confinement = Confinement()
    for account, generations in _by_account(waiting).items():
        ready: list[Generation] = []
        for generation in generations:
            with confinement.around(generation):
                ready += [generation] if _needs_a_poll(generation, now=now) else []
        with confinement.around(account):
            polls += _polls_of_account(account, _allowed(account, ready, now=now))
    return polls


def settle_polls(polls: Sequence[Poll], *, now: datetime) -> None:
    """Save the results of these polls, in a constant number of statements.

    If one row cannot be written, the rows are written one by one; that row is logged and waits.
    Raises: an error that is not the remote's, after everything else was written.
    """
    # Before anything here can raise: other processes decide by the circuit whether they call.
    _report_to_circuit(polls, now=now)
    settling = _Settling(now)
    seen = [poll for poll in polls if poll.remote_id and not isinstance(poll.answer, Exception)]
    settling.settle_known(_snapshots(poll for poll in seen if poll.generations[0].remote_id))
    for snapshot in _snapshots(poll for poll in seen if not poll.generations[0].remote_id):
        with settling.one(snapshot.generation):
            settle_named(snapshot, now=now)
    for poll in polls:
        if isinstance(poll.answer, Exception):
            settling.settle_failure(poll, poll.answer)
        elif not poll.remote_id:
            settling.settle_list(poll)
    faults = [poll.answer for poll in polls if isinstance(poll.answer, Exception)]
    bugs = [error for error in faults if not isinstance(error, RemoteError)]
    if bug := settling.bug or next(iter(bugs), None):
        raise bug


def _by_account(waiting: Iterable[Generation]) -> dict[str, list[Generation]]:
    accounts: dict[str, list[Generation]] = defaultdict(list)
    for generation in waiting:
        accounts[generation.account].append(generation)
    return accounts


def _needs_a_poll(generation: Generation, *, now: datetime) -> bool:
    """Settle a lease that runs or has run out without an answer."""
    if generation.status == Status.SUBMITTING and not generation.unverified_remote_id:
        if generation.lease_until and generation.lease_until > now:
            lifecycle.reschedule({generation: generation.lease_until})
            return False
        return _doubt(generation, now=now)
    _warn_of_dead_pump(generation, now=now)
    return True


def _warn_of_dead_pump(generation: Generation, *, now: datetime) -> None:
    is_streamed = generation.mode == Mode.STREAM and generation.status == Status.RUNNING
    silent = now - generation.updated_at
    # Once, at the first poll since the pump wrote. A pump that gave up wrote a moment ago.
    if is_streamed and generation.polls == 1 and silent.total_seconds() > longest_silence():
        warn_of(
            ("pump", generation.account),
            STREAMS,
            "The pump of generation %s gives no sign of life; its result is looked up.",
            generation.pk,
        )


def _doubt(generation: Generation, *, now: datetime) -> bool:
    held_until = generation.due_at or now
    won = lifecycle.mark_unconfirmed(
        generation.pk,
        cause=Cause.SWEEP,
        now=now,
        due_at=held_until,
        detail="the lease ran out without an answer",
        attempt=generation.attempts,
        reason=MAY_BE_CHARGED,
    )
    if won:
        warn_of(
            ("lease", generation.account),
            SENDING,
            "The process that sent generation %s ended without an answer; it is looked up.",
            generation.pk,
        )
        # The move ended the claim; the poll that follows is still this sweep's, and counts.
        lifecycle.claim_one(generation.pk, now=now, hold_until=held_until)
        generation.refresh_from_db()
    return won


def _allowed(account: str, generations: list[Generation], *, now: datetime) -> Sequence[Generation]:
    if not generations:
        return generations
    allowed = circuit.calls_allowed(account, now=now)
    if allowed is None:
        return generations
    # At most one row tests the remote. The others are due then, and not only after their claims.
    until = circuit.try_again_at(circuit.open_until(account), now=now)
    lifecycle.reschedule(dict.fromkeys(generations[allowed:], until))
    return generations[:allowed]


def _polls_of_account(account: str, generations: Iterable[Generation]) -> list[Poll]:
    lost: list[Generation] = []
    polls: list[Poll] = []
    # The first call reads the keys for all of these polls. Not this thread: a vault may be slow.
    client_of = cache(gateway.client_for)
    for generation in generations:
        remote_id = generation.id_at_remote
        if remote_id:
            polls.append(Poll(account, [generation], remote_id, client_of=client_of))
        else:
            lost.append(generation)
    # The list is read in a thread, which touches no database.
    prefetch_related_objects(lost, "content")
    return [*polls, Poll(account, lost)] if lost else polls


def _report_to_circuit(polls: Sequence[Poll], *, now: datetime) -> None:
    answers: dict[str, list[Any]] = defaultdict(list)
    for poll in polls:
        answers[poll.account].append(poll.answer)
    for account, results in answers.items():
        circuit.report(account, results, now=now)


def _snapshots(polls: Iterable[Poll]) -> list[Snapshot]:
    return [Snapshot(poll.generations[0], poll.answer) for poll in polls]


class _Settling(Confinement):
    """Writes batches together, and row by row if that fails."""

    def __init__(self, now: datetime) -> None:
        self._now = now

    @contextmanager
    def one(self, generation: Generation) -> Iterator[None]:
        """Confine an error of this row, and poll it again later."""
        is_settled = False
        with self.around(generation):
            yield
            is_settled = True
        if not is_settled:
            with self.around(generation):
                reschedule({generation: next_poll_at(generation, now=self._now)}, now=self._now)

    def settle_known(self, snapshots: Sequence[Snapshot]) -> None:
        # A batch is one statement with one cause, so deliveries are a batch by themselves.
        for cause in (Cause.WEBHOOK, Cause.POLL):
            batch = [snapshot for snapshot in snapshots if _cause(snapshot.generation) == cause]
            try:
                apply_snapshots(batch, cause=cause, now=self._now)
            except Exception as error:
                if is_for_all(error):
                    raise
                # One value that cannot be saved has rolled back the whole batch.
                for snapshot in batch:
                    with self.one(snapshot.generation):
                        apply_snapshot(snapshot, cause=cause, now=self._now)

    def settle_list(self, poll: Poll) -> None:
        try:
            settle_lost(poll.generations, poll.answer, now=self._now)
        except Exception as error:
            if is_for_all(error):
                raise
            # In the order in which they were tried together: the oldest may choose first.
            for generation in sorted(poll.generations, key=sent_at):
                with self.one(generation):
                    settle_lost([generation], poll.answer, now=self._now)

    def settle_failure(self, poll: Poll, error: Exception) -> None:
        for generation in poll.generations:
            with self.around(generation):
                _settle_failure(generation, error, is_list=not poll.remote_id, now=self._now)


def _settle_failure(
    generation: Generation, error: Exception, *, is_list: bool, now: datetime
) -> None:
    # A 404 for the list is about no id, so it forgets none.
    is_unknown = not is_list and not generation.remote_id and _is_unknown_id(error)
    if is_unknown and not may_be_stored_late(generation, error, now=now):
        forget_named(generation, now=now)
        return
    again = (next_list_at if is_list else next_poll_at)(generation, now=now)
    asked_for = timedelta(seconds=asked_seconds(error))
    reschedule({generation: max(again, now + asked_for)}, now=now)


def _cause(generation: Generation) -> Cause:
    """A delivery resets the count of polls, so the first poll after it is caused by it."""
    return Cause.WEBHOOK if generation.deliveries and generation.polls == 1 else Cause.POLL


def _is_unknown_id(error: Exception) -> bool:
    """Whether the remote has no generation with an id, or refuses the form of the id."""
    return getattr(error, "code", "") in ("not_found", "invalid_request")
