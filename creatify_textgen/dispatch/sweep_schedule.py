"""Schedules the next sweep.

One row holds the time of the next sweep. A process that needs an earlier one updates the row, and
only the process whose UPDATE changed it publishes a Celery message: at most one per sweep. Inside a
host's transaction the row is updated after the commit, so that nobody waits for its lock.
Invariant: if that message is lost, the next request after `LOST_AFTER` publishes another.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial

from django.db.models import Case, F, Q, QuerySet, Subquery, Value, When

from creatify_textgen import clock, databases, enqueue
from creatify_textgen.conf import conf
from creatify_textgen.models import Generation, SweepSchedule

__all__ = [
    "clear",
    "next_due_at",
    "request_next_sweep",
    "request_sweep",
    "request_sweep_at",
    "request_sweep_by",
]

SCHEDULE_ID = 1
LOST_AFTER = timedelta(seconds=30)
"""How late a scheduled sweep may be before its message counts as lost: a busy worker is no loss."""
GATHER = timedelta(milliseconds=250)
"""Requests within this window share one sweep. It is below what a user notices."""


class _LastRequest:
    """When this process last requested a sweep; saves one statement per delivery in a flood."""

    until: datetime | None = None


class _NextSweep:
    """When the next sweep runs, as this process last read or set it.

    Whatever others do until then, a sweep runs at that time or before. Saves one statement per
    send.
    """

    at: datetime | None = None


def request_sweep() -> None:
    """Request a sweep within a moment. Many calls request one sweep."""
    databases.after_commit(_request_sweep)


def _request_sweep() -> None:
    now = clock.now()
    # The second condition: after a clock was set back, `until` may be far in the future.
    if _LastRequest.until is None or not now < _LastRequest.until < now + 2 * GATHER:
        _LastRequest.until = now + GATHER
        request_sweep_at(_LastRequest.until, now=now)


def request_sweep_at(at: datetime, *, now: datetime) -> None:
    """Request a sweep at this time, or in `POLL_MAX_INTERVAL` if that is sooner."""
    at = _within_reach(at, now=now)
    schedule = SweepSchedule.objects.filter(pk=SCHEDULE_ID)
    later = Q(due_at=None) | Q(due_at__gt=at) | Q(due_at__lt=now - LOST_AFTER)
    # An earlier time is kept: its message is in the broker. So this one sweep serves both.
    if schedule.filter(later).update(due_at=at) or _create(at):
        enqueue.sweep(delay_seconds=(at - now).total_seconds())
        _NextSweep.at = at


def clear(*, now: datetime) -> None:
    """Note that a sweep has begun, the scheduled one or another."""
    # A later time stays, because its message is still in the broker.
    scheduled = When(due_at__lte=now, then=Value(None))
    values = {"due_at": Case(scheduled, default=F("due_at")), "swept_at": now}
    if not SweepSchedule.objects.filter(pk=SCHEDULE_ID).update(**values):
        SweepSchedule.objects.get_or_create(pk=SCHEDULE_ID, defaults={"swept_at": now})


def request_sweep_by(due_at: datetime, *, now: datetime) -> None:
    """Have a sweep run at this time or before, for a row that was just saved and is due then."""
    at = _NextSweep.at
    if at is None or not now < at <= due_at or databases.connection().in_atomic_block:
        request_next_sweep(now=now)


def request_next_sweep(*, now: datetime) -> datetime | None:
    """Request a sweep when the next row is due; returns that time."""
    schedule = SweepSchedule.objects.filter(pk=SCHEDULE_ID).values_list("due_at", Subquery(_due()))
    # Usually a sweep is scheduled early enough, and this is the only statement. Not inside a host's
    # transaction: that sweep may run before the commit, and would not see the row.
    scheduled, due_at = schedule.first() or (None, next_due_at())
    if databases.connection().in_atomic_block:
        scheduled = None
    _NextSweep.at = scheduled
    if due_at is not None and not _is_early(scheduled, _within_reach(due_at, now=now), now=now):
        databases.after_commit(partial(request_sweep_at, due_at, now=now))
    return due_at


def next_due_at() -> datetime | None:
    """Return when the next row is due, or None if nothing is in flight."""
    return _due().first()


def _due() -> QuerySet[Generation, datetime | None]:
    due = Generation.objects.filter(due_at__isnull=False).order_by("due_at")
    return due.values_list("due_at", flat=True)[:1]


def _within_reach(at: datetime, *, now: datetime) -> datetime:
    # A broker may hold a delayed message for a limited time only: Redis delivers it again after the
    # visibility timeout. So a sweep in the far future is requested by the sweeps before it.
    return min(max(at, now), now + timedelta(seconds=conf.poll_max_interval))


def _is_early(scheduled: datetime | None, at: datetime, *, now: datetime) -> bool:
    return scheduled is not None and now - LOST_AFTER <= scheduled <= at


def _create(at: datetime) -> bool:
    _, created = SweepSchedule.objects.get_or_create(pk=SCHEDULE_ID, defaults={"due_at": at})
    return created
