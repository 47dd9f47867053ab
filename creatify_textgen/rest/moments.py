"""Times in and out of the API, the same whatever the host's USE_TZ and TIME_ZONE."""

from __future__ import annotations

from datetime import UTC, datetime

from django.conf import settings
from django.utils import timezone

__all__ = ["to_stored", "to_text"]


def to_stored(moment: datetime) -> datetime:
    """Return the time in the form in which this site's database holds times.

    A time without an offset is one of the site's own zone. Raises: ValueError at the edges of
    the calendar, where a zone's offset leads out of it.
    """
    try:
        aware = moment if timezone.is_aware(moment) else timezone.make_aware(moment)
        if settings.USE_TZ:
            return aware.astimezone(UTC)
        return timezone.make_naive(aware, timezone.get_default_timezone())
    except OverflowError as error:
        raise ValueError("The time is outside the calendar.") from error


def to_text(moment: datetime | None) -> str | None:
    """Return the time as ISO 8601 in UTC, or None for none."""
    if moment is None:
        return None
    if timezone.is_naive(moment):
        moment = timezone.make_aware(moment, timezone.get_default_timezone())
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
