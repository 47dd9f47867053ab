"""One pass over everything that is due. A sweep is enough by itself, whatever was lost before it.

What can happen, in which order, and why it is still right:

1. Rows are claimed: `due_at` is moved `HOLD_SECONDS` ahead, so no other sweep takes them. If this
   process dies, the claim runs out and another sweep takes the rows.
2. Calls run side by side in threads of the process. Each answer is written down within
   `SETTLE_SECONDS`, however slow the other calls are. A claim is renewed while its call runs, so
   that the answer of a slow call still counts.
3. While calls run, this sweep processes rows that have become due, and requests the next sweep for
   rows that are due later. So a slow call delays nothing, even if one worker does everything.
4. After the time limit nothing more is sent. The sweep waits for its sends, because the answer to
   a send must not be lost with the process; each send has a deadline. It takes back the polls
   that have not begun, and gives the running polls to a thread, which saves their answers. If this
   thread dies with the process, the claims run out: a poll is free and is repeated.
5. If the database fails, the sweep ends after its sends. It writes their answers once the database
   is back. If that takes too long, recovery finds them in the remote's list.

Inside a transaction of the caller another thread would not see the rows, so no thread is used.
Invariants: two sweeps at once do no work twice; an error of one row, answer or workspace does not
delay the others. One thread at a time uses the database, with a constant number of statements for
500 rows.
"""

from __future__ import annotations

import math
import threading
import time
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import Error as DatabaseFault
from django.db import connections

from creatify_textgen import clock, databases, lifecycle
from creatify_textgen.dispatch import sweep_schedule
from creatify_textgen.dispatch.sending import Send, settle_send
from creatify_textgen.dispatch.turns import begin_send
from creatify_textgen.logs import SWEEP, warn_of
from creatify_textgen.models import Generation
from creatify_textgen.recovery.confinement import Confinement
from creatify_textgen.recovery.fanout import SENDS_AT_ONCE, Fanout, Lane
from creatify_textgen.recovery.polling import HOLD_SECONDS, Poll, settle_polls, start_polls
from creatify_textgen.states import TERMINAL, Status

__all__ = ["SweepReport", "sweep"]

WAITING = frozenset(Status) - TERMINAL - {Status.QUEUED}
BATCH = 500
SETTLE_SECONDS = 0.5
"""Answers are saved at least this often while other calls are slow."""
LINGER_SECONDS = 1.0
"""How long a sweep waits, after its time limit, for calls that are nearly finished."""
LATE_SECONDS = 60.0
"""A row that is due for longer shows that sweeps are late: even beat requests one per minute."""
RENEW_SECONDS = 30.0
"""Well below `HOLD_SECONDS`, so that a thread that is late still keeps its rows."""


@dataclass(slots=True)
class SweepReport:
    """What a sweep did, in rows."""

    claimed: int = 0
    sent: int = 0
    polled: int = 0
    announced: int = 0
    by_status: Counter[str] = field(default_factory=Counter)
    """The rows claimed, by the status they were found in."""
    next_due_at: datetime | None = None


def sweep(*, time_limit: float = 10.0) -> SweepReport:
    """Process everything that is due: sends, polls, lost answers, expiry, late signals.

    Ends about `time_limit` seconds after it began, or with its last send. The next sweep is
    requested before this one ends. May run any number of times at once. Raises: a bug, or an error
    of the database, after everything else was done.
    """
    report = SweepReport()
    now = clock.now()
    # Before the first claim, so that a row that is due from now on gets another sweep.
    sweep_schedule.clear(now=now)
    _warn_if_late(now=now)
    report.announced = lifecycle.announce_overdue(now=now, limit=BATCH)
    sweeping = _Sweep(report, until=time.monotonic() + time_limit)
    try:
        sweeping.run()
    finally:
        report.next_due_at = sweep_schedule.request_next_sweep(now=clock.now())
    if sweeping.confinement.bug is not None:
        raise sweeping.confinement.bug
    return report


def _warn_if_late(*, now: datetime) -> None:
    due_at = sweep_schedule.next_due_at()
    if due_at is not None and (seconds := (now - due_at).total_seconds()) > LATE_SECONDS:
        warn_of("late", SWEEP, "The sweep is %d seconds late: are there enough workers?", seconds)


