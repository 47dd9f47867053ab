"""The credits page: the balance, how long it lasts, and what was used by whom."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_safe

from creatify_textgen import clock, databases, services
from creatify_textgen.admin.budgets import describe_state
from creatify_textgen.admin.chart import Column, draw
from creatify_textgen.admin.credit_tables import Tables, first_of_month, same_day
from creatify_textgen.admin.permissions import may_export, may_view_balance, may_view_generations
from creatify_textgen.admin.rendering import (
    admin_path,
    format_credits,
    format_duration,
    format_number,
    named,
    show_control_chars,
)
from creatify_textgen.conf import conf
from creatify_textgen.models import UsageTotal
from creatify_textgen.permissions import is_staff_with
from creatify_textgen.services.credits import CreditReport, LatestGenerations, UsageScope
from creatify_textgen.states import Status

__all__ = ["credits_page"]

PERIODS = {
    "month": gettext_lazy("This month"),
    "last_month": gettext_lazy("Last month"),
    "7": gettext_lazy("7 days"),
    "30": gettext_lazy("30 days"),
    "90": gettext_lazy("90 days"),
    "all": gettext_lazy("All time"),
}
DEFAULT_PERIOD = "30"
ALL_ACCOUNTS = "*"
MOST_DAYS = 62
"""Days that a chart shows one by one; a longer period is shown by month."""
YEARS_SHOWN = 10
"""Years without use that are shown at most: a query string may ask for all centuries."""
SERIES = 5
"""Models that have their own color; the others share one."""
MOST_BUDGETS = 50
DAY_INPUT = {"type": "date"}


class CreditsForm(forms.Form):
    """Which account, and which days. If a day is given, the period does not count."""

    account = forms.ChoiceField(label=gettext_lazy("Account"))
    period = forms.ChoiceField(label=gettext_lazy("Period"), choices=list(PERIODS.items()))
    since = forms.DateField(
        label=gettext_lazy("From (UTC)"),
        required=False,
        widget=forms.DateInput(attrs=DAY_INPUT, format="%Y-%m-%d"),
        input_formats=["%Y-%m-%d"],
    )
    until = forms.DateField(
        label=gettext_lazy("To"),
        required=False,
        widget=forms.DateInput(attrs=DAY_INPUT, format="%Y-%m-%d"),
        input_formats=["%Y-%m-%d"],
    )

    def __init__(self, given: dict[str, str], *, accounts: Sequence[str]) -> None:
        super().__init__(given)
        account: Any = self.fields["account"]
        self.has_accounts = len(accounts) > 1
        every = [(ALL_ACCOUNTS, _("All accounts"))] if self.has_accounts else []
        account.choices = [*every, *named(accounts)]

    def days(self, *, today: date) -> tuple[date | None, date | None]:
        """Return the first day, or None for all time, and the last, or None for today."""
        since, until = self.cleaned_data["since"], self.cleaned_data["until"]
        if since or until:
            # Links to the history have no end either. In a zone east of UTC the next day has begun
            # there, and an end would leave out the latest generations.
            return since, until if until and until < today else None
        month = today.replace(day=1)
        match self.cleaned_data["period"]:
            case "all":
                return None, None
            case "month":
                return month, None
            case "last_month":
                last = month - timedelta(days=1)
                return last.replace(day=1), last
            case days:
                # Today is one of them, as in the filter of the history.
                return today - timedelta(days=int(days) - 1), None


@databases.outside_transactions
@require_safe
def credits_page(request: HttpRequest, *, model_admin: Any) -> HttpResponse:
    if not may_view_generations(request):
        raise PermissionDenied
    form = _bound_form(request)
    today = clock.utc_now().date()
    since, until = form.days(today=today)
    account = form.cleaned_data["account"]
    # The remote knows no balance for an account whose keys are no longer in the settings.
    has_balance = may_view_balance(request) and account in {ALL_ACCOUNTS, *conf.accounts}
    scope = UsageScope(None if account == ALL_ACCOUNTS else account, None, since, until)
    report = services.credits(
        account=scope.account, since=since, until=until, by_owner=True, with_balance=has_balance
    )
    latest, days = scope.latest(), _days(scope, report.by_day, today=today)
    site = model_admin.admin_site.name
    tables = Tables(
        *(scope, report, latest, site, days), is_long=_is_long(days), has_accounts=form.has_accounts
    )
    context = {
        **model_admin.admin_site.each_context(request),
        "title": _("Credits"),
        "opts": model_admin.opts,
        "media": model_admin.media,
        "form": form,
        **_figures(report),
        "latest": latest,
        **_describe_latest(latest),
        **_drawing(scope, report, days),
        "tables": list(tables.read_all()),
        "budgets": _budgets(request),
        "has_balance": has_balance,
        "audit": _audit(request, scope),
        "export_url": _export_path(scope, site=site) if may_export(request) else "",
    }
    request.current_app = model_admin.admin_site.name
    return TemplateResponse(request, "creatify_textgen/admin/credits.html", context)


def _known_accounts() -> list[str]:
    """Return the accounts of the settings, then those that were removed and have sums."""
    accounts = list(conf.accounts)
    removed = UsageTotal.objects.exclude(account__in=accounts).order_by("account")
    # A site whose settings have no account is warned by the check W018, and still has the page.
    return [*accounts, *removed.values_list("account", flat=True).distinct()] or ["default"]


def _bound_form(request: HttpRequest) -> CreditsForm:
    accounts = _known_accounts()
    defaults = {"account": accounts[0], "period": DEFAULT_PERIOD}
    names = (*defaults, "since", "until")
    given = {name: request.GET.get(name) or defaults.get(name, "") for name in names}
    form = CreditsForm(given, accounts=accounts)
    if form.is_valid():
        return form
    # A link to an account that was removed since still shows a page.
    form = CreditsForm(defaults, accounts=accounts)
    form.is_valid()
    return form


def _audit(request: HttpRequest, scope: UsageScope) -> dict[str, Any] | None:
    """Return how the balance moved between the two latest runs of `reconcile`."""
    # Each workspace has its balance, so there is no audit of all accounts together.
    if scope.account is None or not may_view_balance(request):
        return None
    audit = services.latest_audit(scope.account)
    if audit is None:
        return None
    amounts = {name: getattr(audit, name) for name in ("moved", "used", "unexplained")}
    return {
        "since": audit.before.at,
        "until": audit.after.at,
        # A balance that fell by less than was used: credits were bought, or a month began.
        "bought": audit.unexplained < 0,
        "missing": audit.unexplained > 0,
        "may_even_out": audit.may_even_out,
        **{name: format_credits(abs(amount)) for name, amount in amounts.items()},
        "rose": audit.moved < 0,
    }


def _budgets(request: HttpRequest) -> list[tuple[str, dict[str, Any]]]:
    if not is_staff_with(request.user, "view_budget"):
        return []
    return [
        (show_control_chars(state.budget.name), describe_state(state))
        for state in services.budget_states()[:MOST_BUDGETS]
    ]


def _figures(report: CreditReport) -> dict[str, Any]:
    forecast = report.forecast
    return {
        "report": report,
        "remaining": format_credits(report.remaining),
        "age": format_duration(report.remaining_age_seconds),
        "lasts": None if report.lasts_days is None else format_number(int(report.lasts_days)),
        "used": format_credits(report.used),
        "month_used": format_credits(_shortened(forecast.month_used)),
        "month_projected": format_credits(_shortened(forecast.month_projected)),
        "daily": format_credits(_shortened(forecast.daily)),
    }


def _describe_latest(latest: LatestGenerations) -> dict[str, str]:
    seconds = {
        "median": latest.median_seconds,
        "p95": latest.p95_seconds,
        "median_first": latest.median_first_seconds,
        "p95_first": latest.p95_first_seconds,
    }
    return {name: format_duration(value) for name, value in seconds.items()}


def _export_path(scope: UsageScope, *, site: str) -> str:
    """Return the path of an export of the generations that were created in these days."""
    names = ("since", "until", "account")
    asked = {name: value for name in names if (value := getattr(scope, name))}
    # Otherwise the filter by account would show the last 30 days (`PeriodFilter`).
    if not asked.keys() & {"since", "until"}:
        asked["period"] = "all"
    path = admin_path("generation_export", site=site, key="csv")
    return f"{path}?{urlencode(asked)}" if path else ""


def _drawing(scope: UsageScope, report: CreditReport, days: Sequence[date]) -> dict[str, Any]:
    """Return the chart: columns by day or by month, stacked by model, and a line of failures."""
    bucket, form = (first_of_month, "N Y") if _is_long(days) else (same_day, "j M")
    buckets = list(dict.fromkeys(map(bucket, days)))
    # The dearest models of the whole period, so that a color means the same in each column.
    totals = sorted(report.by_model, key=lambda row: row["credits_used"], reverse=True)
    models = [row["model_name"] for row in totals if row["credits_used"]][:SERIES]
    amounts = {bucket: [Decimal()] * (len(models) + 1) for bucket in buckets}
    for row in scope.by("day", "model_name"):
        name = row["model_name"]
        series = models.index(name) if name in models else len(models)
        amounts[bucket(row["day"])][series] += row["credits_used"]
    failed = dict.fromkeys(buckets, 0)
    for row in scope.by("day", status=Status.FAILED):
        failed[bucket(row["day"])] += row["generations"]
    chart = draw([Column(date_format(b, form), amounts[b], failed[b]) for b in buckets])
    names = [*map(show_control_chars, models), _("other models")]
    shown = len(names) if any(one[-1] for one in amounts.values()) else len(models)
    return {
        "chart": chart,
        "has_use": bool(chart.segments or chart.line),
        "segments": [
            (one, names[one.series], format_credits(one.amount)) for one in chart.segments
        ],
        "grid": [(one.at, format_credits(one.amount)) for one in chart.grid],
        "series": list(enumerate(names[:shown])),
    }


def _is_long(days: Sequence[date]) -> bool:
    return len(days) > MOST_DAYS


def _days(scope: UsageScope, rows: Sequence[dict[str, Any]], *, today: date) -> list[date]:
    """Return every day of the period: days without use are part of the picture."""
    # Days with use are always shown. They may be older than `earliest`, or after today if a clock
    # was wrong.
    used = [row["day"] for row in rows]
    until = max([min(scope.until or today, today), *used])
    earliest = until.replace(year=max(1, until.year - YEARS_SHOWN), day=1)
    since = min([max(scope.since or until, earliest), *used])
    return [since + timedelta(days=n) for n in range((until - since).days + 1)]


def _shortened(amount: Decimal) -> Decimal:
    """Return a mean without the digits that mean nothing."""
    # Four digits from the first that is not 0, but at least two places.
    return round(amount, max(2, 3 - amount.adjusted())) if amount else Decimal()
