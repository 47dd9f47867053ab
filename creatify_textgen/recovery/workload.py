"""How much is under way, and what is stuck. For people and metrics; reads only the database.

Invariant: each figure comes from an index or a bounded number of rows, whatever the table's size.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db import Error as DatabaseFault
from django.db.models import Count, Min, Sum

from creatify_textgen import clock, site_cache
from creatify_textgen.models import Circuit, Generation, SweepSchedule, UsageTotal
from creatify_textgen.states import IN_FLIGHT, Mode, Status

__all__ = [
    "OVERDUE_AFTER",
    "UNKNOWN_DAYS",
    "Workload",
    "note_refused_delivery",
    "oldest_overdue",
    "read_workload",
]

OVERDUE_AFTER = timedelta(minutes=3)
"""A sweep runs every minute and holds its rows for two, so a row that is due for longer shows that
no sweep runs."""
UNKNOWN_DAYS = 30
"""Days whose generations of unknown cost are counted."""
# The latest by `created_at`, whose index finds them in a table of any size.
LATEST = 500
"""How many of the latest generations are examined for deliveries."""
# Longer than the day that the key names, however exactly the cache counts the time.
KEPT_SECONDS = 2 * 86400
DELIVERED_AFTER = timedelta(minutes=5)
"""A younger generation may still get its delivery."""


@dataclass(frozen=True, slots=True)
class Workload:
    """What is under way at one moment."""

    at: datetime
    by_status: dict[str, int]
    """Generations that are not final, expired ones included."""
    queued_since: datetime | None
    """When the oldest queued generation was created."""
    overdue: int
    overdue_since: datetime | None
    swept_at: datetime | None
    """When the latest sweep began; None if none ever has."""
    unknown: int
    """Generations that ended in the last 30 days and whose cost is unknown."""
    open_circuits: dict[str, datetime] = field(default_factory=dict)
    """Accounts whose remote does not answer, and when it is tried again."""
    expected_deliveries: int = 0
    """Asynchronous generations among the latest 500."""
    deliveries: int = 0
    """Those of them that got a webhook delivery."""
    refused_deliveries: int = 0
    """Deliveries refused today (UTC), as far as the site's cache knows."""

    @property
    def in_flight(self) -> int:
        return sum(self.by_status.get(status, 0) for status in IN_FLIGHT)


def read_workload(*, now: datetime) -> Workload:
    """Return the figures. Seven queries."""
    waiting = sorted({*IN_FLIGHT, Status.QUEUED, Status.EXPIRED})
    counts = Generation.objects.filter(status__in=waiting).order_by().values_list("status")
    queued = Generation.objects.filter(status=Status.QUEUED)
    # Final rows that wait for their announcement, too: it is the sweep that is late.
    late = Generation.objects.filter(due_at__lt=now - OVERDUE_AFTER)
    overdue = late.aggregate(count=Count("pk"), since=Min("due_at"))
    month = clock.utc_day(now - timedelta(days=UNKNOWN_DAYS))
    unknown = UsageTotal.objects.filter(day__gt=month).aggregate(sum=Sum("credits_unknown"))
    expected, delivered = _deliveries(now=now)
    return Workload(
        at=now,
        by_status=dict(counts.annotate(Count("pk"))),
        queued_since=queued.aggregate(first=Min("created_at"))["first"],
        overdue=overdue["count"],
        overdue_since=overdue["since"],
        swept_at=SweepSchedule.objects.values_list("swept_at", flat=True).first(),
        unknown=unknown["sum"] or 0,
        open_circuits={c.account: c.open_until for c in Circuit.objects.all() if c.open_until},
        expected_deliveries=expected,
        deliveries=delivered,
        refused_deliveries=_read_refused(_refused_key(now)),
    )


def oldest_overdue(*, now: datetime) -> Generation | None:
    """Return the row that has been due longest, if it is overdue, or None."""
    return Generation.objects.due(now - OVERDUE_AFTER).first()


def note_refused_delivery() -> None:
    """Count a refused delivery, in the cache, because a stranger must not write to the database.

    Never raises: the answer to the stranger stays what it is.
    """
    # A cache in the database, too: the answer must not depend on it.
    with suppress(DatabaseFault):
        site_cache.count(_refused_key(clock.known_now()), seconds=KEPT_SECONDS)


def _read_refused(key: str) -> int:
    try:
        return int(site_cache.recall(key) or 0)
    except (DatabaseFault, ValueError):
        return 0


def _refused_key(now: datetime) -> str:
    return f"creatify_textgen:refused:{clock.utc_day(now)}"


def _deliveries(*, now: datetime) -> tuple[int, int]:
    older = Generation.objects.filter(created_at__lt=now - DELIVERED_AFTER).order_by("-created_at")
    latest = older.values_list("mode", "deliveries", "attempts")[:LATEST]
    # A row without a send, such as one that was cancelled, gets no delivery.
    sent = [deliveries for mode, deliveries, tries in latest if mode == Mode.ASYNC and tries]
    return len(sent), sum(deliveries > 0 for deliveries in sent)
