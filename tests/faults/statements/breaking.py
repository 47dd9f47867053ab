"""Breaks the database at one statement of a journey, with the driver's own error.

A commit counts as a statement. On a server the error is the server's: it raises it, or another
connection ends the session. SQLite has no server, so its error is raised here.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from django.db import Error, OperationalError, connection

__all__ = ["AWAY", "COMMITTED", "CUT", "KINDS", "Break", "cut_connection"]

CUT = "cut"
"""The server ends the session before the statement, as its restart or an operator does."""
COMMITTED = "committed"
"""The same after a commit, whose answer never arrives."""
AWAY = "away"
"""The session ends, and no statement works until the journey is over."""
PASSING = {
    "postgresql": {
        "deadlock": "DO $$ BEGIN RAISE EXCEPTION 'x' USING ERRCODE = '40P01'; END $$",
        "serialization": "DO $$ BEGIN RAISE EXCEPTION 'x' USING ERRCODE = '40001'; END $$",
    },
    "mysql": {
        "deadlock": "SIGNAL SQLSTATE '40001' SET MYSQL_ERRNO = 1213, MESSAGE_TEXT = 'x'",
        "lock wait": "SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = 1205, MESSAGE_TEXT = 'x'",
    },
    "sqlite": {"locked": ""},
}
"""Errors that are gone if the same is done again, and what has the server raise them."""
KINDS = (*PASSING[connection.vendor], CUT, COMMITTED, AWAY)
KILL = {
    "postgresql": ("SELECT pg_backend_pid()", "SELECT pg_terminate_backend(%s, 5000)"),
    "mysql": ("SELECT CONNECTION_ID()", "KILL CONNECTION %s"),
}

Execute = Callable[[Any, Any, Any, Any], Any]


def cut_connection() -> None:
    """Have the server end this thread's session."""
    ask, kill = KILL[connection.vendor]
    with connection.connection.cursor() as cursor:
        cursor.execute(ask)
        [number] = cursor.fetchone()
    other = connection.copy()
    with other.cursor() as cursor:
        cursor.execute(kill, [number])
    other.close()


@dataclass
class Break:
    """Breaks the statement of this number, counted from 1; 0 breaks none and only counts."""

    kind: str
    nth: int
    count: int = 0
    is_broken: bool = False
    was_commit: bool = False
    sql: str = ""

    @contextmanager
    def during(self) -> Iterator[None]:
        """Break what is executed in this block by this thread."""
        commit = connection._commit
        connection._commit = lambda: self._end(commit)
        try:
            with connection.execute_wrapper(self._execute):
                yield
        finally:
            del connection._commit
            if self.is_broken:
                connection.close()

    def _execute(self, execute: Execute, sql: Any, params: Any, many: Any, context: Any) -> Any:
        is_here = self._is_here()
        if self.count == self.nth:
            self.sql = str(sql)[:90]
        if is_here and self.kind != COMMITTED:
            self._break(execute, context)
        return execute(sql, params, many, context)

    def _end(self, commit: Callable[[], None]) -> None:
        is_here = self._is_here()
        if self.count == self.nth:
            self.sql, self.was_commit = "COMMIT", True
        if is_here and self.kind == COMMITTED:
            commit()
            self._lose()
        if is_here:
            with connection.cursor() as cursor:
                self._break(lambda sql, *_: cursor.cursor.execute(sql), {})
        commit()

    def _is_here(self) -> bool:
        self.count += 1
        is_here = self.count == self.nth or (self.kind == AWAY and self.is_broken)
        self.is_broken |= is_here
        return is_here

    def _break(self, execute: Execute, context: Any) -> None:
        if self.kind in (CUT, AWAY):
            self._lose()
        raising = PASSING[connection.vendor][self.kind]
        if connection.vendor == "sqlite":
            raise OperationalError("database is locked") from sqlite3.OperationalError()
        if connection.vendor == "mysql" and self.kind == "deadlock":
            # A deadlock ends the whole transaction there, and the wait for a lock does not.
            connection.connection.rollback()
        with connection.wrap_database_errors:
            execute(raising, None, False, context)
        raise AssertionError("The server raised nothing.")

    def _lose(self) -> None:
        """End the session, and raise what the driver says about that."""
        if connection.vendor == "sqlite":
            raise OperationalError("disk I/O error") from sqlite3.OperationalError()
        if connection.connection is not None:
            with suppress(Error), connection.wrap_database_errors:
                cut_connection()
            with connection.wrap_database_errors, connection.connection.cursor() as cursor:
                cursor.execute("SELECT 1")
        raise OperationalError("No server answers.")
