"""How the admin shows foreign text, JSON, credits, durations and statuses.

`format_…` returns plain text, which the templates escape; `render_…` returns markup.
Invariant: an unknown value is shown as "unknown", never as zero.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

from django.conf import settings
from django.contrib import admin
from django.db.models import Model
from django.urls import NoReverseMatch, reverse
from django.utils.formats import date_format, number_format, time_format
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.timezone import localtime
from django.utils.translation import gettext as _

from creatify_textgen.models import Generation
from creatify_textgen.models.control_chars import show_control_chars
from creatify_textgen.states import Status

__all__ = [
    "NOTHING",
    "PAGE_LIMIT",
    "TEXT_LIMIT",
    "Budget",
    "Cut",
    "admin_path",
    "foreign",
    "format_credits",
    "format_duration",
    "format_json",
    "format_json_text",
    "format_number",
    "history_path",
    "link_to_generation",
    "named",
    "render_credits",
    "render_moment",
    "render_name",
    "render_status",
    "render_text",
    "show_control_chars",
]

NOTHING = "–"  # noqa: RUF001 (the dash of an empty cell)
MINUTE, HOUR, DAY = 60, 3600, 86400
TEXT_LIMIT = 200_000
"""Characters shown of one text."""
PAGE_LIMIT = 1_000_000
"""Characters shown on one page."""
SMALLEST_COST = 500
"""The least that a text costs: its markup is at least as large, and there may be very many."""
DEEPEST_LAYOUT = 40

LONGEST_RUN = 500
"""Characters without a space that a line may hold. Chromium takes 24 s to lay out 200,000 of them
without a place to break."""
_LONG_RUN = re.compile(rf"\S{{{LONGEST_RUN}}}(?=\S)")


class Cut(NamedTuple):
    """A text as far as it is shown."""

    text: str
    omitted: int = 0
    """Characters that are not shown."""


class Budget:
    """How many characters a page may still show."""

    def __init__(self, characters: int = PAGE_LIMIT) -> None:
        self._left = characters

    @property
    def is_spent(self) -> bool:
        return self._left <= 0

    def cut(self, text: str) -> Cut:
        """Return the beginning of the text that the page has room for."""
        # Before control characters are written out, each of which then has eight letters.
        room = max(0, min(TEXT_LIMIT, self._left))
        self._left -= max(SMALLEST_COST, min(len(text), room))
        return Cut(show_control_chars(text[:room]), max(0, len(text) - room))


def render_text(text: str) -> SafeString:
    """Return the text with a place to break in every long run of characters.

    `<wbr>` adds nothing to the text: it is copied as it was stored.
    """
    # A NUL marks the places, because `show_control_chars` has replaced those of the text.
    pieces = _LONG_RUN.sub(r"\g<0>\0", show_control_chars(text)).split("\0")
    return format_html_join(SafeString("<wbr>"), "{}", ((piece,) for piece in pieces))


def named(values: Iterable[str]) -> list[tuple[str, str]]:
    """Return names as the choices of a field, with their control characters written out."""
    return [(value, show_control_chars(value)) for value in values]


def foreign(model: type[Model], name: str) -> Callable[[Any], str]:
    """Return a column as it is shown if its text comes from a caller or from the remote."""
    field = model._meta.get_field(name)

    def show(row: Any) -> str:
        value = getattr(row, name)
        return render_name(value) if value else NOTHING

    # The name finds the field's help text, too.
    show.__name__ = name
    return admin.display(description=getattr(field, "verbose_name", name))(show)


def render_name(value: Any) -> SafeString:
    """Return a name from elsewhere so that it cannot change how the text around it reads."""
    text = show_control_chars(str(value))
    return format_html('<bdi class="textgen-name" title="{}">{}</bdi>', text, text)


def format_json(value: Any) -> str:
    """Return a JSON value as indented text, or in one line if it is deeply nested."""
    try:
        # Indenting costs depth times width: what a stranger nested stays as flat as it came.
        indent = 2 if _is_shallow(value) else None
        return json.dumps(value, indent=indent, ensure_ascii=False, default=str)
    except (RecursionError, ValueError):
        # ValueError also for an integer of more than 4,300 digits, which Python does not write.
        return _("(too deeply nested to be shown)")


def format_json_text(text: str) -> str | None:
    """Return a JSON object or list as indented text, or None if the text is neither."""
    # A number or a quoted word is JSON, too, but is not shown as such.
    if len(text) > TEXT_LIMIT or text.lstrip()[:1] not in ("{", "["):
        return None
    try:
        return format_json(json.loads(text))
    except (RecursionError, ValueError):
        return None


def _is_shallow(value: Any) -> bool:
    # By levels and not by recursion, whose limit a stranger's JSON could reach.
    level = [value]
    for _depth in range(DEEPEST_LAYOUT):
        level = [child for item in level for child in _children(item)]
        if not level:
            return True
    return False


def _children(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []


def format_credits(amount: Decimal | None) -> str:
    """Return the amount without trailing zeros, in the reader's format."""
    if amount is None:
        return _("unknown")
    # Nothing is rounded away: the precision of costs is not known (contract, section 7).
    plain = f"{amount.normalize():f}"
    places = len(plain.partition(".")[2])
    return str(number_format(amount, decimal_pos=places))


