"""Processes to be killed, and what was counted over all of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.faults.kills.workers import Workers, WorkersParent
from tests.faults.processes import OwnRedis

TALLY: Counter[str] = Counter()


@pytest.fixture(scope="session")
def victims(
    django_db_setup: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[WorkersParent]:
    with WorkersParent(tmp_path_factory.mktemp("victims") / "words") as parent:
        yield parent


@pytest.fixture
def workers(victims: WorkersParent, tmp_path: Path, transactional_db: None) -> Workers:
    """Return the workers of this host; they share its database and its settings."""
    return Workers(victims, tmp_path / "finished")


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[OwnRedis]:
    """Return a Redis that this test may stop and flush."""
    with OwnRedis(tmp_path) as redis:
        yield redis


@pytest.fixture(scope="session")
def tally() -> Counter[str]:
    """Return what is counted over all kills, and told at the end of the run."""
    return TALLY


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if TALLY:
        told = ", ".join(f"{name} {count}" for name, count in TALLY.items())
        terminalreporter.write_line(f"Kills by SIGKILL: {told}")
