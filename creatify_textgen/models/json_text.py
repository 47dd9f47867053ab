"""JSON that keeps its text: a column for what is sent to the remote and what came from it.

A model that writes JSON follows the order of a schema's properties, so the order is part of the
request. PostgreSQL's jsonb and MySQL's JSON sort keys, merge equal ones and rewrite numbers. This
column is text on every database. Nothing can query into it, and nothing in this app does.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from django.db import models

__all__ = ["JSONTextField"]

if TYPE_CHECKING:
    _TextField = models.TextField[Any, Any]
else:
    _TextField = models.TextField


class JSONTextField(_TextField):
    """A value that JSON can write, stored as its text; None is NULL."""

    if TYPE_CHECKING:
        # What django-stubs reads: any value may be assigned and read.
        _pyi_private_set_type: Any
        _pyi_private_get_type: Any

    def get_prep_value(self, value: Any) -> str | None:
        # All but ASCII is escaped, because no text column stores NUL or half a surrogate pair.
        return None if value is None else json.dumps(value, separators=(",", ":"))

    def from_db_value(self, value: str | None, *_: Any) -> Any:
        return None if value is None else json.loads(value)

    def to_python(self, value: Any) -> Any:
        """Return the value of a fixture's text; any other value is returned as it is."""
        return json.loads(value) if isinstance(value, str) else value

    def value_to_string(self, obj: models.Model) -> str:
        """Return the text for a fixture."""
        return json.dumps(self.value_from_object(obj))
