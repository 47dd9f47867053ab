"""The statements of a move, written by hand.

Building one takes the ORM several times as long as a database needs to run it, and whoever waits
for a stream's first frame waits for a move. Nothing is decided here.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from django.db import connection
from django.db.models import Field, Model

from creatify_textgen.lifecycle.by_key import ByKey

__all__ = ["insert_rows", "update_rows"]

_Piece = tuple[str, Sequence[Any]]
"""SQL and its parameters."""

_UPDATE = "UPDATE {table} SET {values} WHERE {conditions}"
_INSERT = "INSERT INTO {table} ({columns}) VALUES ({values})"


def update_rows(model: type[Model], values: Mapping[str, Any], *, where: Mapping[str, Any]) -> int:
    """Do what `model.objects.filter(**where).update(**values)` does; return how many rows matched.

    A value is plain or a `ByKey`; a condition is a plain value, or a set or list of those allowed.
    """
    assignments, params = _each(model, values, _assignment)
    conditions, more = _each(model, where, _condition)
    sql = _UPDATE.format(
        table=connection.ops.quote_name(model._meta.db_table),
        values=", ".join(assignments),
        conditions=" AND ".join(conditions),
    )
    with connection.cursor() as cursor:
        cursor.execute(sql, [*params, *more])
        return int(cursor.rowcount)


def insert_rows(model: type[Model], rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows, each with a value for the same columns, and let the database make their keys."""
    fields = [_field(model, name) for name in rows[0]]
    sql = _INSERT.format(
        table=connection.ops.quote_name(model._meta.db_table),
        columns=", ".join(map(_column, fields)),
        values=", ".join(["%s"] * len(fields)),
    )
    prepared = [
        [_prepared(field, value) for field, value in zip(fields, row.values(), strict=True)]
        for row in rows
    ]
    with connection.cursor() as cursor:
        cursor.executemany(sql, prepared)


def _each(
    model: type[Model], values: Mapping[str, Any], write: Callable[[Field[Any, Any], Any], _Piece]
) -> tuple[list[str], list[Any]]:
    pieces: list[str] = []
    params: list[Any] = []
    for name, value in values.items():
        sql, more = write(_field(model, name), value)
        pieces.append(sql)
        params += more
    return pieces, params


def _assignment(field: Field[Any, Any], value: Any) -> _Piece:
    if isinstance(value, ByKey):
        sql, params = value.sql(connection)
        return f"{_column(field)} = {sql}", params
    return f"{_column(field)} = %s", [_prepared(field, value)]


def _condition(field: Field[Any, Any], value: Any) -> _Piece:
    allowed = [*value] if isinstance(value, Collection) and not isinstance(value, str) else [value]
    places = ", ".join(["%s"] * len(allowed))
    return f"{_column(field)} IN ({places})", [_prepared(field, one) for one in allowed]


def _field(model: type[Model], name: str) -> Field[Any, Any]:
    field: Field[Any, Any] = model._meta.get_field(name)  # type: ignore[assignment]
    return field


def _column(field: Field[Any, Any]) -> str:
    return str(connection.ops.quote_name(str(field.column)))


def _prepared(field: Field[Any, Any], value: Any) -> Any:
    return field.get_db_prep_save(value, connection)
