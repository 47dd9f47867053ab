"""Processes to be killed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.kills.workers import Workers, WorkersParent


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
