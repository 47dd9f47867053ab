"""One pass over everything that is due: enough by itself, whatever was lost before it.

Network calls run side by side in threads; the database is touched by this thread alone, in a
constant number of statements for 500 rows. Invariant: two sweeps at once do no work twice.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from django.db import Error as DatabaseFault
from django.db.models import prefetch_related_objects
from django.utils import timezone

from creatify_textgen import lifecycle
from creatify_textgen.models import Generation
from creatify_textgen.services import alarm
from creatify_textgen.services.fanout import SENDS_AT_ONCE, Fanout
from creatify_textgen.services.looking import Look, settle_looks, start_looks
from creatify_textgen.services.sending import Send, settle_send
from creatify_textgen.services.submission import begin_send
from creatify_textgen.states import TERMINAL, Status

__all__ = ["SweepReport", "sweep"]

logger = logging.getLogger(__name__)

WAITING = frozenset(Status) - TERMINAL - {Status.QUEUED}
BATCH = 500
SETTLE_SECONDS = 0.5
"""What came back is written at least this often while other calls are slow."""
HOLD = timedelta(seconds=120)
"""How long a claimed row is this sweep's; a sweep that died is followed by another then."""


@dataclass(slots=True)
class SweepReport:
    """What a sweep did, in rows."""

    claimed: int = 0
    sent: int = 0
    looked_at: int = 0
    announced: int = 0
    by_status: Counter[str] = field(default_factory=Counter)
    """The rows claimed, by the status they were found in."""
    next_due_at: datetime | None = None


def sweep(*, time_limit: float = 10.0) -> SweepReport:
    """See to all that is due: sends, polls, lost answers, expiry, late signals.

    Takes no new rows after `time_limit` seconds; what is left is the next sweep's, which is
    asked for before this one ends. May run any number of times at once.

    Raises: what is a bug or the database's, once all was done that could be.
    """
    report = SweepReport()
    now = timezone.now()
    alarm.clear(now=now)
    report.announced = lifecycle.announce_overdue(now=now, limit=BATCH)
    sweeping = _Sweep(report, until=time.monotonic() + time_limit)
    try:
        sweeping.run()
    finally:
        report.next_due_at = alarm.set_for_next_due(now=timezone.now())
    if sweeping.bug is not None:
        raise sweeping.bug
    return report


class _Sweep:
    """The pipeline: claim, call, settle, each as soon as there is room for it."""

    def __init__(self, report: SweepReport, *, until: float) -> None:
        self.report = report
        self.until = until
        self.calls = Fanout()
        self.sends_under_way = 0
        self.may_send = True
        self.bug: Exception | None = None
        """What no answer should have led to; the other rows are seen to all the same."""
        self.looks: list[Look] = []
        self.settled = time.monotonic()

    def run(self) -> None:
        may_look = True
        while may_look or self.may_send or self.calls:
            if may_look and len(self.calls) < BATCH:
                may_look = self._claim_looks()
            if self.may_send and self.sends_under_way <= SENDS_AT_ONCE:
                self.may_send = self._claim_sends()
            self._settle()

    def _claim_looks(self) -> bool:
        now = timezone.now()
        due = self._claim(WAITING, limit=BATCH, now=now)
        for look in start_looks(due, now=now):
            self.report.looked_at += len(look.generations)
            self.calls.get(look, look.call)
        return len(due) == BATCH and time.monotonic() < self.until

    def _claim_sends(self) -> bool:
        now = timezone.now()
        # Few at a time: a lease is taken only for what can be sent before it runs out.
        due = self._claim([Status.QUEUED], limit=SENDS_AT_ONCE, now=now)
        prefetch_related_objects(due, "content")
        for generation in due:
            send = begin_send(generation, now=now)
            if send is not None:
                self.report.sent += 1
                self.sends_under_way += 1
                self.calls.send(send, send.call)
        return len(due) == SENDS_AT_ONCE and time.monotonic() < self.until

    def _claim(
        self, statuses: Collection[Status], *, limit: int, now: datetime
    ) -> list[Generation]:
        due = lifecycle.claim_due(statuses, now=now, hold_until=now + HOLD, limit=limit)
        self.report.claimed += len(due)
        self.report.by_status.update(generation.status for generation in due)
        return due

    def _settle(self) -> None:
        for subject, answer in self.calls.finished(timeout=SETTLE_SECONDS):
            if isinstance(subject, Send):
                self.sends_under_way -= 1
                self._write_down(partial(_settle_send, subject, answer))
            else:
                self.looks.append(subject.answered(answer))
        is_time = time.monotonic() > self.settled + SETTLE_SECONDS
        if is_time or len(self.looks) >= BATCH or not self.calls:
            self._settle_looks()

    def _settle_looks(self) -> None:
        looks, self.looks = self.looks, []
        self._write_down(partial(settle_looks, looks, now=timezone.now()))
        self.settled = time.monotonic()
        if any(not look.remote_id for look in looks):
            # What the list proved absent is queued again, and need not wait for another sweep.
            self.may_send = self.settled < self.until

    def _write_down(self, settle: Callable[[], None]) -> None:
        try:
            settle()
        except DatabaseFault:
            raise
        except Exception as error:  # noqa: BLE001  raised when the sweep has come to its end
            self.bug = self.bug or error


def _settle_send(send: Send, answer: Any) -> None:
    try:
        settle_send(send, answer)
    except lifecycle.REFUSALS as error:
        if error is answer or not lifecycle.is_refusal(error):
            raise
        # Other answers are still to come. The lease of this one runs out, and it is looked up.
        logger.exception("The database refuses what came of the send of %s.", send.generation.pk)
