"""Refresh, retry and cancel: list actions and the buttons of one generation.

Each row costs one call of a service; what that raises becomes a message, never a 500.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import ImproperlyConfigured
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from creatify_textgen import services
from creatify_textgen.admin.legible import unmask
from creatify_textgen.exceptions import TextgenError
from creatify_textgen.models import Generation

__all__ = [
    "CANCEL",
    "REFRESH",
    "Operation",
    "cancel_selected",
    "link_to",
    "operate",
    "retry_with",
    "refresh_selected",
    "take_selected",
]

MOST_ROWS = 100
"""Rows of one action: each may wait for the remote while a browser waits for us."""
TIME_LIMIT_SECONDS = 25.0
"""After which no further row is begun; a gateway in front of us gives up at 30 or 60."""


@dataclass(frozen=True, slots=True)
class Operation:
    """A service's verb and how its success reads."""

    call: Callable[[Generation], Generation]
    describe: Callable[[Generation, Generation], str]
    """From the row as it was and what the service returned."""


def link_to(generation: Generation, *, site: str) -> SafeString:
    """Return a link to a generation's page in the admin site of this name."""
    page = "admin:creatify_textgen_generation_change"
    url = reverse(page, args=[generation.pk], current_app=site)
    return format_html('<a href="{}">{}</a>', url, generation.pk)


def _describe_refresh(before: Generation, after: Generation) -> str:
    status = after.get_status_display()
    if before.is_final:
        return _("is %s already: there is nothing to ask.") % status
    if before.status == after.status:
        return _("is still %s.") % status
    return _("is now %s.") % status


def _describe_cancel(before: Generation, after: Generation) -> str:
    return _("was cancelled before.") if before.is_final else _("was cancelled.")


def _describe_retry(before: Generation, after: Generation) -> str:
    return _("was asked again, as generation %s.") % after.pk


# The services are looked up at each call, so that a host's test may replace one.
REFRESH = Operation(lambda row: services.refresh(row), _describe_refresh)
CANCEL = Operation(lambda row: services.cancel(row), _describe_cancel)


def retry_with(ticket: str) -> Operation:
    """Return the retry of one confirmation: its ticket is each row's idempotency key, so that
    whoever presses the button twice is shown the generation of the first time."""
    return Operation(
        lambda row: services.retry(row, idempotency_key=f"retry:{ticket}:{row.pk}"),
        _describe_retry,
    )


def operate(
    model_admin: Any, request: HttpRequest, generations: Iterable[Generation], operation: Operation
) -> None:
    """Apply the operation to each row and report each in a message."""
    begun = time.monotonic()
    untouched = 0
    for generation in generations:
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
    link = link_to(generation, site=model_admin.admin_site.name)
    try:
        after = operation.call(generation)
    except (TextgenError, ImproperlyConfigured) as error:
        messages.error(request, format_html("{}: {}", link, unmask(str(error))))
        return
    text = operation.describe(generation, after)
    messages.success(request, format_html(_("Generation {} {}"), link, text))
    # The timeline says that an operator did it, Django's own history says who.
    model_admin.log_change(request, generation, text)


def take_selected(request: HttpRequest, queryset: QuerySet[Generation]) -> list[Generation]:
    """Return the selected rows; none, and a message, where they are too many to wait for."""
    rows = list(queryset.select_related("owner")[: MOST_ROWS + 1])
    if len(rows) <= MOST_ROWS:
        return rows
    text = _("Nothing was done: select at most %(count)d generations.") % {"count": MOST_ROWS}
    messages.error(request, text)
    return []


@admin.action(description=gettext_lazy("Refresh: ask the remote now"), permissions=["operate"])
def refresh_selected(
    model_admin: Any, request: HttpRequest, queryset: QuerySet[Generation]
) -> None:
    operate(model_admin, request, take_selected(request, queryset), REFRESH)


@admin.action(description=gettext_lazy("Cancel those still queued"), permissions=["operate"])
def cancel_selected(model_admin: Any, request: HttpRequest, queryset: QuerySet[Generation]) -> None:
    operate(model_admin, request, take_selected(request, queryset), CANCEL)
