"""The period of a list, and the search by id, which ignores the period.

Invariant: a search or filter without an index is limited to a period, so no list reads a whole
table.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from typing import Any, ClassVar
from uuid import UUID

from django.conf import settings
from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import PAGE_VAR, SEARCH_VAR
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from creatify_textgen import clock
from creatify_textgen.models import Generation, read_uuid

__all__ = ["PeriodFilter", "UsagePeriodFilter", "find_by_id", "hidden_fields"]

UNINDEXED = {"mode__exact", "model_name", "account", "error_code"}
"""Filters on columns without an index."""
# Never reached: an id at the remote is unique per account, and a site has few accounts.
MOST_FOUND = 1000


class PeriodFilter(admin.ListFilter):
    """By day of creation, in Django's current time zone: a period, or any two days.

    Without a choice it is everything, or the last 30 days if no index serves the other filters.
    """

    title = _("period")
    template = "creatify_textgen/admin/period_filter.html"
    column: ClassVar[str] = "created_at"
    parameters = ("period", "since", "until")
    periods: ClassVar[dict[str, Any]] = {
        "all": _("Any time"),
        "today": _("Today"),
        "yesterday": _("Yesterday"),
        "7": _("7 days"),
        "30": _("30 days"),
        "month": _("This month"),
        "last_month": _("Last month"),
    }

    def __init__(self, request: HttpRequest, params: Any, model: Any, model_admin: Any) -> None:
        super().__init__(request, params, model, model_admin)
        names = self.parameters
        # What no filter takes out of `params`, Django uses as a lookup of a column.
        self._given: dict[str, str] = {
            name: params.pop(name)[-1] for name in names if name in params
        }
        self.is_default = not any(self._given.values())
        self.since, self.until = (self._day(name) for name in ("since", "until"))
        # Days count more than a period: a form may send both.
        self.period = self._given.get("period") or self._default(request)
        self.hidden: list[tuple[str, str]] = []

    def expected_parameters(self) -> list[str | None]:
        return list(self.parameters)

    def has_output(self) -> bool:
        return True

    def choices(self, changelist: Any) -> Iterator[dict[str, Any]]:
        self.hidden = hidden_fields(changelist, without=self.parameters)
        for period, label in self.periods.items():
            yield {
                "selected": period == self.period,
                "query_string": changelist.get_query_string(
                    {"period": period}, remove=["since", "until"]
                ),
                "display": label,
            }

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        since, end = self._bounds()
        if since:
            queryset = queryset.filter(**{f"{self.column}__gte": self._bound(since)})
        return queryset.filter(**{f"{self.column}__lt": self._bound(end)}) if end else queryset

    def _default(self, request: HttpRequest) -> str:
        if self.since or self.until:
            return ""
        words = request.GET.get(SEARCH_VAR, "").strip()
        is_slow = bool(UNINDEXED & request.GET.keys()) or request.GET.get("attention") == "cost"
        if words and not is_slow:
            is_slow = not find_by_id(request, words)
        return "30" if is_slow else "all"

    def _bounds(self) -> tuple[date | None, date | None]:
        """Return the first day, and the day after the last."""
        if self.since or self.until:
            return self.since, self.until and self.until + timedelta(days=1)
        today = self._today()
        month = today.replace(day=1)
        if self.period.isdecimal() and self.period in self.periods:
            # Today is one of the days. No end, because nothing is created later.
            return today - timedelta(days=int(self.period) - 1), None
        bounds: dict[str, tuple[date, date | None]] = {
            "today": (today, None),
            "yesterday": (today - timedelta(days=1), today),
            "month": (month, None),
            "last_month": ((month - timedelta(days=1)).replace(day=1), month),
        }
        return bounds.get(self.period, (None, None))

    def _day(self, name: str) -> date | None:
        text = self._given.get(name)
        try:
            return date.fromisoformat(text) if text else None
        except ValueError as error:
            raise IncorrectLookupParameters(str(error)) from error

    def _bound(self, day: date) -> Any:
        # Not `created_at__date`: a function of the column would not use its index.
        midnight = datetime.combine(day, time.min)
        return timezone.make_aware(midnight) if settings.USE_TZ else midnight

    def _today(self) -> date:
        return timezone.localdate() if settings.USE_TZ else clock.now().date()


class UsagePeriodFilter(PeriodFilter):
    """By the day (UTC) of the usage table."""

    column = "day"

    def _bound(self, day: date) -> Any:
        return day

    def _today(self) -> date:
        return clock.utc_now().date()


def hidden_fields(changelist: Any, *, without: tuple[str, ...]) -> list[tuple[str, str]]:
    """Return the other filters, for a form that sends its own part of the query string."""
    skipped = {*without, PAGE_VAR}
    kept = changelist.filter_params.items()
    return [(name, value) for name, values in kept if name not in skipped for value in values]


def find_by_id(request: HttpRequest, term: str) -> list[UUID]:
    """Return the keys of generations with this id, or with exactly this id at the remote.

    An index finds both. The answer is kept for the rest of the request.
    """
    found: dict[str, list[UUID]] = request.__dict__.setdefault("_textgen_ids", {})
    if term not in found:
        key = read_uuid(term)
        rows = Generation.objects.with_remote_id(term).values_list("pk", flat=True)
        # PostgreSQL refuses a NUL.
        found[term] = [] if "\0" in term else [*([key] if key else []), *rows[:MOST_FOUND]]
    return found[term]
