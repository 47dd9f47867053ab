"""Checks the keywords of a JSON Schema that the emulated model reads (contract, section 3.2). Pure.

The model relies on these shapes. Other keywords are ignored.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeGuard

__all__ = ["check_schema"]


def _is_number(value: Any) -> bool:
    # JSON writes no infinity, but `1e400` becomes one, and an integer may be above every float.
    return isinstance(value, int | float) and -sys.float_info.max <= value <= sys.float_info.max


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _are_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _are_objects(value: Any) -> TypeGuard[list[Mapping[str, Any]]]:
    return isinstance(value, list) and all(isinstance(item, Mapping) for item in value)


NUMBER = _is_number, "Must be a number."
COUNT = _is_count, "Must be a whole number, 0 or more."
OBJECTS = _are_objects, "Must be an array of objects."
KEYWORDS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "type": (lambda value: isinstance(value, str) or _are_texts(value), "Must be a type's name."),
    "properties": (lambda value: isinstance(value, Mapping), "Must be an object."),
    "required": (_are_texts, "Must be an array of strings."),
    "enum": (lambda value: isinstance(value, list), "Must be an array."),
    "format": (lambda value: isinstance(value, str), "Must be a string."),
    "prefixItems": OBJECTS,
    "anyOf": OBJECTS,
    "oneOf": OBJECTS,
    "allOf": OBJECTS,
    **dict.fromkeys(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"), NUMBER),
    **dict.fromkeys(("minItems", "maxItems", "minLength", "maxLength"), COUNT),
}
LISTS = ("prefixItems", "anyOf", "oneOf", "allOf")
TABLES = ("properties", "$defs", "definitions")


def check_schema(schema: Any, *, path: str) -> Iterator[tuple[str, str]]:
    """Yield the path and the text of everything that is wrong."""
    # A stack and not recursion: a body may be nested so deeply that Python has too few frames.
    waiting = [(path, schema)]
    while waiting:
        where, found = waiting.pop()
        if not isinstance(found, Mapping):
            yield where, "Must be an object."
            continue
        for keyword, (is_right, rule) in KEYWORDS.items():
            if keyword in found and not is_right(found[keyword]):
                yield f"{where}.{keyword}", rule
        waiting += _inner(found, path=where)


def _inner(schema: Mapping[str, Any], *, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(schema.get("items"), Mapping):
        yield f"{path}.items", schema["items"]
    for keyword in LISTS:
        if _are_objects(items := schema.get(keyword)):
            yield from ((f"{path}.{keyword}[{at}]", item) for at, item in enumerate(items))
    for keyword in TABLES:
        # `true` and `false` are schemas as well: for anything, and for nothing.
        if isinstance(table := schema.get(keyword), Mapping):
            named = ((name, item) for name, item in table.items() if not isinstance(item, bool))
            yield from ((f"{path}.{keyword}.{name}", item) for name, item in named)
