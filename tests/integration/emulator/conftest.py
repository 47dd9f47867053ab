"""An emulator that loses no time, somebody who calls it, and somebody it calls back."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from creatify_textgen.emulator import Emulator
from tests.integration.emulator.calling import Caller, Receiver


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    """Give an emulator in which generations and streams take no time."""
    with Emulator(pending_seconds=0, running_seconds=0, chunk_interval=0) as running:
        yield running


@pytest.fixture
def caller(emulator: Emulator) -> Iterator[Caller]:
    calling = Caller(emulator)
    yield calling
    calling.close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiving:
        yield receiving
