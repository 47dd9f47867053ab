"""Short transactions that repeat themselves where the database broke a deadlock, and what an
error of one is about.

No network inside; the work given must be safe to run again from its start.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from typing import TypeVar

from django.db import DatabaseError, Error, OperationalError, transaction

__all__ = ["REFUSALS", "in_short_transaction", "is_refusal"]

Result = TypeVar("Result")

REFUSALS = (DatabaseError, ArithmeticError, ValueError)
"""What a value that cannot be saved raises: Django's fields and the drivers refuse some before
the database sees them. See `is_refusal`."""
TRIES = 6
_SQLSTATES = {"40001", "40P01", "55P03"}
"""PostgreSQL: serialization failure, deadlock, lock not available."""
_MARIADB_ERRORS = {1020, 1205, 1213}
"""MariaDB: record changed since it was read, lock wait timeout, deadlock."""


def in_short_transaction(work: Callable[[], Result]) -> Result:
    """Run `work` in a transaction and commit it, again where it lost a deadlock.

    Inside somebody else's transaction it runs once, as a savepoint: only the outermost
    transaction can be repeated.
    """
    repeatable = not transaction.get_connection().in_atomic_block
    for attempt in range(1, TRIES + 1):
        try:
            with transaction.atomic():
                return work()
        except OperationalError as error:
            if not repeatable or attempt == TRIES or not _is_passing(error):
                raise
            time.sleep(secrets.randbelow(10 * attempt) / 1000)
    raise AssertionError("unreachable")


def is_refusal(error: Exception) -> bool:
    """Whether what was to be written is at fault: no lock was in the way, the database answers.

    Then the same will be refused again, and other rows will not. Connects again where it must.
    """
    if isinstance(error, OperationalError) and _is_passing(error):
        return False
    return isinstance(error, REFUSALS) and _answers()


def _answers() -> bool:
    connection = transaction.get_connection()
    try:
        # MariaDB hangs up on a statement that is too large, and takes the next one. But what is
        # left of somebody else's transaction is theirs.
        if not connection.in_atomic_block:
            connection.close_if_unusable_or_obsolete()
            connection.ensure_connection()
        return connection.connection is not None and bool(connection.is_usable())
    except Error:
        return False


def _is_passing(error: OperationalError) -> bool:
    if getattr(error.__cause__, "sqlstate", None) in _SQLSTATES:
        return True
    if error.args and error.args[0] in _MARIADB_ERRORS:
        return True
    return "database is locked" in str(error) or "table is locked" in str(error)
