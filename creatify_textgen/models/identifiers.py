"""Public ids that keep index order. Pure but for the clock and the system's randomness."""

from __future__ import annotations

import secrets
import time
import uuid

__all__ = ["uuid7"]

_VERSION_AND_VARIANT = (0x7 << 76) | (0x2 << 62)


def uuid7() -> uuid.UUID:
    """Return a version 7 UUID: 48 bits of milliseconds, 12 of their fraction, 62 of chance.

    Ids made in one process a microsecond apart sort by time. Source: RFC 9562, 5.7 and 6.2
    (method 3).
    """
    milliseconds, nanoseconds = divmod(time.time_ns(), 1_000_000)
    fraction = (nanoseconds << 12) // 1_000_000
    value = (milliseconds & 0xFFFFFFFFFFFF) << 80 | fraction << 64 | secrets.randbits(62)
    return uuid.UUID(int=value | _VERSION_AND_VARIANT)
