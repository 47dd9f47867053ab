"""Who tells the host that a generation has finished, where several could."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from creatify_textgen.lifecycle import announce_overdue
from creatify_textgen.lifecycle.announcing import announce
from creatify_textgen.models import Generation
from creatify_textgen.signals import generation_finished, generation_status_changed
from creatify_textgen.states import Status
from tests.factories import NOW, make_generation

pytestmark = pytest.mark.django_db

DUE = NOW - timedelta(seconds=1)


@pytest.fixture
def told() -> Iterator[list[tuple[str, uuid.UUID]]]:
    """Give what listeners to generations alone are told, by signal and row."""
    heard: list[tuple[str, uuid.UUID]] = []

    def finished(generation: Generation, **_: Any) -> None:
        heard.append(("finished", generation.pk))

    def changed(generation: Generation, **_: Any) -> None:
        heard.append(("changed", generation.pk))

    generation_finished.connect(finished, sender=Generation)
    generation_status_changed.connect(changed, sender=Generation)
    yield heard
    generation_finished.disconnect(finished, sender=Generation)
    generation_status_changed.disconnect(changed, sender=Generation)


def make_done(**fields: Any) -> Generation:
    return make_generation(status=Status.DONE, **{"next_check_at": DUE, **fields})


class TestAnnounce:
    def test_tells_of_every_move_and_of_an_end_once(self, told: list[Any]) -> None:
        ended, open_row = make_done(), make_generation(status=Status.RUNNING)
        announce([ended, open_row])
        announce([ended])
        assert told == [
            ("changed", ended.pk),
            ("changed", open_row.pk),
            ("finished", ended.pk),
            ("changed", ended.pk),
        ]

    def test_leaves_to_another_process_what_that_has_taken_on(self, told: list[Any]) -> None:
        mine, theirs = make_done(), make_done()
        Generation.objects.filter(pk=theirs.pk).update(next_check_at=None)
        announce([mine, theirs])
        assert [pk for name, pk in told if name == "finished"] == [mine.pk]

    def test_clears_the_due_time_of_what_it_tells_alone(self, told: list[Any]) -> None:
        mine, other = make_done(), make_done()
        announce([mine])
        assert list(Generation.objects.filter(next_check_at=None)) == [mine]
        assert Generation.objects.get(pk=other.pk).next_check_at == DUE

    def test_never_takes_the_time_of_a_row_that_is_open(self, told: list[Any]) -> None:
        row = make_generation(status=Status.RUNNING)
        stale = Generation(pk=row.pk, status=Status.DONE)
        announce([stale])
        row.refresh_from_db()
        assert row.next_check_at is not None
        assert ("finished", row.pk) not in told

    def test_of_nothing_asks_the_database_nothing(self, django_assert_num_queries: Any) -> None:
        with django_assert_num_queries(0):
            announce([])


class TestOverdue:
    def test_are_told_up_to_the_limit(self, told: list[Any]) -> None:
        rows = [make_done(next_check_at=DUE - timedelta(seconds=n)) for n in range(3)]
        assert announce_overdue(now=NOW, limit=2) == 2
        assert told == [("finished", rows[2].pk), ("finished", rows[1].pk)]

    def test_are_final_rows_alone(self, told: list[Any]) -> None:
        make_generation(status=Status.RUNNING, next_check_at=DUE)
        assert announce_overdue(now=NOW, limit=10) == 0
        assert told == []
