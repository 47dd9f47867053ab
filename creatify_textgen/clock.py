"""The one clock: leases, due times, windows and expiry follow the database's time.

Each node extrapolates a reading of the database's clock by its own monotonic clock, so a node
whose wall clock is wrong agrees with all others. Invariant: asking for the time costs a statement
every `READ_EVERY` seconds at most.
"""

from __future__ import annotations

import os
import time
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple

from django.conf import settings
from django.db import Error
from django.db.backends.base.base import BaseDatabaseWrapper
from django.utils import timezone

from creatify_textgen import databases

__all__ = [
    "TimeLimit",
    "after",
    "as_utc_range",
    "known_now",
    "now",
    "stored_since",
    "to_stored",
    "utc_day",
    "utc_now",
]

READ_EVERY = 10.0
"""Seconds for which one reading is extrapolated: quartz drifts less than 1 ms in that time."""
STEP_SECONDS = 0.5
"""Wall and monotonic clock differ by more: the machine was suspended, or its clock was set."""

_SQL = {
    "postgresql": "SELECT clock_timestamp() AT TIME ZONE 'UTC'",
    "mysql": "SELECT UTC_TIMESTAMP(6)",
}
"""The time of the statement, not of its transaction. SQLite is in this process: it has no other
clock than this machine's."""


class _Reading(NamedTuple):
    """What three clocks showed at one moment."""

    database: datetime
    monotonic: float
    wall: float

    def extrapolated(self) -> datetime:
        return self.database + timedelta(seconds=time.monotonic() - self.monotonic)

    @property
    def is_recent(self) -> bool:
        return time.monotonic() - self.monotonic < READ_EVERY

    @property
    def is_disturbed(self) -> bool:
        elapsed = time.monotonic() - self.monotonic
        return abs(time.time() - self.wall - elapsed) > STEP_SECONDS


_readings: dict[tuple[int, str], _Reading] = {}
"""By process and alias: a forked child reads for itself."""


def now() -> datetime:
    """Return the database's time, in the form in which this site stores times.

    Raises: a database error if it cannot be known.
    """
    return to_stored(utc_now())


def known_now() -> datetime:
    """As `now`, by the last reading: no statement, so for coroutines and for threads that wait.

    It is this machine's own time until the process has asked for `now` once.
    """
    known = _readings.get((os.getpid(), databases.alias()))
    return to_stored(known.extrapolated() if known else datetime.now(UTC))


def utc_now() -> datetime:
    """Return the database's time, aware, in UTC. Raises: a database error if it is unknown."""
    connection = databases.connection()
    if connection.vendor not in _SQL:
        return datetime.now(UTC)
    key = os.getpid(), connection.alias
    known = _readings.get(key)
    if known is None or known.is_disturbed or not known.is_recent:
        # Two threads may do this at once: each reading is as good as the other.
        known = _readings[key] = _read_unless_known(connection, known)
    return known.extrapolated()


def to_stored(moment: datetime) -> datetime:
    """Return an aware time as this site stores it: aware, or naive in the zone of `TIME_ZONE`.

    The zone that a request has activated is never the one of the database.
    """
    if settings.USE_TZ:
        return moment.astimezone(UTC)
    return timezone.make_naive(moment, timezone.get_default_timezone())


def as_utc_range(stored: datetime) -> tuple[datetime, datetime]:
    """Return the earliest and the latest moment in UTC that a stored time may stand for.

    They differ for a naive time in the hour that is repeated or left out when clocks change.
    """
    if timezone.is_aware(stored):
        moment = stored.astimezone(UTC)
        return moment, moment
    zone = timezone.get_default_timezone()
    readings = [stored.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1)]
    return min(readings), max(readings)


def stored_since(moment: datetime) -> datetime:
    """Return the earliest stored time of what happened at this moment or later.

    In the hour that is repeated when clocks change, a later time may be stored as an earlier one.
    """
    stored = to_stored(moment)
    first, last = as_utc_range(stored)
    return stored - (last - first)


def utc_day(stored: datetime) -> date:
    """Return the day (UTC) in which sums and budgets count what has this stored time."""
    return as_utc_range(stored)[0].date()


def after(moment: datetime, seconds: float) -> datetime:
    """Return the stored time that many seconds after a stored one, and never an earlier one.

    When clocks change, a naive sum is an hour too early in spring, and a sum by way of UTC looks an
    hour too early in autumn: the later of both is safe for the end of a lease.
    """
    span = timedelta(seconds=seconds)
    if timezone.is_aware(moment):
        return moment + span
    by_utc = to_stored(as_utc_range(moment)[1] + span)
    # No column stores a fold.
    return max(moment + span, by_utc.replace(fold=0))


@dataclass(frozen=True, slots=True)
class TimeLimit:
    """Ends after so many seconds, by the first of this machine's two clocks that shows them.

    The monotonic clock of a suspended machine stands still, and its wall clock can be set.
    """

    seconds: float
    began: float = field(default_factory=lambda: time.monotonic())
    began_wall: float = field(default_factory=lambda: time.time())

    @property
    def is_over(self) -> bool:
        by_wall = abs(time.time() - self.began_wall)
        return max(time.monotonic() - self.began, by_wall) > self.seconds


def _read_unless_known(connection: BaseDatabaseWrapper, known: _Reading | None) -> _Reading:
    try:
        return _read(connection)
    except Error:
        # An older reading is as good while nothing disturbed it: whoever asks may be about to
        # report this very outage.
        if known is None or known.is_disturbed:
            raise
        return known


def _read(connection: BaseDatabaseWrapper) -> _Reading:
    with connection.wrap_database_errors:
        connection.ensure_connection()
        # After it: to connect may take seconds, and the error would be half of them.
        before = time.monotonic()
        # Not by `connection.cursor()`: a host that counts its queries in a test would find one
        # more every ten seconds.
        with closing(connection.create_cursor()) as cursor:
            cursor.execute(_SQL[connection.vendor])
            (at,) = cursor.fetchone()
    # The database read its clock between the two, so the error is half of the round trip at most.
    middle = (before + time.monotonic()) / 2
    return _Reading(at.replace(tzinfo=UTC), middle, time.time())
