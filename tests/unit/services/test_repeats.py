"""What a process remembers of deliveries: for how long, and how much."""

from __future__ import annotations

import uuid

import pytest

from creatify_textgen.services import repeats
from creatify_textgen.services.repeats import Repeats

BODY = b'{"id":"r1","status":"done"}'


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_remembers_the_same_delivery_for_a_second() -> None:
    clock, key = Clock(), uuid.uuid4()
    known = Repeats(clock=clock)
    known.add(key, BODY, is_open=True)
    clock.now += 0.9
    assert known.has(key, BODY)
    clock.now += 0.2
    assert not known.has(key, BODY)


def test_takes_another_row_or_body_for_another_delivery() -> None:
    known, key = Repeats(clock=Clock()), uuid.uuid4()
    known.add(key, BODY, is_open=True)
    assert not known.has(key, BODY + b" ")
    assert not known.has(uuid.uuid4(), BODY)


def test_remembers_a_final_row_for_good() -> None:
    clock, key = Clock(), uuid.uuid4()
    known = Repeats(clock=clock)
    known.add(key, BODY, is_open=False)
    clock.now += 1e9
    assert known.has(key, b"another body")


def test_forgets_the_oldest_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repeats, "LIMIT", 2)
    known, keys = Repeats(clock=Clock()), [uuid.uuid4() for _ in range(3)]
    for key in keys[:2]:
        known.add(key, BODY, is_open=False)
    known.add(keys[0], BODY, is_open=False)
    known.add(keys[2], BODY, is_open=False)
    assert [known.has(key, BODY) for key in keys] == [True, False, True]
