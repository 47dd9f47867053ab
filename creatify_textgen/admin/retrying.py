"""Retry, which spends credits: a page that says so, and the deed only after it was confirmed.

Invariant: one confirmation is acted on once, however often its button was pressed.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

from django.contrib import admin
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from creatify_textgen.admin.amounts import spell_credits
from creatify_textgen.admin.operations import operate, retry_with, take_selected
from creatify_textgen.models import Generation

__all__ = ["confirm_or_retry", "retry_selected"]

TICKET = "ticket"


@admin.action(
    description=gettext_lazy("Retry: ask again, which spends credits"), permissions=["operate"]
)
def retry_selected(
    model_admin: Any, request: HttpRequest, queryset: QuerySet[Generation]
) -> HttpResponse | None:
    generations = take_selected(request, queryset)
    hidden = [("action", "retry_selected")]
    hidden += [(ACTION_CHECKBOX_NAME, str(row.pk)) for row in generations]
    return confirm_or_retry(model_admin, request, generations, hidden) if generations else None


def confirm_or_retry(
    model_admin: Any,
    request: HttpRequest,
    generations: Sequence[Generation],
    hidden: Iterable[tuple[str, str]] = (),
) -> HttpResponse | None:
    """Ask for a confirmation, or retry where the request is one; None once that is done."""
    ticket = request.POST.get(TICKET)
    if not ticket:
        return _ask(model_admin, request, generations, hidden)
    operate(model_admin, request, generations, retry_with(ticket))
    return None


def _ask(
    model_admin: Any,
    request: HttpRequest,
    generations: Sequence[Generation],
    hidden: Iterable[tuple[str, str]],
) -> HttpResponse:
    context = {
        **model_admin.admin_site.each_context(request),
        "title": _("Ask again?"),
        "opts": model_admin.opts,
        "media": model_admin.media,
        "rows": [(row, spell_credits(row.credits_used)) for row in generations],
        "hidden": [*hidden, (TICKET, secrets.token_urlsafe(16))],
        **_warnings(generations),
    }
    request.current_app = model_admin.admin_site.name
    template = "admin/creatify_textgen/generation/retry_confirmation.html"
    return TemplateResponse(request, template, context)


def _warnings(generations: Sequence[Generation]) -> dict[str, Any]:
    known = [row.credits_used for row in generations if row.credits_used is not None]
    ids = [row.pk for row in generations]
    return {
        "credits_before": spell_credits(sum(known, Decimal())),
        "credits_known": len(known),
        "credits_unknown": len(generations) - len(known),
        "under_way": sum(not row.can_retry for row in generations),
        "asked_before": Generation.objects.filter(retry_of__in=ids).count(),
        "accounts": sorted({row.account for row in generations}),
    }
