"""What was used, by day, model, owner and more, and for how long the balance lasts.

The sums come from the daily rollup, so they agree with the rows, and any number of generations
takes the same time. Facts that the rollup lacks are read only from the latest generations.
Invariant: an unknown cost is reported as unknown, never counted as zero.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import MAXYEAR, MINYEAR, UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

from django.contrib.auth import get_user_model
from django.db.models import OuterRef, QuerySet, Subquery, Sum

from creatify_textgen import clock
from creatify_textgen.control.quantiles import quantile
from creatify_textgen.models import Generation, GenerationEvent, UsageDay, UsageTotal
from creatify_textgen.states import Cause, Status

__all__ = ["CreditReport", "Forecast", "LatestGenerations", "UsageScope"]

WEEK = 7
"""Days that a forecast looks back on: each day of the week once."""
LATEST = 5000
"""Generations that modes, errors and durations are read from."""
DURATIONS = ("median_seconds", "p95_seconds", "median_first_seconds", "p95_first_seconds")

Row = dict[str, Any]


class Forecast(NamedTuple):
    """What will be used at the rate of the last seven days. Known costs only."""

    daily: Decimal = Decimal()
    month_used: Decimal = Decimal()
    month_projected: Decimal = Decimal()

    def lasts_days(self, remaining: Decimal | None) -> float | None:
        """For how many days the balance lasts; None if it is unknown or nothing is used."""
        if remaining is None or not self.daily:
            return None
        return float(max(remaining, Decimal()) / self.daily)


@dataclass(frozen=True, slots=True)
class LatestGenerations:
    """What the latest generations of a period were, at most 5,000."""

    count: int = 0
    by_mode: list[Row] = field(default_factory=list)
    """`{"mode", "generations", "credits_used", "credits_unknown"}`, the most expensive first."""
    by_error: list[Row] = field(default_factory=list)
    """The same under `error_code`, the most frequent first, without those that had no error."""
    median_seconds: float | None = None
    """Of those that are done, from the request to the result."""
    p95_seconds: float | None = None
    """Of 100, 95 took at most this."""
    median_first_seconds: float | None = None
    """Of streams, from the request to the first chunk."""
    p95_first_seconds: float | None = None

    def durations(self) -> dict[str, float | None]:
        """Return the four durations by name, rounded to milliseconds."""
        return {
            name: value if value is None else round(value, 3)
            for name in DURATIONS
            for value in [getattr(self, name)]
        }


@dataclass(frozen=True, slots=True)
class CreditReport:
    """Credits of one workspace, or of all, as far as they are known."""

    remaining: Decimal | None
    """None if no balance is known: the remote has not answered for a day."""
    remaining_age_seconds: float | None
    used: Decimal
    """The sum of the known costs."""
    unknown: int
    """The number of finished generations whose cost the remote has not reported."""
    forecast: Forecast = field(default_factory=Forecast)
    by_day: list[Row] = field(default_factory=list)
    """`{"day", "generations", "credits_used", "credits_unknown"}`, latest first."""
    by_model: list[Row] = field(default_factory=list)
    by_status: list[Row] = field(default_factory=list)
    by_owner: list[Row] = field(default_factory=list)
    """The same by the key of the owner, None for the site itself; empty unless it was asked for."""

    @property
    def lasts_days(self) -> float | None:
        """For how many days the balance lasts at the rate of the last week."""
        return self.forecast.lasts_days(self.remaining)


class UsageScope(NamedTuple):
    """Whose usage, and of which days (UTC, both included). None means all."""

    account: str | None = None
    owner: Any = None
    since: date | None = None
    until: date | None = None

    def totals(self) -> tuple[Decimal, int]:
        """Return the sum of the known costs, and the number of those that are unknown."""
        sums = self._rows().aggregate(used=Sum("credits_used"), unknown=Sum("credits_unknown"))
        return sums["used"] or Decimal(), sums["unknown"] or 0

    def by(self, *names: str, **filters: Any) -> list[Row]:
        """Return the sums by these columns, the last value first."""
        by_owner = any(name.startswith("owner") for name in names)
        rows = self._rows(by_owner=by_owner)
        groups = rows.filter(**filters).order_by(*(f"-{name}" for name in names))
        return [
            dict(zip((*names, "generations", "credits_used", "credits_unknown"), row, strict=True))
            for row in groups.values_list(*names).annotate(
                Sum("generations"), Sum("credits_used"), Sum("credits_unknown")
            )
        ]

    def by_group(self) -> list[Row]:
        """Return the sums by group of users. A user in two groups counts in both."""
        # A host's own user model may know no groups.
        if not hasattr(get_user_model(), "groups"):
            return []
        return [row for row in self.by("owner__groups__name") if row["owner__groups__name"]]

    def forecast(self, *, today: date) -> Forecast:
        """Return what the month will cost, by the last seven full days."""
        everything = UsageScope(self.account, self.owner)._rows()
        before, month = today - timedelta(days=WEEK), today.replace(day=1)
        since = everything.filter(day__gte=min(before, month))
        sums = {row["day"]: row["used"] for row in _by_day(since)}
        week = {day: used for day, used in sums.items() if before <= day < today}
        days = WEEK
        if week and not everything.filter(day__lt=before).exists():
            # A site that is younger than a week.
            days = (today - min(week)).days
        daily = sum(week.values(), Decimal()) / days
        used = sum((used for day, used in sums.items() if day >= month), Decimal())
        # 32 days after the first of a month is always in the next. Today counts as it is by now,
        # and the days after it are projected.
        next_month = (month + timedelta(days=32)).replace(day=1)
        return Forecast(daily, used, used + daily * ((next_month - today).days - 1))

    def latest(self) -> LatestGenerations:
        """Read the latest generations that were created in these days. One query."""
        rows = Generation.objects.order_by("-created_at")
        for name in ("account", "owner"):
            if (value := getattr(self, name)) is not None:
                rows = rows.filter(**{name: value})
        # Nothing is outside of these years, and the calendar ends there.
        if self.since and self.since.year > MINYEAR:
            rows = rows.filter(created_at__gte=_midnight(self.since))
        if self.until and self.until.year < MAXYEAR:
            rows = rows.filter(created_at__lt=_midnight(self.until + timedelta(days=1)))
        columns = ("mode", "error_code", "status", "credits_used", "created_at", "finished_at")
        # The first chunk makes a stream's row running.
        first_chunk = GenerationEvent.objects.filter(
            generation=OuterRef("pk"), status=Status.RUNNING, cause=Cause.STREAM
        )
        began = Subquery(first_chunk.order_by("id").values("at")[:1])
        return _summed(list(rows.values(*columns, began_at=began)[:LATEST]))

    def _rows(self, *, by_owner: bool = False) -> QuerySet[Any]:
        # One row for all owners, so that a report of everybody does not read one for each user.
        table = UsageTotal if self.owner is None and not by_owner else UsageDay
        asked = {
            "account": self.account,
            "owner": self.owner,
            "day__gte": self.since,
            "day__lte": self.until,
        }
        given = {name: value for name, value in asked.items() if value is not None}
        return table._default_manager.filter(**given)


def _by_day(usage: QuerySet[Any]) -> list[Any]:
    return list(usage.order_by().values("day").annotate(used=Sum("credits_used")))


def _midnight(day: date) -> datetime:
    return clock.to_stored(datetime.combine(day, time.min, tzinfo=UTC))


def _summed(rows: Sequence[Row]) -> LatestGenerations:
    errors = [row for row in rows if row["error_code"]]
    done = [row for row in rows if row["status"] == Status.DONE]
    seconds, firsts = _waits(done, until="finished_at"), _waits(rows, until="began_at")
    return LatestGenerations(
        count=len(rows),
        by_mode=_grouped(rows, "mode", order="credits_used"),
        by_error=_grouped(errors, "error_code", order="generations"),
        median_seconds=quantile(seconds, 0.5),
        p95_seconds=quantile(seconds, 0.95),
        median_first_seconds=quantile(firsts, 0.5),
        p95_first_seconds=quantile(firsts, 0.95),
    )


def _waits(rows: Iterable[Row], *, until: str) -> list[float]:
    """Return the seconds from each request to this moment, the shortest first."""
    ended = (row for row in rows if row[until] is not None)
    return sorted((row[until] - row["created_at"]).total_seconds() for row in ended)


def _grouped(rows: Iterable[Row], name: str, *, order: str) -> list[Row]:
    sums: defaultdict[str, Row] = defaultdict(
        lambda: {"generations": 0, "credits_used": Decimal(), "credits_unknown": 0}
    )
    for row in rows:
        total, cost = sums[row[name]], row["credits_used"]
        total["generations"] += 1
        total["credits_used"] += cost or 0
        # One that has not ended has no cost yet, which is not the same as an unknown one.
        total["credits_unknown"] += cost is None and row["finished_at"] is not None
    groups = [{name: value, **total} for value, total in sums.items()]
    return sorted(groups, key=lambda group: group[order], reverse=True)
