"""Times in requests and responses.

Invariant: responses are in UTC, whatever the host's USE_TZ and TIME_ZONE.
"""

from __future__ import annotations

from datetime import datetime

from creatify_textgen import clock

__all__ = ["to_stored", "to_text"]


def to_stored(moment: datetime) -> datetime:
    """Return the time in the form in which this site's database stores times.

    A time without an offset is in the zone of TIME_ZONE. Raises: ValueError if the offset moves the
    time out of the calendar (before year 1 or after year 9999).
    """
    try:
        # In the hour that is repeated in autumn, the earlier of two moments: a filter
        # `created_after` then leaves out no row.
        return clock.to_stored(clock.as_utc_range(moment)[0])
    except OverflowError as error:
        raise ValueError("The time is outside the calendar.") from error


def to_text(moment: datetime | None) -> str | None:
    """Return the time as ISO 8601 in UTC, or None for None."""
    if moment is None:
        return None
    return clock.as_utc_range(moment)[0].isoformat().replace("+00:00", "Z")