def format_number(value: Decimal | float) -> str:
    """Return a number in the reader's format."""
    return str(number_format(value, use_l10n=True, force_grouping=False))


def render_credits(amount: Decimal | None) -> SafeString:
    kind = "unknown" if amount is None else "known"
    return format_html('<span class="textgen-credits-{}">{}</span>', kind, format_credits(amount))


def format_duration(seconds: float | None) -> str:
    """Return the duration in its two largest units."""
    if seconds is None:
        return NOTHING
    if seconds < 1:
        return _("%(count)d ms") % {"count": max(0, round(seconds * 1000))}
    if seconds < MINUTE:
        return _("%(count)s s") % {"count": number_format(Decimal(seconds), decimal_pos=1)}
    whole = round(seconds)
    if whole < HOUR:
        return _("%(minutes)d min %(seconds)d s") % _split(whole, MINUTE, "minutes", "seconds", 1)
    if whole < DAY:
        return _("%(hours)d h %(minutes)d min") % _split(whole, HOUR, "hours", "minutes", MINUTE)
    return _("%(days)d d %(hours)d h") % _split(whole, DAY, "days", "hours", HOUR)


def _split(seconds: int, unit: int, large: str, small: str, smaller: int) -> dict[str, int]:
    return {large: seconds // unit, small: seconds % unit // smaller}


def render_moment(moment: datetime) -> SafeString:
    """Return a date and a time of the site's time zone."""
    local = localtime(moment) if settings.USE_TZ else moment
    day, clock = date_format(local, "SHORT_DATE_FORMAT"), time_format(local, "H:i:s")
    return format_html('<time datetime="{}">{} {}</time>', local.isoformat(), day, clock)


def render_status(status: Any) -> SafeString:
    """Return the status as a colored word. A reader who sees no colors misses nothing."""
    # `Status` raises for a word that it does not have, and a list must not fail for one row.
    known = status in Status.values
    label = Status(status).label if known else status
    return format_html(
        '<span class="textgen-status textgen-status-{}">{}</span>',
        status if known else "other",
        label,
    )


def admin_path(page: str, *, site: str, key: Any = None) -> str:
    """Return the path of one of our pages, or "" if the admin site of this name has none.

    A host may register only some of our models with a second admin site.
    """
    args = [] if key is None else [key]
    try:
        return reverse(f"admin:creatify_textgen_{page}", args=args, current_app=site)
    except NoReverseMatch:
        return ""


def history_path(query: str, *, site: str) -> str:
    """Return the path of the history with these filters, or "" if this admin site has none."""
    path = admin_path("generation_changelist", site=site)
    return f"{path}?{query}" if path else ""


def link_to_generation(generation: Generation, *, site: str) -> SafeString:
    """Return a link to a generation's page in the admin site of this name, or its id alone."""
    url = admin_path("generation_change", site=site, key=generation.pk)
    if not url:
        return format_html("{}", generation.pk)
    return format_html('<a href="{}">{}</a>', url, generation.pk)
