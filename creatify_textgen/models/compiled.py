"""A query that Django builds and compiles once, for where its own time is what somebody waits for.

Building and compiling a query takes Django several times as long as a database needs to answer
it. Writes nothing.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from django.db import connection
from django.db.models import QuerySet

__all__ = ["CompiledQuery"]

ANY_KEY = uuid.UUID(int=0)
"""Stands for the key while the query is built."""


@dataclass(frozen=True, slots=True)
class _Compiled:
    sql: str
    params: Sequence[Any]
    names: Sequence[str]
    converters: Mapping[int, tuple[Sequence[Callable[..., Any]], Any]]
    """By the column's index; each takes a value, the expression behind it and a connection."""


class CompiledQuery:
    """One row by its key: `build(key)` is called once and returns a queryset of `values()`."""

    def __init__(self, build: Callable[[uuid.UUID], QuerySet[Any, dict[str, Any]]]) -> None:
        self._build = build

    def first(self, key: uuid.UUID) -> dict[str, Any] | None:
        """Return the values of the row with this key, or None."""
        compiled = self._compiled
        given, placeholder = _adapted(key), _adapted(ANY_KEY)
        params = [given if param == placeholder else param for param in compiled.params]
        with connection.cursor() as cursor:
            cursor.execute(compiled.sql, params)
            found = cursor.fetchone()
        if found is None:
            return None
        values = list(found)
        for index, (converters, expression) in compiled.converters.items():
            for convert in converters:
                values[index] = convert(values[index], expression, connection)
        return dict(zip(compiled.names, values, strict=True))

    @cached_property
    def _compiled(self) -> _Compiled:
        query = self._build(ANY_KEY).query
        compiler = query.get_compiler(connection=connection)
        sql, params = compiler.as_sql()
        columns = [column for column, *_ in compiler.select]
        names = [*query.values_select, *query.annotation_select]
        return _Compiled(sql, params, names, compiler.get_converters(columns))


def _adapted(key: uuid.UUID) -> Any:
    return key if connection.features.has_native_uuid_field else key.hex
