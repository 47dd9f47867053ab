"""Which process announces that a generation has finished, if several could."""

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
from tests.faults.remote_double import KilledError

pytestmark = pytest.mark.django_db

DUE = NOW - timedelta(seconds=1)


@pytest.fixture
def reported() -> Iterator[list[tuple[str, uuid.UUID]]]:
    """Yield the signals that receivers get, with the row of each."""
    received: list[tuple[str, uuid.UUID]] = []

    def finished(generation: Generation, **_: Any) -> None:
        received.append(("finished", generation.pk))

    def changed(generation: Generation, **_: Any) -> None:
        received.append(("changed", generation.pk))

    generation_finished.connect(finished, sender=Generation)
    generation_status_changed.connect(changed, sender=Generation)
    yield received
    generation_finished.disconnect(finished, sender=Generation)
    generation_status_changed.disconnect(changed, sender=Generation)


def make_done(**fields: Any) -> Generation:
    return make_generation(status=Status.DONE, **{"due_at": DUE, **fields})


class TestAnnounce:
    def test_tells_of_every_move_and_of_an_end_once(self, reported: list[Any]) -> None:
        ended, open_row = make_done(), make_generation(status=Status.RUNNING)
        announce([ended, open_row])
        announce([ended])
        assert reported == [
            ("changed", ended.pk),
            ("changed", open_row.pk),
            ("finished", ended.pk),
            ("changed", ended.pk),
        ]

    def test_leaves_to_another_process_what_that_has_taken_on(self, reported: list[Any]) -> None:
        mine, theirs = make_done(), make_done()
        Generation.objects.filter(pk=theirs.pk).update(due_at=None)
        announce([mine, theirs])
        assert [pk for name, pk in reported if name == "finished"] == [mine.pk]

    def test_clears_the_due_time_of_what_it_tells_alone(self, reported: list[Any]) -> None:
        mine, other = make_done(), make_done()
        announce([mine])
        assert list(Generation.objects.filter(due_at=None)) == [mine]
        assert Generation.objects.get(pk=other.pk).due_at == DUE

    def test_never_takes_the_time_of_a_row_that_is_open(self, reported: list[Any]) -> None:
        row = make_generation(status=Status.RUNNING)
        stale = Generation(pk=row.pk, status=Status.DONE)
        announce([stale])
        row.refresh_from_db()
        assert row.due_at is not None
        assert ("finished", row.pk) not in reported

    def test_of_nothing_asks_the_database_nothing(self, django_assert_num_queries: Any) -> None:
        with django_assert_num_queries(0):
            announce([])


class TestOverdue:
    def test_are_told_up_to_the_limit(self, reported: list[Any]) -> None:
        rows = [make_done(due_at=DUE - timedelta(seconds=n)) for n in range(3)]
        assert announce_overdue(now=NOW, limit=2) == 2
        assert reported == [("finished", rows[2].pk), ("finished", rows[1].pk)]

    def test_are_final_rows_alone(self, reported: list[Any]) -> None:
        make_generation(status=Status.RUNNING, due_at=DUE)
        assert announce_overdue(now=NOW, limit=10) == 0
        assert reported == []


class TestKill:
    """A process that dies while receivers run loses the signal of one row, whatever the batch."""

    @pytest.mark.parametrize("way", ["after a move", "by a sweep"])
    def test_while_receivers_run_loses_one_of_a_batch(self, way: str) -> None:
        rows = [make_done() for _ in range(40)]
        received: list[uuid.UUID] = []

        def receive(generation: Generation, **_: Any) -> None:
            if len(received) == 3:
                raise KilledError
            received.append(generation.pk)

        generation_finished.connect(receive, sender=Generation)
        try:
            with pytest.raises(KilledError):
                announce(rows) if way == "after a move" else announce_overdue(now=NOW, limit=40)
            assert Generation.objects.exclude(due_at=None).count() == 36
            received.clear()
            generation_finished.disconnect(receive, sender=Generation)
            generation_finished.connect(collect := _collect(received), sender=Generation)
            assert announce_overdue(now=NOW, limit=100) == 36
        finally:
            generation_finished.disconnect(receive, sender=Generation)
            generation_finished.disconnect(collect, sender=Generation)
        assert len(set(received)) == 36

    def test_costs_no_statement_a_row_if_nobody_listens(
        self, django_assert_num_queries: Any
    ) -> None:
        rows = [make_done() for _ in range(40)]
        with django_assert_num_queries(1):
            announce(rows)
        assert not Generation.objects.exclude(due_at=None).exists()


class TestOverdueReads:
    def test_few_of_the_rows_that_are_due(self) -> None:
        for _ in range(9):
            make_generation(status=Status.PENDING, due_at=DUE)
        final = make_done(due_at=DUE + timedelta(milliseconds=1))
        assert announce_overdue(now=NOW, limit=2) == 0
        Generation.objects.exclude(pk=final.pk).update(due_at=NOW + timedelta(seconds=60))
        assert announce_overdue(now=NOW, limit=2) == 1


def _collect(received: list[uuid.UUID]) -> Any:
    def receive(generation: Generation, **_: Any) -> None:
        received.append(generation.pk)

    return receive
