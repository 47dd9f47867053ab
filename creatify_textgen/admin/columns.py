"""Columns of the history, shown on a generation's own page too: one value each, no queries."""

from __future__ import annotations

from django.conf import settings
from django.contrib import admin
from django.utils.formats import date_format, time_format
from django.utils.html import format_html
from django.utils.timezone import localtime
from django.utils.translation import gettext_lazy as _

from creatify_textgen.admin.amounts import NOTHING, show_credits, show_status, spell_duration
from creatify_textgen.admin.legible import unmask
from creatify_textgen.models import Generation

__all__ = ["created", "credits_used", "duration", "excerpt", "partial_mark", "status"]


@admin.display(description=_("status"), ordering="status")
def status(generation: Generation) -> str:
    word = show_status(generation.status)
    return format_html("{} {}", word, partial_mark()) if generation.partial else word


def partial_mark() -> str:
    return format_html('<span class="textgen-mark">{}</span>', _("partial"))


@admin.display(description=_("created"), ordering="created_at")
def created(generation: Generation) -> str:
    moment = localtime(generation.created_at) if settings.USE_TZ else generation.created_at
    day, time = date_format(moment, "SHORT_DATE_FORMAT"), time_format(moment, "H:i:s")
    return format_html('<time datetime="{}">{} {}</time>', moment.isoformat(), day, time)


@admin.display(description=_("credits"), ordering="credits_used")
def credits_used(generation: Generation) -> str:
    return show_credits(generation.credits_used)


@admin.display(description=_("duration"))
def duration(generation: Generation) -> str:
    return spell_duration(generation.duration_seconds)


@admin.display(description=_("excerpt"))
def excerpt(generation: Generation) -> str:
    # The isolate keeps a text's own direction from turning the row around.
    text = unmask(generation.excerpt) or NOTHING
    return format_html('<bdi class="textgen-excerpt" title="{}">{}</bdi>', text, text)
