"""A unique constraint whose index leaves out the rows that have no value.

Each change of a row writes to every index that has the row. Invariant: what may be saved is the
same in every database, because NULL equals no other NULL in any of them.
"""

from __future__ import annotations

from typing import Any

from django.db import models
from django.db.models import Q

__all__ = ["UniqueIfSet"]


class UniqueIfSet(models.UniqueConstraint):
    """Unique if the first of its fields is not NULL.

    Django gets no `condition`, because it would create no constraint at all in MariaDB, which has
    no partial indexes. There, the index has an entry for each row.
    """

    # Django writes a migration from `deconstruct()`, which has no condition. So one migration fits
    # all databases, and each method below writes what the database at hand can do.
    def constraint_sql(self, model: Any, schema_editor: Any) -> Any:
        return self._plain(schema_editor).constraint_sql(model, schema_editor)

    def create_sql(self, model: Any, schema_editor: Any) -> Any:
        return self._plain(schema_editor).create_sql(model, schema_editor)

    def remove_sql(self, model: Any, schema_editor: Any) -> Any:
        return self._plain(schema_editor).remove_sql(model, schema_editor)

    def _plain(self, schema_editor: Any) -> models.UniqueConstraint:
        is_set = Q((f"{self.fields[0]}__isnull", False))
        has_partial = schema_editor.connection.features.supports_partial_indexes
        return models.UniqueConstraint(
            fields=self.fields, name=self.name, condition=is_set if has_partial else None
        )
