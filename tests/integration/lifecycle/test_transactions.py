"""Work that lost a deadlock is done again, everything else is not; whom a refusal is about."""

from __future__ import annotations

from decimal import InvalidOperation
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import (
    DataError,
    IntegrityError,
    InterfaceError,
    InternalError,
    OperationalError,
    connection,
    transaction,
)

from creatify_textgen import databases
from creatify_textgen.lifecycle import transactions
from creatify_textgen.lifecycle.transactions import TRIES, in_short_transaction, is_refusal
from creatify_textgen.models import SweepSchedule

pytestmark = pytest.mark.django_db(transaction=True)


class PostgresError(Exception):
    """As psycopg 3 raises it, or psycopg2, which calls the code otherwise."""

    def __init__(self, code: str, *, name: str = "sqlstate") -> None:
        super().__init__("whatever it says")
        setattr(self, name, code)


def as_raised(error: OperationalError, cause: Exception | None = None) -> OperationalError:
    error.__cause__ = cause
    return error


PASSING = [
    pytest.param(as_raised(OperationalError(), PostgresError("40001")), id="serialization"),
    pytest.param(as_raised(OperationalError("x"), PostgresError("40P01")), id="deadlock"),
    pytest.param(as_raised(OperationalError("x"), PostgresError("55P03")), id="lock"),
    pytest.param(
        as_raised(OperationalError("x"), PostgresError("40P01", name="pgcode")), id="psycopg2"
    ),
    pytest.param(OperationalError(1020, "changed"), id="MariaDB: changed"),
    pytest.param(OperationalError(1205, "waited"), id="MariaDB: waited"),
    pytest.param(OperationalError(1213, "deadlock"), id="MariaDB: deadlock"),
    pytest.param(OperationalError("database is locked"), id="SQLite: database"),
    pytest.param(OperationalError("database table is locked"), id="SQLite: table"),
]
LASTING = [
    pytest.param(as_raised(OperationalError("x"), PostgresError("57P01")), id="shut down"),
    pytest.param(OperationalError(2013, "lost connection"), id="MariaDB: lost"),
    pytest.param(OperationalError(), id="says nothing"),
    pytest.param(OperationalError("disk I/O error"), id="SQLite: disk"),
]


