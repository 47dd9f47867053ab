"""The tables of the credits page. Each row leads to its generations in the history."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, NamedTuple
from urllib.parse import urlencode

from django.contrib.auth import get_user_model
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from creatify_textgen.admin.filters import NOBODY
from creatify_textgen.admin.rendering import (
    NOTHING,
    format_credits,
    format_number,
    history_path,
    render_status,
    show_control_chars,
)
from creatify_textgen.services.credits import CreditReport, LatestGenerations, UsageScope
from creatify_textgen.states import Mode

__all__ = ["Bar", "Table", "Tables", "first_of_month", "same_day"]

MOST_ROWS = 50

Row = Mapping[str, Any]
Rows = Sequence[Row]


class Bar(NamedTuple):
    """One line of a table, with its length against the largest."""

    label: Any
    link: str
    generations: int
    credits: str
    unknown: int
    share: str
    """Of the largest, from 0 to 1. Text, because templates write numbers in the reader's format."""


class Table(NamedTuple):
    """Sums by one thing."""

    title: str
    heading: str
    bars: list[Bar]
    more: int = 0
    """Rows that are not shown."""
    note: str = ""


def same_day(day: date) -> date:
    return day


def first_of_month(day: date) -> date:
    return day.replace(day=1)


class Tables(NamedTuple):
    """What the tables are made from."""

    scope: UsageScope
    report: CreditReport
    latest: LatestGenerations
    site: str
    days: Sequence[date]
    """Every day of the period."""
    is_long: bool
    """Whether days are summed up by month."""
    has_accounts: bool
    """Whether there are sums of several accounts, also of removed ones."""

    def read_all(self) -> Iterator[Table]:
        """Yield the tables. The last one is by time."""
        report, latest = self.report, self.latest
        yield self._table(_("By model"), _("Model"), "model_name", _dearest(report.by_model))
        yield self._owners()
        # Without links, because the history has no filter by group.
        groups = _dearest(self.scope.by_group())
        yield self._table(_("By group"), _("Group"), "owner__groups__name", groups, parameter="")
        yield self._table(
            *(_("By status"), _("Status"), "status", _dearest(report.by_status)),
            show=render_status,
            parameter="status__exact",
        )
        # The sums have no column for the mode and the error, so these two tables read generations.
        text = _("Of the latest %(count)s generations that were created in this period.")
        note = text % {"count": format_number(latest.count)}
        yield self._table(
            *(_("By mode"), _("Mode"), "mode", latest.by_mode),
            show=_mode_label,
            parameter="mode__exact",
            note=note,
        )
        yield self._table(_("By error"), _("Error"), "error_code", latest.by_error, note=note)
        yield self._times()

    def _owners(self) -> Table:
        rows = _dearest(self.report.by_owner)
        # Only those that are shown: a site may have very many users.
        keys = [row["owner"] for row in rows[:MOST_ROWS] if row["owner"] is not None]
        users = get_user_model()._default_manager.in_bulk(keys)

        def show(key: Any) -> str:
            name = _("the site itself") if key is None else str(users.get(key, key))
            return show_control_chars(name)

        named = [{**row, "key": NOBODY if row["owner"] is None else row["owner"]} for row in rows]
        return _make(
            *(_("By owner"), _("Owner"), named),
            show=lambda row: show(row["owner"]),
            link=lambda row: self._link(owner=row["key"]),
        )

    def _times(self) -> Table:
        bucket = first_of_month if self.is_long else same_day
        # Days without use are part of the picture.
        nothing = {"generations": 0, "credits_used": Decimal(), "credits_unknown": 0}
        sums: dict[date, dict[str, Any]] = {
            day: {"day": day, **nothing} for day in map(bucket, self.days)
        }
        for row in self.report.by_day:
            for name in nothing:
                sums[bucket(row["day"])][name] += row[name]
        rows = sorted(sums.values(), key=lambda row: row["day"], reverse=True)
        if self.is_long:
            title, heading, form = _("By month"), _("Month (UTC)"), "F Y"
        else:
            title, heading, form = _("By day"), _("Day (UTC)"), "DATE_FORMAT"
        return _make(
            *(title, heading, rows),
            show=lambda row: date_format(row["day"], form),
            link=self._link_time,
            most=len(rows),
        )

    def _link_time(self, row: Row) -> str:
        first = last = row["day"]
        if self.is_long:
            # 32 days after its first day is in the next month, whatever its length.
            last = first_of_month(first + timedelta(days=32)) - timedelta(days=1)
        # The first and the last month of a period may be only parts of months.
        since = max(first, self.scope.since or first)
        if self.scope.until is not None:
            return self._link(since=since, until=min(last, self.scope.until))
        # Without an end up to now: a local day may have begun that has not begun in UTC.
        return self._link(since=since, until=last if last < max(self.days) else None)

    def _table(
        self,
        title: str,
        heading: str,
        name: str,
        rows: Rows,
        *,
        show: Callable[[Any], Any] = show_control_chars,
        parameter: str | None = None,
        note: str = "",
    ) -> Table:
        asked = name if parameter is None else parameter
        return _make(
            *(title, heading, rows),
            # The remote may list a generation without its model, and no filter finds an empty name.
            show=lambda row: show(row[name]) if row[name] else NOTHING,
            link=lambda row: self._link(**{asked: row[name]}) if asked and row[name] else "",
            note=note,
        )

    def _link(self, **parameters: Any) -> str:
        own: dict[str, Any] = {"since": self.scope.since, "until": self.scope.until}
        # A filter by account has no index, so it is left out if it changes nothing.
        if self.has_accounts:
            own["account"] = self.scope.account
        asked = {
            key: value for key, value in {**own, **parameters}.items() if value not in (None, "")
        }
        # Otherwise a filter without an index would show the last 30 days (`PeriodFilter`).
        if not asked.keys() & {"since", "until"}:
            asked["period"] = "all"
        return history_path(urlencode(asked), site=self.site)


def _dearest(rows: Rows) -> Rows:
    return sorted(rows, key=lambda row: row["credits_used"], reverse=True)


def _mode_label(mode: str) -> str:
    return str(Mode(mode).label) if mode in Mode.values else show_control_chars(mode)


def _make(
    title: str,
    heading: str,
    rows: Rows,
    *,
    show: Callable[[Row], Any],
    link: Callable[[Row], str],
    note: str = "",
    most: int = MOST_ROWS,
) -> Table:
    largest = max((row["credits_used"] for row in rows), default=Decimal())
    bars = [_bar(show(row), link(row), row, largest=largest) for row in rows[:most]]
    return Table(title, heading, bars, max(0, len(rows) - most), note)


def _bar(label: Any, link: str, row: Mapping[str, Any], *, largest: Decimal) -> Bar:
    used, unknown, count = row["credits_used"], row["credits_unknown"], row["generations"]
    # A sum of 0 is known if at least one of its costs is, or if there are no generations.
    is_known = used or unknown < count or not count
    return Bar(
        label=label,
        link=link,
        generations=count,
        credits=format_credits(used if is_known else None),
        unknown=unknown,
        share=f"{used / largest:.4f}" if largest else "0",
    )
