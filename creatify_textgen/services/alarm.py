"""Asks for the next sweep, so that at most one message in the broker stands for it.

The alarm is a row: whoever sets it earlier than it stands publishes the message. Invariant: an
alarm whose message was lost holds nobody up longer than `LOST_AFTER`.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db.models import Q
from django.utils import timezone

from creatify_textgen import enqueue
from creatify_textgen.conf import conf
from creatify_textgen.models import Generation, SweepAlarm

__all__ = ["clear", "set_for", "set_for_next_due", "wake"]

ALARM_ID = 1
LOST_AFTER = timedelta(seconds=30)
GATHER = timedelta(milliseconds=250)
"""What wakes the sweep within this time is seen to by the same one."""


class _LastWake:
    """When this process last woke the sweep; spares a statement a delivery in a flood."""

    until: datetime | None = None


def wake() -> None:
    """Have a sweep run within a moment, however often this is called."""
    now = timezone.now()
    if _LastWake.until is None or not now < _LastWake.until < now + 2 * GATHER:
        _LastWake.until = now + GATHER
        set_for(_LastWake.until, now=now)


def set_for(at: datetime, *, now: datetime) -> None:
    """Have a sweep run at this time, or at `POLL_MAX_INTERVAL` from now if that is sooner."""
    at = min(max(at, now), now + timedelta(seconds=conf.poll_max_interval))
    alarm = SweepAlarm.objects.filter(pk=ALARM_ID)
    later = Q(due_at=None) | Q(due_at__gt=at) | Q(due_at__lt=now - LOST_AFTER)
    if alarm.filter(later).update(due_at=at) or _create(at):
        enqueue.sweep(delay_seconds=(at - now).total_seconds())


def clear(*, now: datetime) -> None:
    """The sweep that the alarm stands for has begun."""
    SweepAlarm.objects.filter(pk=ALARM_ID, due_at__lte=now).update(due_at=None)


def set_for_next_due(*, now: datetime) -> datetime | None:
    """Have a sweep run when the next row comes due; returns when that is."""
    due_at = (
        Generation.objects.filter(next_check_at__isnull=False)
        .order_by("next_check_at")
        .values_list("next_check_at", flat=True)
        .first()
    )
    if due_at is not None:
        set_for(due_at, now=now)
    return due_at


def _create(at: datetime) -> bool:
    _, created = SweepAlarm.objects.get_or_create(pk=ALARM_ID, defaults={"due_at": at})
    return created
