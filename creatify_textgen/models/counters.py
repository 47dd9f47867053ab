"""Counters that stop at the largest number of their column.

People read a counter, and the time until the next poll grows with it. If one row's counter
overflows, PostgreSQL and MariaDB refuse the whole statement, which a sweep makes for hundreds of
rows.
"""

from __future__ import annotations

from typing import Any

from django.db.backends.base.operations import BaseDatabaseOperations
from django.db.models import F, Model
from django.db.models.functions import Least

__all__ = ["increased", "largest"]


def increased(model: type[Model], name: str, *, by: int = 1) -> Any:
    """Return an expression for `update()` that adds to a counter, up to `largest`."""
    return Least(F(name), largest(model, name) - by) + by


def largest(model: type[Model], name: str) -> int:
    """Return the largest number that every database stores in this column."""
    kind = model._meta.get_field(name).get_internal_type()
    # Django's limits for all databases: SQLite stores more, and MariaDB twice as much if unsigned.
    return BaseDatabaseOperations.integer_field_ranges[kind][1]
