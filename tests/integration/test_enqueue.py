"""What is published for a worker, and when it is to be taken."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from creatify_textgen import enqueue

pytestmark = pytest.mark.django_db

Publish = Callable[..., None]
LATER = [
    pytest.param(lambda **how: enqueue.bulk(uuid.uuid4(), **how), id="bulk"),
    pytest.param(lambda **how: enqueue.run(uuid.uuid4(), **how), id="run"),
    pytest.param(enqueue.sweep, id="sweep"),
]


@pytest.fixture
def options(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    monkeypatch.setattr(enqueue, "_publish", lambda _name, _args, how: found.append(how))
    monkeypatch.setattr(enqueue, "_on_commit", lambda call: call())
    return found


@pytest.mark.parametrize("publish", LATER)
class TestDelay:
    def test_is_the_countdown_of_the_task(
        self, publish: Publish, options: list[dict[str, Any]]
    ) -> None:
        publish(delay_seconds=30)
        assert [how["countdown"] for how in options] == [30]

    def test_is_left_to_a_sweep_if_no_broker_should_hold_it(
        self, publish: Publish, options: list[dict[str, Any]]
    ) -> None:
        publish(delay_seconds=86_400)
        assert options == []

    def test_is_none_by_default(self, publish: Publish, options: list[dict[str, Any]]) -> None:
        publish()
        assert "countdown" not in options[0]

    def test_is_left_to_a_sweep_if_tasks_are_eager(
        self, publish: Publish, options: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        eager = SimpleNamespace(conf=SimpleNamespace(task_always_eager=True))
        monkeypatch.setattr(enqueue, "current_app", eager)
        publish(delay_seconds=30)
        assert options == []
