"""Which indexes have a row: each change of the row writes to all of them."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import IntegrityError, connection

from creatify_textgen.models import Generation
from creatify_textgen.states import TERMINAL, Status
from tests.factories import make_generation

pytestmark = pytest.mark.django_db

TABLE = Generation._meta.db_table
DEFINITIONS = {
    "postgresql": "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = %s",
    "sqlite": "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name = %s",
}


def definitions() -> dict[str, str]:
    """Return the SQL of each index of the table that we have named."""
    if connection.vendor not in DEFINITIONS:
        pytest.skip("this database has no partial indexes")
    with connection.cursor() as cursor:
        cursor.execute(DEFINITIONS[connection.vendor], [TABLE])
        return {name: sql for name, sql in cursor.fetchall() if name.startswith("textgen_")}


def test_have_every_row_only_if_a_list_needs_it() -> None:
    whole = {name for name, sql in definitions().items() if " WHERE " not in sql}
    assert whole == {"textgen_owner", "textgen_created"}


@pytest.mark.parametrize("status", sorted(set(Status) - {Status.EXPIRED}))
def test_of_statuses_have_a_row_once(status: Status) -> None:
    conditions = {name: sql.partition(" WHERE ")[2] for name, sql in definitions().items()}
    found = [name for name, condition in conditions.items() if f"'{status}'" in condition]
    kind = [] if status == Status.DONE else ["textgen_not_done"]
    assert found == (kind if status in TERMINAL else ["textgen_open"])


@pytest.mark.parametrize("name", ["textgen_remote_once", "textgen_idempotency_once"])
def test_of_what_is_unique_have_no_row_without_it(name: str) -> None:
    sql = definitions()[name]
    assert "UNIQUE" in sql
    assert "IS NOT NULL" in sql.partition(" WHERE ")[2]


@pytest.mark.parametrize("column", ["remote_id", "idempotency_key"])
class TestUnique:
    def test_is_a_value(self, column: str) -> None:
        value: dict[str, Any] = {column: "one"}
        make_generation(**value)
        with pytest.raises(IntegrityError):
            make_generation(**value)

    def test_is_no_absence(self, column: str) -> None:
        absence: dict[str, Any] = {column: None}
        for _ in range(2):
            make_generation(**absence)
        assert Generation.objects.filter(**absence).count() == 2

    def test_is_in_every_database(self, column: str) -> None:
        with connection.cursor() as cursor:
            found = connection.introspection.get_constraints(cursor, TABLE)
        assert [each["unique"] for each in found.values() if each["columns"][0] == column] == [True]
