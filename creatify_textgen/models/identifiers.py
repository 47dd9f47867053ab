"""Makes public ids that sort by time. Pure, except for the clock and random numbers."""

from __future__ import annotations

import secrets
import time
import uuid
from typing import Any

__all__ = ["read_uuid", "uuid7"]

# Python's own `uuid.uuid7` is in 3.14 and later, and this app supports 3.11.
_VERSION_AND_VARIANT = (0x7 << 76) | (0x2 << 62)


def uuid7() -> uuid.UUID:
    """Return a UUID of version 7: 48 bits of milliseconds, 12 of their fraction, 62 random bits.

    New rows are added at the end of the index, and nobody can guess an id. Ids that one process
    makes a microsecond apart sort by time. Source: RFC 9562, 5.7 and 6.2 (method 3).
    """
    milliseconds, nanoseconds = divmod(time.time_ns(), 1_000_000)
    fraction = (nanoseconds << 12) // 1_000_000
    value = (milliseconds & 0xFFFFFFFFFFFF) << 80 | fraction << 64 | secrets.randbits(62)
    return uuid.UUID(int=value | _VERSION_AND_VARIANT)


def read_uuid(value: Any) -> uuid.UUID | None:
    """Return the id that this text or UUID is, or None if it is neither."""
    # `UUID` raises ValueError for a wrong text, TypeError for None, AttributeError for a number.
    try:
        return value if isinstance(value, uuid.UUID) else uuid.UUID(value)
    except (ValueError, TypeError, AttributeError):
        return None
