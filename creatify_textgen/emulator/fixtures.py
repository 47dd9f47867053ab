"""Fixtures of pytest for hosts, which pytest finds by itself (entry point `pytest11`).

One server runs for the session; each test starts with no generations and default switches.
Needs pytest, and no Django.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .driving.emulator import Emulator

__all__ = ["creatify_emulator", "creatify_emulator_server"]


@pytest.fixture(scope="session")
def creatify_emulator_server() -> Iterator[Emulator]:
    """Run one emulator for the whole session."""
    with Emulator() as emulator:
        yield emulator


@pytest.fixture
def creatify_emulator(creatify_emulator_server: Emulator) -> Iterator[Emulator]:
    """Return the emulator, without generations and with every switch at its default."""
    creatify_emulator_server.reset()
    yield creatify_emulator_server
    # After the test as well, so that no late webhook of it arrives during another test.
    creatify_emulator_server.reset()
