"""Pytest fixtures for hosts: `pytest_plugins = ["creatify_textgen.emulator.fixtures"]`.

One server for the session, a fresh state for each test. Needs pytest and nothing of Django.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .emulator import Emulator

__all__ = ["creatify_emulator", "creatify_emulator_server"]


@pytest.fixture(scope="session")
def creatify_emulator_server() -> Iterator[Emulator]:
    """Run one emulator for the whole session."""
    with Emulator() as emulator:
        yield emulator


@pytest.fixture
def creatify_emulator(creatify_emulator_server: Emulator) -> Iterator[Emulator]:
    """Give the emulator with nothing in it and every switch at its default."""
    creatify_emulator_server.reset()
    yield creatify_emulator_server
    creatify_emulator_server.reset()
