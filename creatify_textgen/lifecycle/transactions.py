"""Short transactions that run again after a deadlock, and what an error of the database means.

No network inside. The work must be safe to run again from its start.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from typing import TypeVar

from django.db import DatabaseError, Error, InternalError, OperationalError

from creatify_textgen import databases

__all__ = ["REFUSALS", "in_short_transaction", "is_refusal", "repeated"]

Result = TypeVar("Result")

REFUSALS = (DatabaseError, ArithmeticError, ValueError)
"""The errors for a value that cannot be saved. Django's fields and the drivers raise some of them
before the database is asked. See `is_refusal`."""
TRIES = 6
"""Runs of one transaction. The pauses between them add up to 150 ms at most."""
_SQLSTATES = {"40001", "40P01", "55P03"}
"""PostgreSQL: serialization failure, deadlock, lock not available."""
_MARIADB_ERRORS = {1020, 1205, 1213}
"""MariaDB: record changed since it was read, lock wait timeout, deadlock."""


def in_short_transaction(work: Callable[[], Result]) -> Result:
    """Run `work` in a transaction and commit it; run it again if it lost a deadlock.

    Inside a transaction of the caller it runs once, as a savepoint.
    """

    def work_in_transaction() -> Result:
        with databases.short_transaction():
            return work()

    return repeated(work_in_transaction)


def repeated(work: Callable[[], Result]) -> Result:
    """Run `work`, which opens its own transaction; run it again if it lost a deadlock.

    Inside a transaction of the caller it runs once, because only the outermost transaction can be
    repeated.
    """
    repeatable = not databases.connection().in_atomic_block
    for attempt in range(1, TRIES + 1):
        try:
            return work()
        except OperationalError as error:
            if not repeatable or attempt == TRIES or not _is_passing(error):
                raise
            # A random pause: two processes that wait equally long would meet again.
            time.sleep(secrets.randbelow(10 * attempt) / 1000)
    raise AssertionError("unreachable")


def is_refusal(error: Exception) -> bool:
    """Whether the values are at fault: there was no deadlock, and the database still answers.

    Then the same values will be refused again, and other rows can be written. Connects again if
    the connection was lost.
    """
    if isinstance(error, OperationalError) and _is_passing(error):
        return False
    if isinstance(error, InternalError) and databases.is_outage(error):
        return False  # It reads, but takes no writes.
    return isinstance(error, REFUSALS) and _answers()


def _answers() -> bool:
    connection = databases.connection()
    try:
        # MariaDB closes the connection after a statement that is too large. A new connection
        # works, but not inside a transaction of the caller.
        if not connection.in_atomic_block:
            connection.close_if_unusable_or_obsolete()
            connection.ensure_connection()
        return connection.connection is not None and bool(connection.is_usable())
    except Error:
        return False


def _is_passing(error: OperationalError) -> bool:
    if databases.sqlstate(error) in _SQLSTATES:
        return True
    if error.args and error.args[0] in _MARIADB_ERRORS:
        return True
    return "database is locked" in str(error) or "table is locked" in str(error)
