"""Places for readers: taken, started, given back, and never lost."""

from __future__ import annotations

import pytest

from creatify_textgen.rest.streaming import limits
from creatify_textgen.rest.streaming.limits import (
    RESERVED_SECONDS,
    ReaderSlots,
    TooManyForProcessError,
    TooManyForUserError,
)


class TestReaderSlots:
    def test_counts_a_user_apart(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(limits, "MAX_READERS_PER_USER", 1)
        slots = ReaderSlots()
        slots.take("ada")
        slots.take("bob")
        with pytest.raises(TooManyForUserError):
            slots.take("ada")

    def test_counts_all_together(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(limits, "MAX_READERS", 1)
        slots = ReaderSlots()
        slots.take("ada")
        with pytest.raises(TooManyForProcessError):
            slots.take("bob")

    def test_takes_a_place_back_once(self) -> None:
        slots = ReaderSlots()
        first, _ = slots.take("ada"), slots.take("ada")
        first.release()
        first.release()
        assert slots.count() == 1

    def test_drops_a_place_that_nobody_came_for(self) -> None:
        now = [0.0]
        slots = ReaderSlots(clock=lambda: now[0])
        slots.take("ada").start()
        slots.take("ada")
        now[0] = RESERVED_SECONDS + 1
        assert slots.count() == 1
