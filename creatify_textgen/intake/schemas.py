"""What an answer must be, made into a schema that Gemini reads (contract, section 3.2).

Invariant: the schema accepts what was asked for. A keyword that has an equal is rewritten, one that
checks nothing is left out, and every other is refused by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from creatify_textgen.exceptions import RequestError
from creatify_textgen.intake.config import JSON_MIME_TYPE
from creatify_textgen.intake.reading import Reader
from creatify_textgen.intake.text import kind_of
from creatify_textgen.remote.contract import SCHEMA_KEYWORDS
from creatify_textgen.schemas import json_schema

__all__ = ["read_schema"]

CHECKS_NOTHING = frozenset(
    [
        "default",
        "example",
        "examples",
        "deprecated",
        "readOnly",
        "writeOnly",
        "discriminator",
        "$schema",
        "$comment",
    ]
)
"""Keywords that do not change which answers are right."""
NAMED = frozenset({"properties", "$defs"})
"""Keywords whose value holds a schema under each name."""
LISTED = frozenset({"anyOf", "oneOf", "prefixItems"})
SINGLE = frozenset({"items", "additionalProperties"})

_IN_WORDS = "say it in description, and have the type check it in parsed()."
# What a host can write instead of a keyword that Gemini does not read.
_INSTEAD = {
    "allOf": "put all properties into one object.",
    "definitions": "call it $defs.",
    "dependentRequired": "use anyOf with one object for each case.",
    "exclusiveMaximum": "use maximum (in pydantic le).",
    "exclusiveMinimum": "use minimum (in pydantic ge).",
    "if": "use anyOf with one object for each case.",
    "not": "name what is allowed, with enum or anyOf.",
    "nullable": 'use anyOf with {"type": "null"}.',
    "patternProperties": "use a list of objects with a name and a value.",
    "uniqueItems": f"use a list (in Python list, not set); {_IN_WORDS}",
}

_NEXT_INTEGER = {"exclusiveMinimum": ("minimum", 1), "exclusiveMaximum": ("maximum", -1)}


def read_schema(value: Any, *, config: dict[str, Any], reader: Reader) -> dict[str, Any]:
    """Return the config with this schema; None leaves it as it is."""
    if value is None:
        return config
    if "response_json_schema" in config:
        reader.refuse("schema", "Must not stand beside config.response_json_schema.")
    if config.get("response_mime_type", JSON_MIME_TYPE) != JSON_MIME_TYPE:
        reader.refuse("config.response_mime_type", f"Must be {JSON_MIME_TYPE} beside schema.")
    # A type without a schema is one of the wrong fields, so the others are named beside it.
    try:
        source = reader.object_tree(json_schema(value), path="schema")
    except RequestError as error:
        reader.refuse_all("schema", {"": error.errors["schema"]})
        return config
    schema = _read(source, path="schema", reader=reader)
    return {**config, "response_mime_type": JSON_MIME_TYPE, "response_json_schema": schema}


def _read(value: Any, *, path: str, reader: Reader) -> Any:
    if isinstance(value, bool):
        return value
    source = reader.mapping(value, path=path)
    if source is None:
        return {}
    schema: dict[str, Any] = {}
    for key, item in _rewritten(source).items():
        if key in SCHEMA_KEYWORDS:
            schema[key] = _read_item(key, item, path=f"{path}.{key}", reader=reader)
        elif key not in CHECKS_NOTHING:
            reader.refuse(f"{path}.{key}", f"Gemini does not read it: {_instead(key)}")
    if "$ref" in schema and any(not key.startswith("$") for key in schema):
        if "anyOf" in schema:
            rule = "Gemini reads no anyOf beside it: write its properties into each choice."
            reader.refuse(f"{path}.$ref", rule)
        # Gemini takes nothing beside a $ref but what begins with $.
        return {"anyOf": [{"$ref": schema.pop("$ref")}], **schema}
    return schema


def _read_item(key: str, item: Any, *, path: str, reader: Reader) -> Any:
    if key in NAMED and isinstance(item, Mapping):
        return {
            name: _read(part, path=f"{path}.{name}", reader=reader) for name, part in item.items()
        }
    if key in LISTED and isinstance(item, list):
        return [_read(part, path=f"{path}[{i}]", reader=reader) for i, part in enumerate(item)]
    if key in NAMED | LISTED:
        kind = "an object" if key in NAMED else "a list"
        reader.refuse(path, f"Must be {kind} of schemas, not {kind_of(item)}.")
        return item
    return _read(item, path=path, reader=reader) if key in SINGLE else item


def _rewritten(source: Mapping[str, Any]) -> dict[str, Any]:
    """Return it with keywords that Gemini reads for those which say the same."""
    schema = dict(source)
    if "const" in schema:
        schema["enum"] = [schema.pop("const")]
    # For numbers with a fraction there is no next one, so `exclusiveMinimum` stays and is refused.
    if schema.get("type") == "integer":
        for key, (equal, step) in _NEXT_INTEGER.items():
            # Not True, which draft 4 of JSON Schema has there, and which Python counts as 1.
            if type(schema.get(key)) is int and equal not in schema:
                schema[equal] = schema.pop(key) + step
    return schema


def _instead(key: str) -> str:
    return _INSTEAD.get(key, _IN_WORDS)
