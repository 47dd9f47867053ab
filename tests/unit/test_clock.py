"""The clock beside a database whose time is not this machine's: no database, no waiting."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import OperationalError
from django.utils import timezone

from creatify_textgen import clock, databases

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
BERLIN = "Europe/Berlin"
local = datetime.fromisoformat


@dataclass
class Machine:
    """A machine whose clocks a test sets, and a PostgreSQL that it reads."""

    monotonic: float = 1000.0
    wall: float = 5_000_000.0
    database: datetime = START
    is_away: bool = False
    connects_in: float = 0.0
    statements: list[str] = field(default_factory=list)
    vendor: str = "postgresql"
    alias: str = "default"
    wrap_database_errors: Any = field(default_factory=nullcontext)

    def passes(self, seconds: float) -> None:
        self.monotonic += seconds
        self.wall += seconds
        self.database += timedelta(seconds=seconds)

    def ensure_connection(self) -> None:
        if self.is_away:
            raise OperationalError("gone")
        self.passes(self.connects_in)

    def create_cursor(self) -> Any:
        return self

    def close(self) -> None:
        """A cursor of MariaDB is no context manager, but each can be closed."""

    def execute(self, sql: str) -> None:
        self.statements.append(sql)

    def fetchone(self) -> tuple[datetime]:
        return (self.database.replace(tzinfo=None),)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    machine = Machine()
    monkeypatch.setattr(databases, "connection", lambda: machine)
    monkeypatch.setattr(time, "monotonic", lambda: machine.monotonic)
    monkeypatch.setattr(time, "time", lambda: machine.wall)
    monkeypatch.setattr(clock, "_readings", {})
    return machine


@pytest.fixture
def naive_site(settings: Any) -> None:
    settings.USE_TZ = False
    settings.TIME_ZONE = BERLIN


class TestNow:
    def test_is_the_databases(self, machine: Machine) -> None:
        assert clock.now() == START

    def test_goes_on_without_a_statement(self, machine: Machine) -> None:
        clock.now()
        machine.passes(9.9)
        assert clock.now() == START + timedelta(seconds=9.9)
        assert len(machine.statements) == 1

    def test_is_read_again_after_a_while(self, machine: Machine) -> None:
        clock.now()
        machine.passes(10)
        machine.database += timedelta(seconds=3)
        assert clock.now() == START + timedelta(seconds=13)
        assert len(machine.statements) == 2

    def test_is_read_again_after_a_suspension(self, machine: Machine) -> None:
        clock.now()
        machine.wall += 600
        machine.database += timedelta(minutes=10)
        assert clock.now() == START + timedelta(minutes=10)

    def test_ignores_a_wall_clock_that_is_set(self, machine: Machine) -> None:
        clock.now()
        machine.wall -= 3600
        assert clock.now() == START

    def test_is_read_again_after_a_fork(
        self, machine: Machine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        clock.now()
        monkeypatch.setattr(os, "getpid", lambda: -1)
        clock.now()
        assert len(machine.statements) == 2

    def test_is_as_exact_if_it_takes_long_to_connect(self, machine: Machine) -> None:
        machine.connects_in = 4.0
        assert clock.now() == START + timedelta(seconds=4)

    def test_is_read_for_each_alias(self, machine: Machine) -> None:
        clock.now()
        machine.alias, machine.database = "other", START + timedelta(hours=1)
        assert clock.now() == START + timedelta(hours=1)

    def test_outlives_an_outage(self, machine: Machine) -> None:
        clock.now()
        machine.passes(60)
        machine.is_away = True
        assert clock.now() == START + timedelta(seconds=60)

    @pytest.mark.parametrize("was_read", [False, True])
    def test_is_not_guessed(self, machine: Machine, was_read: bool) -> None:
        if was_read:
            clock.now()
            machine.wall += 600
        machine.is_away = True
        with pytest.raises(OperationalError):
            clock.now()

    def test_may_be_asked_for_without_a_statement(self, machine: Machine) -> None:
        clock.now()
        machine.passes(60)
        assert clock.known_now() == START + timedelta(seconds=60)
        assert len(machine.statements) == 1

    def test_is_this_machines_beside_sqlite(self, machine: Machine) -> None:
        machine.vendor = "sqlite"
        assert abs(clock.now() - timezone.now()) < timedelta(minutes=1)
        assert not machine.statements

    @pytest.mark.usefixtures("naive_site")
    def test_is_stored_in_the_sites_zone(self, machine: Machine) -> None:
        with timezone.override("Asia/Tokyo"):
            assert clock.now() == local("2026-03-01 13:00")


@pytest.mark.usefixtures("naive_site")
class TestAsUtcRange:
    def test_reads_a_repeated_hour_both_ways(self) -> None:
        assert clock.as_utc_range(local("2026-10-25 02:30")) == (
            datetime(2026, 10, 25, 0, 30, tzinfo=UTC),
            datetime(2026, 10, 25, 1, 30, tzinfo=UTC),
        )

    def test_reads_an_hour_that_is_left_out_both_ways(self) -> None:
        assert clock.as_utc_range(local("2026-03-29 02:30")) == (
            datetime(2026, 3, 29, 0, 30, tzinfo=UTC),
            datetime(2026, 3, 29, 1, 30, tzinfo=UTC),
        )

    def test_ignores_the_zone_of_a_request(self) -> None:
        with timezone.override("Asia/Tokyo"):
            moments = clock.as_utc_range(local("2026-03-01 13:00"))
        assert moments == (START, START)

    def test_knows_what_is_aware(self) -> None:
        moment = START.astimezone(ZoneInfo("Asia/Tokyo"))
        assert clock.as_utc_range(moment) == (START, START)


@pytest.mark.usefixtures("naive_site")
class TestStoredSince:
    @pytest.mark.parametrize(
        ("hour", "stored"),
        [(0.8, "2026-10-25 01:48"), (1.8, "2026-10-25 01:48"), (-0.2, "2026-10-25 01:48")],
        ids=["the first time", "the second time", "before"],
    )
    def test_misses_nothing_of_a_repeated_hour(self, hour: float, stored: str) -> None:
        moment = datetime(2026, 10, 25, tzinfo=UTC) + timedelta(hours=hour)
        assert clock.stored_since(moment).replace(fold=0) == local(stored)

    def test_is_the_time_itself_at_other_times(self) -> None:
        assert clock.stored_since(START) == local("2026-03-01 13:00")


class TestAfter:
    @pytest.mark.usefixtures("naive_site")
    @pytest.mark.parametrize(
        ("moment", "later"),
        [
            (local("2026-03-29 01:59"), local("2026-03-29 03:04")),
            (local("2026-10-25 02:58"), local("2026-10-25 03:03")),
            (local("2026-10-25 01:58"), local("2026-10-25 02:03")),
            (local("2026-03-01 13:00"), local("2026-03-01 13:05")),
        ],
        ids=["spring", "autumn", "before autumn", "winter"],
    )
    def test_is_never_early(self, moment: datetime, later: datetime) -> None:
        assert clock.after(moment, 300) == later

    def test_adds(self) -> None:
        assert clock.after(START, 300) == START + timedelta(minutes=5)


class TestTimeLimit:
    def test_ends_by_the_monotonic_clock(self, machine: Machine) -> None:
        limit = clock.TimeLimit(15)
        machine.monotonic += 15
        assert not limit.is_over
        machine.monotonic += 0.1
        assert limit.is_over

    @pytest.mark.parametrize("step", [600, -600], ids=["suspended", "set back"])
    def test_ends_by_the_wall_clock(self, machine: Machine, step: float) -> None:
        limit = clock.TimeLimit(15)
        machine.wall += step
        assert limit.is_over
