"""The emulator's own clock: the real time plus `clock_offset`. Pure.

Everything that the API dates follows it: `created_at`, the `Date` header, dates in `Retry-After`.
With `date_offset`, the `Date` header is another machine's, such as a gateway's. The request log
keeps the real time.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

from .switches import Settings

__all__ = ["date_header", "remote_time"]

UNREADABLE_DATE = "soon"


def remote_time(moment: datetime, *, settings: Settings) -> datetime:
    """Return what the emulator's clock shows at a moment of the real time."""
    return moment + timedelta(seconds=settings.clock_offset)


def date_header(moment: datetime, *, settings: Settings) -> dict[str, str]:
    """Return the `Date` header of an answer given at this moment, or no header."""
    if settings.date_header == "none":
        return {}
    if settings.date_header == "unreadable":
        return {"Date": UNREADABLE_DATE}
    # A gateway adds its Date to the answers of a server whose clock may differ from its clock.
    ahead = timedelta(seconds=settings.date_offset)
    shown = (remote_time(moment, settings=settings) + ahead).astimezone(UTC)
    return {"Date": format_datetime(shown, usegmt=True)}
