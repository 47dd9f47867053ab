"""What a process remembers of finished rows, and how much."""

from __future__ import annotations

import uuid

import pytest

from creatify_textgen.dispatch import final_row_cache
from creatify_textgen.dispatch.final_row_cache import FinalRowCache


def test_knows_what_it_was_told() -> None:
    known, key = FinalRowCache(), uuid.uuid4()
    assert key not in known
    known.add(key)
    assert key in known
    assert uuid.uuid4() not in known


def test_forgets_the_oldest_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(final_row_cache, "LIMIT", 2)
    known, keys = FinalRowCache(), [uuid.uuid4() for _ in range(3)]
    for key in (keys[0], keys[1], keys[0], keys[2]):
        known.add(key)
    assert [key in known for key in keys] == [True, False, True]
