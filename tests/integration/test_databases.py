"""What the app does with a connection to the database after an outage."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.db import DataError, Error, OperationalError, ProgrammingError, connection, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from creatify_textgen import databases
from creatify_textgen.streams import database

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def closed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the threads that closed a connection although it could still be used."""
    names: list[str] = []
    monkeypatch.setattr(
        BaseDatabaseWrapper, "close", lambda self: names.append(threading.current_thread().name)
    )
    monkeypatch.setattr(BaseDatabaseWrapper, "close_if_unusable_or_obsolete", lambda self: None)
    return names


def failing(*errors: Error) -> Any:
    left = list(errors)

    def write() -> str:
        if left:
            raise left.pop(0)
        return "written"

    return write


def read_only() -> Error:
    """Return PostgreSQL's error of a server that was the primary before a failover."""
    error = ProgrammingError("cannot execute UPDATE in a read-only transaction")
    error.__cause__ = Exception()
    vars(error.__cause__)["sqlstate"] = databases.READ_ONLY
    return error


class TestLoggable:
    def test_has_the_traceback_of_a_bug(self) -> None:
        bug = ValueError("a bug")
        bug.__context__ = KeyError()
        assert databases.loggable(bug) is bug

    @pytest.mark.parametrize("link", [None, "__cause__", "__context__"])
    def test_has_no_words_of_the_database(self, link: str | None) -> None:
        refusal: Exception = DataError("Failing row contains (the answer)")
        if link is not None:
            later, last = KeyError(), KeyError()
            setattr(later, link, refusal)
            setattr(last, link, later)
            refusal.__context__ = last
            refusal = last
        assert databases.loggable(refusal) is None


class TestOutage:
    @pytest.mark.parametrize("code", [1040, 1053, 1205, 1213, 1290, 2002, 2006, 2013])
    def test_is_reported_by_mariadb(self, code: int) -> None:
        assert databases.is_outage(OperationalError(code, "The server is unreachable"))

    @pytest.mark.parametrize("code", sorted(databases.VALUE_ERRORS))
    def test_is_no_value_that_mariadb_refuses(self, code: int) -> None:
        assert not databases.is_outage(OperationalError(code, "Incorrect string value"))

    def test_is_no_error_of_another_library(self) -> None:
        assert not databases.is_outage(ValueError({"ordering": ["Unknown field"]}))

    @pytest.mark.skipif("connection.vendor != 'mysql'")
    @pytest.mark.parametrize(
        ("column", "value", "code"),
        [
            ("a VARCHAR(9) CHARACTER SET ascii", "\U0001f600", 1366),
            ("a INT", "1" * 12, 1264),
            ("a VARCHAR(2)", "long", 1406),
            ("a DATETIME", "2026-99-99", 1292),
            ("a INT CHECK (a < 5)", 7, 4025),
        ],
        ids=["charset", "range", "length", "time", "check"],
    )
    def test_is_no_value_that_this_database_refuses(
        self, column: str, value: Any, code: int
    ) -> None:
        with connection.cursor() as cursor:
            cursor.execute(f"CREATE TEMPORARY TABLE refusals ({column})")
            try:
                with pytest.raises(Error) as caught:
                    cursor.execute("INSERT INTO refusals VALUES (%s)", [value])
            finally:
                cursor.execute("DROP TEMPORARY TABLE refusals")
        assert caught.value.args[0] == code
        assert not databases.is_outage(caught.value)


class TestConnection:
    @pytest.mark.parametrize("error", [OperationalError("gone"), read_only()])
    def test_is_new_after_an_outage(self, closed: list[str], error: Error) -> None:
        warned: list[BaseException] = []
        write = failing(error, error)
        result = databases.patiently(write, pauses=(0, 0), waits=warned.append)
        assert (result, warned, len(closed)) == ("written", [error, error], 2)

    def test_stays_after_another_error(self, closed: list[str]) -> None:
        with pytest.raises(DataError):
            databases.patiently(failing(DataError("too long")), pauses=(0,), waits=print)
        assert closed == []

    def test_stays_inside_a_transaction(self, closed: list[str]) -> None:
        with transaction.atomic():
            databases.patiently(failing(OperationalError("gone")), pauses=(0,), waits=print)
            assert connection.in_atomic_block
        assert closed == []

    def test_of_a_pump_s_thread_is_new_after_an_outage(self, closed: list[str]) -> None:
        with pytest.raises(OperationalError):
            database.run(failing(OperationalError("gone")))
        assert [name.startswith("textgen-rows") for name in closed] == [True]
