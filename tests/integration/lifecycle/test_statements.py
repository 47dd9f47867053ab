"""What is written by hand does what the ORM does, on whatever database this run has."""

from __future__ import annotations

import uuid
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from creatify_textgen.lifecycle.by_key import columns
from creatify_textgen.lifecycle.statements import insert_rows, update_rows
from creatify_textgen.models import (
    CompiledQuery,
    Generation,
    GenerationContent,
    GenerationEvent,
)
from creatify_textgen.states import Cause, Status
from tests.factories import NOW, make_generation

pytestmark = pytest.mark.django_db

VALUES: dict[str, Any] = {
    "status": Status.PENDING,
    "claim": uuid.UUID(int=7),
    "credits_used": Decimal("0.0000000001"),
    "next_check_at": NOW + timedelta(microseconds=1),
    "remote_id": "r-1",
    "metadata": {"ä": [1, None, "\\ % %s"]},
    "partial": True,
    "lease_until": None,
    "created_at": NOW,
    "updated_at": NOW,
}


def stored(model: Any, *, without: tuple[str, ...]) -> list[dict[str, Any]]:
    rows = model.objects.order_by("pk").values()
    return [{key: value for key, value in row.items() if key not in without} for row in rows]


class TestUpdate:
    def test_writes_what_the_orm_writes(self) -> None:
        theirs, ours = make_generation(), make_generation()
        assert Generation.objects.filter(pk=theirs.pk).update(**VALUES, attempts=3) == 1
        other_id = {**VALUES, "remote_id": "r-2", "attempts": 3}
        assert update_rows(Generation, other_id, where={"id": ours.pk}) == 1
        one, other = stored(Generation, without=("id", "remote_id"))
        assert one == other

    def test_touches_only_what_meets_every_condition(self) -> None:
        queued, done = make_generation(), make_generation(status=Status.DONE)
        where = {"id": [queued.pk, done.pk], "status": {Status.QUEUED, Status.PENDING}}
        assert update_rows(Generation, {"attempts": 5}, where={**where, "attempts": 0}) == 1
        assert update_rows(Generation, {"attempts": 6}, where={**where, "attempts": 0}) == 0
        queued.refresh_from_db()
        done.refresh_from_db()
        assert (queued.attempts, done.attempts) == (5, 0)

    def test_gives_each_row_its_own_value(self) -> None:
        rows = [make_generation() for _ in range(3)]
        texts = {row.pk: {"response_text": f"{index} %s"} for index, row in enumerate(rows)}
        values = columns(GenerationContent, texts)
        assert update_rows(GenerationContent, values, where={"generation": texts}) == 3
        found = GenerationContent.objects.values_list("pk", "response_text")
        assert dict(found) == {row.pk: f"{index} %s" for index, row in enumerate(rows)}


class TestInsert:
    def test_writes_what_the_orm_writes(self) -> None:
        generation = make_generation()
        event: dict[str, Any] = {"at": NOW, "status": Status.DONE, "cause": Cause.STREAM}
        event["detail"] = "100 % ä"
        GenerationEvent.objects.all().delete()
        GenerationEvent.objects.create(generation=generation, **event)
        insert_rows(GenerationEvent, [{"generation": generation.pk, **event}] * 2)
        first, *others = stored(GenerationEvent, without=("id",))
        assert others == [first, first]


class TestCompiledQuery:
    NAMES = ("id", "status", "credits_used", "metadata", "created_at", "content__messages")

    def test_gives_what_the_orm_gives_for_each_key(self) -> None:
        query = CompiledQuery(lambda key: Generation.objects.filter(pk=key).values(*self.NAMES))
        rows = [make_generation(metadata={"order": number}) for number in range(3)]
        for row in rows:
            wanted = Generation.objects.filter(pk=row.pk).values(*self.NAMES).get()
            assert query.first(row.pk) == wanted

    def test_gives_nothing_where_there_is_nothing(self) -> None:
        query = CompiledQuery(
            lambda key: Generation.objects.filter(pk=key, status=Status.DONE).values("id")
        )
        assert query.first(make_generation().pk) is None
        assert query.first(uuid.uuid4()) is None
