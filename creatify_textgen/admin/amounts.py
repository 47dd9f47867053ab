"""Credits, durations and statuses in words. Pure.

Invariant: what is not known reads "unknown", and never looks like a zero.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.utils.formats import number_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from creatify_textgen.states import Status

__all__ = ["NOTHING", "show_credits", "show_status", "spell_credits", "spell_duration"]

NOTHING = "–"  # noqa: RUF001 (the dash of an empty cell)
MINUTE, HOUR, DAY = 60, 3600, 86400


def spell_credits(amount: Decimal | None) -> str:
    """Return the amount without trailing zeros, in the reader's format."""
    if amount is None:
        return _("unknown")
    plain = f"{amount.normalize():f}"
    places = len(plain.partition(".")[2])
    return str(number_format(amount, decimal_pos=places))


def show_credits(amount: Decimal | None) -> SafeString:
    kind = "unknown" if amount is None else "known"
    return format_html('<span class="textgen-credits-{}">{}</span>', kind, spell_credits(amount))


def spell_duration(seconds: float | None) -> str:
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


def show_status(status: Any) -> SafeString:
    """Return the status as a word in its color; the word alone says it all, too."""
    known = status in Status.values
    label = Status(status).label if known else status
    return format_html(
        '<span class="textgen-status textgen-status-{}">{}</span>',
        status if known else "other",
        label,
    )