class Work:
    """Fails so many times, then succeeds; notes itself in the database each time."""

    def __init__(self, error: Exception, *, failures: int) -> None:
        self.error = error
        self.failures = failures
        self.calls = 0

    def __call__(self) -> str:
        self.calls += 1
        SweepSchedule.objects.create(pk=self.calls)
        if self.calls <= self.failures:
            raise self.error
        return "the result"


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Give how long it slept; each pause is as long as it may be."""
    slept: list[float] = []
    monkeypatch.setattr(transactions.secrets, "randbelow", lambda bound: bound - 1)
    monkeypatch.setattr(transactions.time, "sleep", slept.append)
    return slept


class TestShortTransaction:
    def test_gives_back_the_result(self, pauses: list[float]) -> None:
        assert in_short_transaction(Work(OperationalError(), failures=0)) == "the result"
        assert pauses == []

    @pytest.mark.parametrize("error", PASSING)
    def test_repeats_what_the_database_broke(self, pauses: list[float], error: Exception) -> None:
        work = Work(error, failures=1)
        assert in_short_transaction(work) == "the result"
        assert list(SweepSchedule.objects.values_list("pk", flat=True)) == [2]

    @pytest.mark.parametrize("error", LASTING)
    def test_raises_what_will_not_pass(self, pauses: list[float], error: Exception) -> None:
        work = Work(error, failures=1)
        with pytest.raises(OperationalError):
            in_short_transaction(work)
        assert (work.calls, pauses) == (1, [])

    def test_waits_longer_each_time_and_gives_up(self, pauses: list[float]) -> None:
        work = Work(OperationalError("database is locked"), failures=TRIES)
        with pytest.raises(OperationalError):
            in_short_transaction(work)
        assert work.calls == TRIES
        assert pauses == [pytest.approx((10 * n - 1) / 1000) for n in range(1, TRIES)]

    def test_succeeds_at_its_last_try(self, pauses: list[float]) -> None:
        work = Work(OperationalError("database is locked"), failures=TRIES - 1)
        assert in_short_transaction(work) == "the result"

    def test_runs_once_inside_somebody_else_s_transaction(self, pauses: list[float]) -> None:
        work = Work(OperationalError("database is locked"), failures=1)
        with transaction.atomic(), pytest.raises(OperationalError):
            in_short_transaction(work)
        assert (work.calls, pauses) == (1, [])

    def test_reads_what_others_have_committed_whatever_the_host_s_level(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        said: list[str] = []

        def listen(execute: Any, sql: str, *arguments: Any) -> Any:
            said.append(sql)
            return None if sql == databases.READ_COMMITTED else execute(sql, *arguments)

        monkeypatch.setattr(databases, "_has_other_level", lambda _: True)
        connection.ensure_connection()  # MariaDB's sets the level of its session.
        with connection.execute_wrapper(listen):
            in_short_transaction(lambda: in_short_transaction(SweepSchedule.objects.first))
        first, *others = [sql for sql in said if not sql.startswith("BEGIN")]
        assert first == "SET TRANSACTION ISOLATION LEVEL READ COMMITTED"
        assert databases.READ_COMMITTED not in others

    @pytest.mark.parametrize(
        ("vendor", "options", "has_other"),
        [
            ("postgresql", {"isolation_level": 4}, True),
            ("postgresql", {}, False),
            ("mysql", {"isolation_level": "serializable"}, False),
        ],
    )
    def test_knows_a_level_of_the_host_s(
        self, vendor: str, options: dict[str, Any], *, has_other: bool
    ) -> None:
        current: Any = SimpleNamespace(vendor=vendor, settings_dict={"OPTIONS": options})
        assert databases._has_other_level(current) is has_other

    def test_lets_other_errors_through(self, pauses: list[float]) -> None:
        work: Any = Work(ValueError("a bug"), failures=1)
        with pytest.raises(ValueError, match="a bug"):
            in_short_transaction(work)
        assert not SweepSchedule.objects.exists()


class TestRefusal:
    @pytest.mark.parametrize(
        "error",
        [
            IntegrityError(4025, "CONSTRAINT failed"),
            DataError("too long"),
            InvalidOperation(),
            UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates"),
            OperationalError(1153, "Got a packet bigger than 'max_allowed_packet' bytes"),
        ],
        ids=lambda error: type(error).__name__,
    )
    def test_is_about_what_was_to_be_written(self, error: Exception) -> None:
        assert is_refusal(error)

    @pytest.mark.parametrize("error", PASSING)
    def test_is_no_lock_that_was_in_the_way(self, error: Exception) -> None:
        assert not is_refusal(error)

    def test_is_no_database_that_takes_no_writes(self) -> None:
        error = InternalError("cannot execute UPDATE in a read-only transaction")
        error.__cause__ = PostgresError("25006")
        assert not is_refusal(error)

    @pytest.mark.parametrize("error", [InterfaceError("closed"), RuntimeError("a bug")])
    def test_is_nothing_else(self, error: Exception) -> None:
        assert not is_refusal(error)

    @pytest.mark.parametrize("raises", [True, False], ids=["refuses", "is silent"])
    def test_is_not_told_by_a_database_that_is_away(
        self, monkeypatch: pytest.MonkeyPatch, *, raises: bool
    ) -> None:
        def connect() -> None:
            if raises:
                raise OperationalError("connection refused")

        monkeypatch.setattr(connection, "ensure_connection", connect)
        monkeypatch.setattr(connection, "is_usable", lambda: False)
        assert not is_refusal(IntegrityError("refused"))

    def test_leaves_somebody_else_s_transaction_alone(self) -> None:
        with transaction.atomic():
            SweepSchedule.objects.create(pk=1)
            connection.errors_occurred = True
            assert is_refusal(IntegrityError("refused"))
        assert SweepSchedule.objects.exists()

    @pytest.mark.skipif("connection.vendor != 'mysql'")
    def test_of_a_statement_too_large_leaves_a_connection_that_works(self) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT @@max_allowed_packet")
            [largest] = cursor.fetchone()
            with pytest.raises((OperationalError, InterfaceError)) as caught:
                cursor.execute("SELECT LENGTH(%s)", ["x" * largest])
        assert is_refusal(caught.value)
        SweepSchedule.objects.create(pk=1)
