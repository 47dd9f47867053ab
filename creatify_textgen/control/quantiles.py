"""The value below which a share of all values lies. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeVar

__all__ = ["quantile"]

Value = TypeVar("Value")


def quantile(ordered: Sequence[Value], share: float) -> Value | None:
    """Return the smallest value for which at least this share of all is not larger.

    The values are in ascending order: `quantile(values, 0.95)` is the 95th of 100. None if there
    are none.
    """
    # Nearest rank: the result is a value that occurred, and not a mean of two.
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else None
