"""Refresh, retry and cancel: list actions, and the buttons of one generation.

Each row needs one call of a service. An error becomes a message, never a 500. Retry spends credits,
so it asks first, and one confirmation has an effect only once, even if its button is pressed twice.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.core.exceptions import ImproperlyConfigured, PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_http_methods, require_POST

from creatify_textgen import databases, services
from creatify_textgen.admin.bulk import confirm_selected
from creatify_textgen.admin.rendering import (
    format_credits,
    link_to_generation,
    render_name,
    show_control_chars,
)
from creatify_textgen.exceptions import TextgenError
from creatify_textgen.models import Generation

__all__ = [
    "cancel_page",
    "cancel_selected",
    "refresh_page",
    "refresh_selected",
    "retry_page",
    "retry_selected",
]

MOST_ROWS = 100
"""Rows of one action: each may wait for the remote while a browser waits for us. More become a
bulk job."""
TIME_LIMIT_SECONDS = 25.0
"""After this time no further row is begun: many proxies end a request after 30 or 60 seconds."""


class Operation(NamedTuple):
    """A verb of the services, and the sentence that reports its success."""

    call: Callable[[Generation], Generation]
    describe: Callable[[Generation, Generation], str]
    """From the row as it was and what the service returned: a sentence, with `{generation}` and
    maybe `{status}` or `{new}`."""


def _describe_refresh(before: Generation, after: Generation) -> str:
    if before.is_final:
        return _("Generation {generation} is {status} already: there is nothing to ask.")
    if before.status == after.status:
        return _("Generation {generation} is still {status}.")
    return _("Generation {generation} is now {status}.")


def _describe_cancel(before: Generation, after: Generation) -> str:
    if before.is_final:
        return _("Generation {generation} was cancelled before.")
    return _("Generation {generation} was cancelled.")


def _describe_retry(before: Generation, after: Generation) -> str:
    return _("Generation {generation} was asked again, as generation {new}.")


# The services are looked up at each call, so that a host's test may replace one.
REFRESH = Operation(lambda row: services.refresh(row), _describe_refresh)
CANCEL = Operation(lambda row: services.cancel(row), _describe_cancel)


def _retry_with(ticket: str) -> Operation:
    """Return the retry of one confirmation.

    Its ticket is a part of each row's idempotency key: if the button is pressed twice, the second
    answer names the generation of the first, and nothing is paid twice.
    """
    return Operation(
        lambda row: services.retry(row, idempotency_key=f"retry:{ticket}:{row.pk}"),
        _describe_retry,
    )


def _operate(
    model_admin: Any, request: HttpRequest, generations: Iterable[Generation], operation: Operation
) -> None:
    """Apply the operation to each row and report each in a message."""
    begun = time.monotonic()
    untouched = 0
    for generation in generations:
        # The rest is only counted. Nothing was begun for it, so the person can press again.
        if time.monotonic() - begun > TIME_LIMIT_SECONDS:
            untouched += 1
            continue
        _operate_on_one(model_admin, request, generation, operation)
    if untouched:
        text = ngettext(
            "The time was up: %(count)d generation was left as it is.",
            "The time was up: %(count)d generations were left as they are.",
            untouched,
        )
        messages.warning(request, text % {"count": untouched})


def _operate_on_one(
    model_admin: Any, request: HttpRequest, generation: Generation, operation: Operation
) -> None:
    link = link_to_generation(generation, site=model_admin.admin_site.name)
    try:
        after = operation.call(generation)
    except (TextgenError, ImproperlyConfigured) as error:
        # The other rows go on. Any other exception is a bug, and is reported as one.
        messages.error(request, format_html("{}: {}", link, show_control_chars(str(error))))
        return
    # A format and not text: `format_html` escapes what it puts into the braces.
    sentence = operation.describe(generation, after)
    values = {"status": after.get_status_display(), "new": after.pk}
    messages.success(request, format_html(sentence, generation=link, **values))
    # The timeline says that an operator did it, Django's own history says who.
    model_admin.log_change(request, generation, sentence.format(generation=generation.pk, **values))


def _are_many(queryset: QuerySet[Generation]) -> bool:
    # Counts no further than needed: "select all" may be millions of rows.
    return queryset.order_by()[: MOST_ROWS + 1].count() > MOST_ROWS


def _take_selected(request: HttpRequest, queryset: QuerySet[Generation]) -> list[Generation]:
    """Return the selected rows; none, and a message, if they are too many to wait for."""
    if not _are_many(queryset):
        return list(queryset.select_related("owner"))
    text = _("Nothing was done: select at most %(count)d generations.") % {"count": MOST_ROWS}
    messages.error(request, text)
    return []


@admin.action(description=gettext_lazy("Refresh: ask the remote now"), permissions=["operate"])
def refresh_selected(
    model_admin: Any, request: HttpRequest, queryset: QuerySet[Generation]
) -> None:
    _operate(model_admin, request, _take_selected(request, queryset), REFRESH)


@admin.action(description=gettext_lazy("Cancel those still queued"), permissions=["operate"])
def cancel_selected(
    model_admin: Any, request: HttpRequest, queryset: QuerySet[Generation]
) -> HttpResponse | None:
    # Few are cancelled at once, without a question: it costs nothing, and a retry undoes it.
    if _are_many(queryset):
        return confirm_selected(model_admin, request, queryset, verb="cancel")
    _operate(model_admin, request, queryset.select_related("owner"), CANCEL)
    return None


TICKET = "ticket"


@admin.action(
    description=gettext_lazy("Retry: ask again, which spends credits"), permissions=["operate"]
)
def retry_selected(
    model_admin: Any, request: HttpRequest, queryset: QuerySet[Generation]
) -> HttpResponse | None:
    if _are_many(queryset):
        return confirm_selected(model_admin, request, queryset, verb="retry")
    generations = list(queryset.select_related("owner"))
    hidden = [("action", "retry_selected")]
    # By id, also after "select all": only the rows that the page has shown are asked again.
    hidden += [(ACTION_CHECKBOX_NAME, str(row.pk)) for row in generations]
    return _confirm_or_retry(model_admin, request, generations, hidden)


def _confirm_or_retry(
    model_admin: Any,
    request: HttpRequest,
    generations: Sequence[Generation],
    hidden: Iterable[tuple[str, str]] = (),
) -> HttpResponse | None:
    """Ask for a confirmation, or retry if the request is one; None once that is done."""
    # The list's own form has no ticket; only the confirmation has one.
    ticket = request.POST.get(TICKET)
    if not ticket:
        return _ask(model_admin, request, generations, hidden)
    _operate(model_admin, request, generations, _retry_with(ticket))
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
        "rows": [
            (row, render_name(row.model_name), format_credits(row.credits_used))
            for row in generations
        ],
        "hidden": [*hidden, (TICKET, secrets.token_urlsafe(16))],
        **_warnings(generations),
    }
    request.current_app = model_admin.admin_site.name
    template = "creatify_textgen/admin/retry_confirmation.html"
    return TemplateResponse(request, template, context)


def _warnings(generations: Sequence[Generation]) -> dict[str, Any]:
    known = [row.credits_used for row in generations if row.credits_used is not None]
    ids = [row.pk for row in generations]
    return {
        "credits_before": format_credits(sum(known, Decimal())),
        "credits_known": len(known),
        "credits_unknown": len(generations) - len(known),
        "under_way": sum(not row.can_retry for row in generations),
        "asked_before": Generation.objects.filter(retry_of__in=ids).count(),
        "accounts": sorted({show_control_chars(row.account) for row in generations}),
    }


@databases.outside_transactions
@require_POST
def refresh_page(request: HttpRequest, *, model_admin: Any, generation_id: UUID) -> HttpResponse:
    generation = _get_generation(request, model_admin, generation_id)
    _operate(model_admin, request, [generation], REFRESH)
    return _back_to(generation, model_admin)


@databases.outside_transactions
@require_POST
def cancel_page(request: HttpRequest, *, model_admin: Any, generation_id: UUID) -> HttpResponse:
    generation = _get_generation(request, model_admin, generation_id)
    _operate(model_admin, request, [generation], CANCEL)
    return _back_to(generation, model_admin)


@databases.outside_transactions
@require_http_methods(["GET", "HEAD", "POST"])
def retry_page(request: HttpRequest, *, model_admin: Any, generation_id: UUID) -> HttpResponse:
    generation = _get_generation(request, model_admin, generation_id)
    question = _confirm_or_retry(model_admin, request, [generation])
    return question or _back_to(generation, model_admin)


def _get_generation(request: HttpRequest, model_admin: Any, generation_id: UUID) -> Generation:
    if not model_admin.has_operate_permission(request):
        raise PermissionDenied
    rows = model_admin.get_queryset(request)
    generation: Generation = get_object_or_404(rows, pk=generation_id)
    return generation


def _back_to(generation: Generation, model_admin: Any) -> HttpResponse:
    page, site = "admin:creatify_textgen_generation_change", model_admin.admin_site.name
    return redirect(reverse(page, args=[generation.pk], current_app=site))