class _Sweep:
    """The pipeline: claim, call, settle, each as soon as there is room for it."""

    def __init__(self, report: SweepReport, *, until: float) -> None:
        self.report = report
        self.until = until
        self.calls = Fanout()
        self.polling, self.sending = Lane(BATCH), Lane(SENDS_AT_ONCE)
        self.confinement = Confinement()
        self.answered: list[Poll] = []
        """Answered, and not written down yet."""
        self.settled = self.renewed = time.monotonic()

    def run(self) -> None:
        try:
            self._process()
        except Exception:
            self._save_answers_to_sends()
            raise

    def _process(self) -> None:
        # Due rows are claimed even with a time limit of 0: otherwise nothing would ever be done.
        self._claim_polls()
        self._claim_send()
        while self.calls or self._has_more:
            if self._may_begin(self.polling):
                self._claim_polls()
            if self._may_begin(self.sending):
                self._claim_send()
            self._settle(timeout=0 if self._has_more else SETTLE_SECONDS)
            if self._is_over():
                self._hand_over()
                return

    def finish(self) -> None:
        """Save the remaining answers, in the thread that received the calls."""
        self.until = -math.inf
        while self.calls:
            self._settle(timeout=SETTLE_SECONDS)

    def _claim_polls(self) -> None:
        now = clock.now()
        due = self._claim(WAITING, self.polling, limit=BATCH, now=now)
        for poll in start_polls(due, now=now):
            self.report.polled += len(poll.generations)
            self.polling.begin(poll.account)
            self.calls.get(poll.account, poll, poll.call)

    def _claim_send(self) -> None:
        # One at a time, and only if a thread is free: a storage may be slow, and a lease is only
        # for a row that is sent at once.
        for generation in self._claim([Status.QUEUED], self.sending, limit=1, now=clock.now()):
            with self.confinement.around(generation):
                self._begin_send(generation)

    def _begin_send(self, generation: Generation) -> None:
        send = begin_send(generation)
        if send is not None:
            self.report.sent += 1
            self.sending.begin(generation.account)
            self.calls.send(generation.account, send, send.call)

    def _claim(
        self, statuses: Collection[Status], lane: Lane, *, limit: int, now: datetime
    ) -> list[Generation]:
        due = lifecycle.claim_due(
            statuses,
            now=now,
            hold_until=clock.after(now, HOLD_SECONDS),
            limit=limit,
            without=lane.full,
        )
        # A full batch may have been the last: then the next claim finds nothing.
        lane.may_have_more = len(due) == limit
        self.report.claimed += len(due)
        self.report.by_status.update(generation.status for generation in due)
        return due

    def _settle(self, *, timeout: float) -> None:
        for subject, answer in self.calls.finished(timeout=timeout):
            if isinstance(subject, Send):
                self._settle_send(subject, answer)
            else:
                self.polling.end(subject.account)
                self.answered.append(subject.answered(answer))
        is_time = time.monotonic() > self.settled + SETTLE_SECONDS
        if is_time or len(self.answered) >= BATCH or not self.calls:
            self._settle_polls()
        if is_time and self.calls:
            self._renew_claims()
            self._notice_due_rows()

    def _settle_send(self, send: Send, answer: Any) -> None:
        self.sending.end(send.generation.account)
        with self.confinement.around(send.generation):
            settle_send(send, answer)

    def _save_answers_to_sends(self) -> None:
        """Write down what was paid for, although the sweep ends with an error of the database."""
        while self.sending and self.calls:
            for subject, answer in self.calls.finished(timeout=SETTLE_SECONDS):
                # Polls are dropped: they are free, and their rows are due again after the claim.
                if isinstance(subject, Send):
                    try:
                        self._settle_send(subject, answer)
                    except DatabaseFault as error:
                        text = "The answer to %s was not written (%s)."
                        SWEEP.error(text, subject.generation, type(error).__name__)

    def _settle_polls(self) -> None:
        polls, self.answered = self.answered, []
        with self.confinement.around(f"A batch of {len(polls)} polls"):
            settle_polls(polls, now=clock.now())
        self.settled = time.monotonic()
        if any(not poll.remote_id for poll in polls):
            # Rows that the list proved absent are queued again, and this sweep can send them.
            self.sending.may_have_more = True

    def _renew_claims(self) -> None:
        if time.monotonic() < self.renewed + RENEW_SECONDS:
            return
        self.renewed = time.monotonic()
        polls = [subject for subject in self.calls.subjects() if isinstance(subject, Poll)]
        hold_until = clock.after(clock.now(), HOLD_SECONDS)
        lifecycle.reschedule({row: hold_until for poll in polls for row in poll.generations})

    def _notice_due_rows(self) -> None:
        """Check whether more rows are due now, and request a sweep for rows that will be due."""
        if self._has_more:
            return
        now = clock.now()
        due_at = sweep_schedule.next_due_at()
        if due_at is None:
            return
        if due_at > now or not self._may_poll():
            sweep_schedule.request_sweep_at(due_at, now=now)
        else:
            self.polling.may_have_more = self.sending.may_have_more = True

    def _has_time(self) -> bool:
        return time.monotonic() < self.until

    @property
    def _has_more(self) -> bool:
        return self._may_begin(self.polling) or self._may_begin(self.sending)

    def _may_begin(self, lane: Lane) -> bool:
        return lane.may_have_more and (
            self._may_poll() if lane is self.polling else self._has_time()
        )

    def _may_poll(self) -> bool:
        # While it waits for sends it polls, because the next sweep may need this worker.
        return self._has_time() or bool(self.sending)

    def _is_over(self) -> bool:
        if self.sending or not self.calls:
            return False
        # Another thread has another connection, which does not see a transaction of the caller.
        is_late = time.monotonic() > self.until + LINGER_SECONDS
        return is_late and not databases.connection().in_atomic_block

    def _hand_over(self) -> None:
        called_off = [row for poll in self.calls.call_off() for row in poll.generations]
        lifecycle.reschedule(dict.fromkeys(called_off, clock.now()))
        if self.calls:
            # A daemon: a process that ends does not wait for polls, which are free.
            threading.Thread(
                target=_finish, args=(self,), name="textgen-sweep-rest", daemon=True
            ).start()
        else:
            self._settle_polls()


def _finish(sweeping: _Sweep) -> None:
    try:
        sweeping.finish()
        sweep_schedule.request_next_sweep(now=clock.now())
    except DatabaseFault as error:
        text = "Slow answers were not written (%s); their rows are polled again."
        SWEEP.error(text, type(error).__name__)
    finally:
        # Django closes connections at the end of requests and tasks, but of no other thread.
        connections.close_all()
