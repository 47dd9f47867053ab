"""Reads the fields of a body that is small, such as `{"at": 3}`. `intake` reads whole requests.

Invariant: an unknown field is refused, because it is probably a misspelled one.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from creatify_textgen.intake.reading import Reader
from creatify_textgen.intake.text import kind_of

__all__ = ["read_fields", "read_sync"]


def read_fields(body: Any, *, known: Collection[str], required: str = "") -> dict[str, Any]:
    """Return the fields of a body. Raises: RequestError for an unknown or a missing one."""
    reader = Reader()
    # A request without a body is one without fields.
    fields = reader.mapping({} if body is None else body, path="")
    if fields is not None:
        reader.known_keys(fields, frozenset(known), path="")
        if required and required not in fields:
            reader.refuse(required, "Is required.")
    reader.raise_if_refused()
    return dict(fields or {})


def read_sync(fields: dict[str, Any]) -> bool:
    """Take `sync` out of the fields, and return whether the caller waits. Raises: RequestError."""
    reader = Reader()
    # Strictly: a client that sends "false" would otherwise be one that waits.
    waits = fields.pop("sync", False)
    if not isinstance(waits, bool):
        reader.refuse("sync", f"Must be true or false, not {kind_of(waits)}.")
    reader.raise_if_refused()
    return bool(waits)
