"""Metrics of the database: read at each scrape, so every process reports the same.

Invariant: a constant number of statements, which read only open rows and those of recent days.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, Q, Sum
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from creatify_textgen import clock
from creatify_textgen.models import (
    Circuit,
    Generation,
    Pause,
    SweepSchedule,
    UsageTotal,
)
from creatify_textgen.services import OVERDUE_AFTER, UNKNOWN_DAYS, budget_states
from creatify_textgen.states import TERMINAL, Mode, Status

__all__ = ["RowCollector"]

NAME = "creatify_textgen"
OPEN = frozenset(Status) - TERMINAL
SPENT = ("settled", "reserved", "unknown")


class RowCollector(Collector):
    """Register it with a registry that you own to have these figures also there."""

    def describe(self) -> Iterable[Metric]:
        """Return nothing, so that registering it does not read the database."""
        return []

    def collect(self) -> Iterator[Metric]:
        now = clock.now()
        yield _open_rows()
        yield from _due_rows(now)
        yield _pumps(now)
        yield from _circuits()
        yield _pauses(now)
        yield from _usage(now)
        yield _unknown(now)
        yield from _budgets()


def _gauge(name: str, text: str, labels: tuple[str, ...], rows: Iterable[Any]) -> Metric:
    """Return a gauge; each row has the labels, then the value."""
    family = GaugeMetricFamily(f"{NAME}_{name}", text, labels=labels)
    for *values, number in rows:
        family.add_metric([str(value) for value in values], float(number))
    return family


def _open_rows() -> Metric:
    labels = ("account", "mode", "status")
    rows = Generation.objects.filter(status__in=OPEN).order_by().values_list(*labels)
    counted = rows.annotate(number=Count("pk"))
    return _gauge("open", "Generations without a final status.", labels, counted)


def _due_rows(now: datetime) -> Iterator[Metric]:
    due = Generation.objects.due(now)
    oldest = due.values_list("due_at", flat=True).first()
    text = "Seconds for which the oldest due generation has waited for a sweep."
    yield _gauge("oldest_due_seconds", text, (), [(_seconds_since(oldest, now),)])
    late = due.filter(due_at__lte=now - OVERDUE_AFTER).count()
    yield _gauge("overdue", "Generations due for more than three minutes.", (), [(late,)])
    scheduled = SweepSchedule.objects.values_list("due_at", flat=True).first()
    text = "Seconds for which the next sweep should have run already."
    yield _gauge("sweep_lag_seconds", text, (), [(_seconds_since(scheduled, now),)])


def _pumps(now: datetime) -> Metric:
    # `Generation.is_pumped` as a query. The two must agree: change them together.
    pumped = Generation.objects.filter(
        mode=Mode.STREAM,
        status__in=(Status.SUBMITTING, Status.RUNNING),
        remote_id=None,
        polls=0,
        due_at__gt=now,
    )
    return _gauge("pumps", "Streams that a pump reads.", (), [(pumped.count(),)])


def _circuits() -> Iterator[Metric]:
    circuits = list(Circuit.objects.values_list("account", "open_until", "failures"))
    # Open also if the time is over: then one request tests the remote and the others wait.
    is_open = [(account, until is not None) for account, until, _ in circuits]
    text = "1 if requests of an account wait because the remote does not answer."
    yield _gauge("circuit_open", text, ("account",), is_open)
    failures = [(account, count) for account, _, count in circuits]
    yield _gauge("circuit_failures", "Failures in a row.", ("account",), failures)


def _pauses(now: datetime) -> Metric:
    # The app's own pauses have an end, and no process deletes them at that moment.
    in_force = Pause.objects.filter(Q(until=None) | Q(until__gt=now))
    rows = [(*row, 1) for row in in_force.values_list("account", "code")]
    text = "1 if sending of an account is paused; an empty account means all."
    return _gauge("paused", text, ("account", "code"), rows)


def _usage(now: datetime) -> Iterator[Metric]:
    labels = ("account", "status")
    groups = UsageTotal.objects.filter(day=clock.utc_day(now)).order_by()
    sums = groups.values_list(*labels).annotate(
        Sum("generations"), Sum("credits_used"), Sum("credits_unknown")
    )
    # One statement for three metrics.
    rows = list(sums)
    for at, name, text in (
        (2, "ended_today", "Generations that ended today (UTC)."),
        (3, "credits_today", "Credits used today (UTC)."),
        (4, "credits_unknown_today", "Generations of today whose cost is unknown."),
    ):
        yield _gauge(name, text, labels, [(row[0], row[1], row[at]) for row in rows])


def _unknown(now: datetime) -> Metric:
    # Not only of today: at midnight the unknown costs do not become known.
    days = UsageTotal.objects.filter(
        day__gt=clock.utc_day(now - timedelta(days=UNKNOWN_DAYS))
    ).order_by()
    sums = days.values_list("account").annotate(Sum("credits_unknown"))
    text = f"Generations of the last {UNKNOWN_DAYS} days whose cost is unknown."
    return _gauge("costs_unknown", text, ("account",), sums)


def _budgets() -> Iterator[Metric]:
    labels = ("budget", "unit", "period")
    states = [
        ((state.budget.name, state.budget.unit, state.budget.period), state)
        for state in budget_states()
    ]
    limits = [(*names, state.budget.limit) for names, state in states]
    yield _gauge("budget_limit", "What a budget allows in its period.", labels, limits)
    used = [(*names, kind, getattr(state, kind)) for names, state in states for kind in SPENT]
    text = "What counts for a budget in its current period."
    yield _gauge("budget_used", text, (*labels, "kind"), used)


def _seconds_since(at: datetime | None, now: datetime) -> float:
    return 0.0 if at is None else max(0.0, (now - at) / timedelta(seconds=1))
