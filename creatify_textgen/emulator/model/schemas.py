"""Values that satisfy a simple JSON Schema, taken from the prompt if something in it fits.

Covers the subset that Gemini honours (contract, section 3.2). Pure: same input, same value.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any

__all__ = ["value_for"]

PLACE = re.compile(
    r"\b(?:in|at|for|near|to|from|of)\s+((?:[A-Z][\w'.-]*)(?:\s+[A-Z][\w'.-]*)*)", re.UNICODE
)
QUOTED = re.compile(r"[\"“«']([^\"”»']{1,200})[\"”»']")
NUMBER = re.compile(r"-?\d{1,15}(?:\.\d{1,15})?")
# A schema may refer to itself, so values end at this depth.
DEPTH_LIMIT = 12
# A schema of a few lines may ask for a thousand million items, or for a string of gigabytes. Above
# this limit, items are left out, strings are cut and other values are null.
CHARACTERS_LIMIT = 1_000_000
VALUE_COST = 20
"""Characters that each value counts, besides those of its text."""
PLACE_NAMES = ("location", "city", "place", "country", "region", "destination", "origin", "address")
PROMPT_NAMES = ("query", "prompt", "text", "question", "message", "input", "topic", "search")
FORMATS = {
    "date": "2026-01-15",
    "date-time": "2026-01-15T12:00:00Z",
    "time": "12:00:00Z",
    "duration": "PT1H",
    "email": "emulator@example.com",
    "uri": "https://example.com/",
    "uuid": "00000000-0000-4000-8000-000000000000",
}


def value_for(schema: Any, *, prompt: str, name: str = "") -> Any:
    """Return a value that satisfies `schema`; `name` is the property it is for."""
    return Filler(schema, prompt=prompt).fill(schema, name=name, depth=0)


class Filler:
    """Fills one schema; holds its definitions and the prompt."""

    def __init__(self, root: Any, *, prompt: str) -> None:
        self._root = root
        self._prompt = prompt
        self._lowered = prompt.lower()
        self._place = PLACE.search(prompt)
        self._quoted = QUOTED.search(prompt)
        self._number = NUMBER.search(prompt)
        self._characters_left = CHARACTERS_LIMIT

    def fill(self, schema: Any, *, name: str, depth: int) -> Any:
        self._characters_left -= VALUE_COST
        if not isinstance(schema, Mapping) or depth > DEPTH_LIMIT or self._characters_left <= 0:
            return None
        schema = self._resolve(schema)
        # Before the type: both are values that satisfy the schema, or are meant to.
        for key in ("const", "default"):
            if key in schema:
                return self._counted(schema[key])
        if schema.get("enum"):
            return self._counted(self._choose(schema["enum"]))
        for key in ("anyOf", "oneOf", "allOf"):
            if schema.get(key):
                return self.fill({**schema[key][0]}, name=name, depth=depth + 1)
        return self._fill_type(schema, name=name, depth=depth)

    def _resolve(self, schema: Mapping[str, Any]) -> Mapping[str, Any]:
        # Only references within the schema: the emulator opens no URL of a request.
        reference = schema.get("$ref")
        if not isinstance(reference, str) or not reference.startswith("#"):
            return schema
        found: Any = self._root
        for step in reference.lstrip("#/").split("/"):
            found = found.get(step, {}) if isinstance(found, Mapping) and step else found
        return found if isinstance(found, Mapping) else {}

    def _counted(self, value: Any) -> Any:
        """Return a value of the schema, which repeats it for each item of an array."""
        self._characters_left -= len(json.dumps(value))
        return value if self._characters_left >= 0 else None

    def _choose(self, choices: list[Any]) -> Any:
        # Each item of an array searches all of them.
        self._characters_left -= len(choices)
        for choice in choices:
            if str(choice).lower() in self._lowered:
                return choice
        return choices[0]

    def _fill_type(self, schema: Mapping[str, Any], *, name: str, depth: int) -> Any:
        kind = type_of(schema)
        if kind == "object":
            return self._fill_object(schema, depth=depth)
        if kind == "array":
            return self._fill_array(schema, name=name, depth=depth)
        if kind in ("integer", "number"):
            return self._fill_number(schema, whole=kind == "integer")
        if kind == "boolean":
            return True
        if kind == "null":
            return None
        return self._fill_string(schema, name=name)

    def _fill_object(self, schema: Mapping[str, Any], *, depth: int) -> dict[str, Any]:
        properties = schema.get("properties") or {}
        required = schema.get("required") or []
        # In depth only what must be there, or a recursive schema would grow without bounds.
        wanted = properties if depth < DEPTH_LIMIT // 2 else required
        filled = {
            key: self.fill(properties.get(key, {}), name=key, depth=depth + 1) for key in wanted
        }
        for key in required:
            filled.setdefault(key, self.fill({"type": "string"}, name=key, depth=depth + 1))
        return filled

    def _fill_array(self, schema: Mapping[str, Any], *, name: str, depth: int) -> list[Any]:
        first = [
            self.fill(item, name=name, depth=depth + 1) for item in schema.get("prefixItems") or []
        ]
        items = schema.get("items")
        if not isinstance(items, Mapping) or depth >= DEPTH_LIMIT:
            return first
        fewest, most = schema.get("minItems", 1), schema.get("maxItems", 1_000)
        count = min(max(fewest, len(first), 1), most) - len(first)
        for _ in range(count):
            if self._characters_left <= VALUE_COST:
                break
            first.append(self.fill(items, name=name, depth=depth + 1))
        return first

    def _fill_number(self, schema: Mapping[str, Any], *, whole: bool) -> float:
        step = 1 if whole else 0.5
        low: float = schema.get("minimum", schema.get("exclusiveMinimum", float("-inf")) + step)
        high: float = schema.get("maximum", schema.get("exclusiveMaximum", float("inf")) - step)
        number = float(self._number.group()) if self._number else 1.0
        # If the bounds contradict each other, the upper one wins.
        number = min(max(number, low), high)
        if not whole:
            return number
        return math.floor(number) if math.floor(number) >= low else math.ceil(number)

    def _fill_string(self, schema: Mapping[str, Any], *, name: str) -> str:
        text = FORMATS.get(schema.get("format", "")) or self._text_for(name)
        left = max(self._characters_left, 0)
        text = text[:left].ljust(min(schema.get("minLength", 0), left), ".")
        text = text[: schema.get("maxLength")]
        self._characters_left -= len(text)
        return text

    def _text_for(self, name: str) -> str:
        lowered = name.lower()
        place = self._place
        if place and any(word in lowered for word in PLACE_NAMES):
            return place.group(1).rstrip(".")
        if any(word in lowered for word in PROMPT_NAMES):
            return self._prompt
        if self._quoted:
            return self._quoted.group(1)
        if place:
            return place.group(1).rstrip(".")
        return f"{name or 'text'} for: {self._prompt[:80]}" if self._prompt else name or "text"


def type_of(schema: Mapping[str, Any]) -> str:
    """Return the schema's type in lower case; Gemini's own schemas use capitals."""
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next((word for word in kind if word != "null"), "null")
    if kind is None:
        kind = "object" if "properties" in schema else "array" if "items" in schema else "string"
    return str(kind).lower()
