"""The credits page: what is left, and what was used by day, model and status."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, timedelta
from decimal import Decimal
from typing import Any

from django import forms
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_safe

from creatify_textgen import services
from creatify_textgen.admin.amounts import show_status, spell_credits, spell_duration
from creatify_textgen.admin.legible import unmask
from creatify_textgen.admin.permissions import may_view_generations
from creatify_textgen.conf import conf

__all__ = ["show_credit_report"]

PERIODS = {
    "7": gettext_lazy("7 days"),
    "30": gettext_lazy("30 days"),
    "90": gettext_lazy("90 days"),
    "all": gettext_lazy("All time"),
}
DEFAULT_PERIOD = "30"
DAYS_SHOWN = 366


class CreditsForm(forms.Form):
    """Whose credits, and since when."""

    account = forms.ChoiceField(label=gettext_lazy("Account"))
    period = forms.ChoiceField(label=gettext_lazy("Period"), choices=list(PERIODS.items()))

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        account: Any = self.fields["account"]
        account.choices = [(name, name) for name in conf.accounts]


@dataclass(frozen=True, slots=True)
class Bar:
    """One line of a table, with its length against the largest."""

    label: Any
    generations: int
    credits: str
    unknown: int
    share: str
    """Of the largest, 0 to 1, as HTML wants its numbers."""


@transaction.non_atomic_requests
@require_safe
def show_credit_report(request: HttpRequest, *, model_admin: Any) -> HttpResponse:
    if not may_view_generations(request):
        raise PermissionDenied
    form = _bound_form(request)
    account, period = form["account"].value(), form["period"].value()
    today = _today()
    since = _since(period, today=today)
    report = services.credits(account=account, since=since)
    context = {
        **model_admin.admin_site.each_context(request),
        "title": _("Credits"),
        "opts": model_admin.opts,
        "media": model_admin.media,
        "form": form,
        "report": report,
        "remaining": spell_credits(report.remaining),
        "age": spell_duration(report.remaining_age_seconds),
        "used": spell_credits(report.used),
        "tables": list(_tables(report, since=since, today=today)),
    }
    request.current_app = model_admin.admin_site.name
    return TemplateResponse(request, "admin/creatify_textgen/generation/credits.html", context)


def _bound_form(request: HttpRequest) -> CreditsForm:
    accounts = list(conf.accounts)
    defaults = {"account": next(iter(accounts), "default"), "period": DEFAULT_PERIOD}
    given = {name: request.GET.get(name, default) for name, default in defaults.items()}
    form = CreditsForm(given)
    # A link to an account that was removed since still shows a page.
    return form if form.is_valid() else CreditsForm(defaults)


def _today() -> date:
    now = timezone.now()
    return (timezone.make_aware(now) if timezone.is_naive(now) else now).astimezone(UTC).date()


def _since(period: str, *, today: date) -> date | None:
    return None if period == "all" else today - timedelta(days=int(period) - 1)


def _tables(report: Any, *, since: date | None, today: date) -> Iterator[dict[str, Any]]:
    days = report.by_day if since is None else _every_day(report.by_day, since, today)
    models = sorted(report.by_model, key=lambda row: row["credits_used"], reverse=True)
    yield _table(_("By day"), _("Day (UTC)"), days[:DAYS_SHOWN], "day", date_format)
    yield _table(_("By model"), _("Model"), models, "model_name", unmask)
    yield _table(_("By status"), _("Status"), report.by_status, "status", show_status)


def _every_day(rows: list[dict[str, Any]], since: date, today: date) -> list[dict[str, Any]]:
    """Days without use are part of the picture."""
    used = {row["day"]: row for row in rows}
    nothing = {"generations": 0, "credits_used": Decimal(), "credits_unknown": 0}
    days = [today - timedelta(days=back) for back in range((today - since).days + 1)]
    return [used.get(day, {"day": day, **nothing}) for day in days]


def _table(
    title: str,
    heading: str,
    rows: list[dict[str, Any]],
    name: str,
    show: Callable[[Any], Any],
) -> dict[str, Any]:
    largest = max((row["credits_used"] for row in rows), default=Decimal())
    bars = [_bar(show(row[name]), row, largest=largest) for row in rows]
    return {"title": title, "heading": heading, "bars": bars}


def _bar(label: Any, row: Mapping[str, Any], *, largest: Decimal) -> Bar:
    used, unknown, count = row["credits_used"], row["credits_unknown"], row["generations"]
    is_known = used or unknown < count or not count
    return Bar(
        label=label,
        generations=count,
        credits=spell_credits(used if is_known else None),
        unknown=unknown,
        share=f"{used / largest:.4f}" if largest else "0",
    )
