"""Another value for each row in one UPDATE, as each database wants it written."""

from __future__ import annotations

from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
from django.db.models import F

from creatify_textgen.lifecycle.by_key import ByKey, columns
from creatify_textgen.models import Generation, GenerationContent, UsageDay
from tests.factories import make_generation

POSTGRES: Any = SimpleNamespace(
    vendor="postgresql",
    data_types={"CharField": "varchar(%(max_length)s)", "IntegerField": "integer"},
    features=SimpleNamespace(related_fields_match_type=False),
    ops=SimpleNamespace(quote_name=str),
)


class TestCast:
    @pytest.mark.parametrize(
        ("model", "name", "written"),
        [
            (Generation, "status", "(%s)::varchar(12)"),
            (UsageDay, "generations", "(%s)::integer"),
        ],
    )
    def test_tells_postgresql_the_type(self, model: Any, name: str, written: str) -> None:
        assert ByKey(model, name, {})._cast(POSTGRES) == written

    @pytest.mark.parametrize("vendor", ["sqlite", "mysql"])
    def test_is_none_elsewhere(self, vendor: str) -> None:
        connection: Any = SimpleNamespace(vendor=vendor)
        assert ByKey(Generation, "status", {})._cast(connection) == "%s"


class TestColumns:
    def test_are_plain_where_all_rows_get_the_same(self) -> None:
        assert columns(Generation, {1: {"status": "done"}, 2: {"status": "done"}}) == {
            "status": "done"
        }

    @pytest.mark.parametrize(
        ("first", "second"),
        [("a", "b"), (1, True), ([1], [1]), ({"a": 1}, {"a": 1}), ("1", 1), (None, "")],
    )
    def test_differ_where_json_would(self, first: Any, second: Any) -> None:
        reported = columns(
            GenerationContent, {1: {"response_text": first}, 2: {"response_text": second}}
        )
        assert isinstance(reported["response_text"], ByKey)

    def test_are_plain_where_values_are_equal_but_not_the_same(self) -> None:
        rows = {1: {"credits_used": Decimal("1.5")}, 2: {"credits_used": Decimal("1.50")}}
        assert columns(Generation, rows) == {"credits_used": Decimal("1.5")}

    def test_take_the_very_same_expression_for_all(self) -> None:
        more = F("attempts") + 1
        assert columns(Generation, {1: {"attempts": more}, 2: {"attempts": more}}) == {
            "attempts": more
        }


@pytest.mark.django_db
class TestUpdate:
    def test_keeps_what_the_rows_without_a_value_have(self) -> None:
        rows = [make_generation(excerpt=f"before {number}") for number in range(3)]
        values = {rows[0].pk: "one", rows[1].pk: "two"}
        Generation.objects.update(excerpt=ByKey(Generation, "excerpt", values))
        for row in rows:
            row.refresh_from_db()
        assert [row.excerpt for row in rows] == ["one", "two", "before 2"]

    def test_adds_to_what_is_there(self) -> None:
        rows = [make_generation(attempts=number) for number in range(2)]
        added = ByKey(Generation, "attempts", {rows[0].pk: 5, rows[1].pk: 7})
        Generation.objects.update(attempts=F("attempts") + added)
        assert sorted(Generation.objects.values_list("attempts", flat=True)) == [5, 8]
