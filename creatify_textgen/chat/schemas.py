"""Schemas of answers, in forms that a host may choose."""

from __future__ import annotations

from typing import Any

from creatify_textgen.schemas import inline_refs, json_schema

__all__ = ["inlined"]


def inlined(shape: Any) -> dict[str, Any]:
    """Return the JSON Schema of a type, or of a schema, without `$ref` and `$defs`.

    For `schema=` if a model does not read `$ref`. Raises: RequestError for a type that contains
    itself or has no schema.
    """
    return inline_refs(json_schema(shape))
