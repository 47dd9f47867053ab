"""JSON Schema of Python types, and the value that an answer's text stands for.

Known to all rooms, knows none but `exceptions`. pydantic is optional: only `schemas.types` imports
it, at the first type that is used. Invariant: no message quotes the text of an answer.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from django.core.exceptions import ImproperlyConfigured

from creatify_textgen.exceptions import AnswerError, RequestError

__all__ = [
    "PartialAnswer",
    "arguments_schema",
    "call_checked",
    "inline_refs",
    "json_schema",
    "parse_answer",
]

# A line of JSON is never a fence alone, because its strings hold no line breaks. Two patterns, each
# searched once: one for a whole block would try every end for every beginning, and an answer that a
# model ends with 100,000 line breaks would occupy a process for half a minute.
_FENCE_OPENS = re.compile(r"^[ \t]*```(?:json)?\s", re.M | re.I)
_FENCE_CLOSES = re.compile(r"```[ \t\r]*$", re.M)
# While an answer grows, only the first characters of the closing fence may be there.
_FENCE_BEGINS_TO_CLOSE = re.compile(r"\n[ \t]*`")
# What may be left of a text that ends in the middle of a word, a number or an escape.
_BEGUN = re.compile(r"|t(?:ru?)?|f(?:a(?:ls?)?)?|nu?l?|-|\.|[eE][+-]?|\\?u[0-9a-fA-F]{0,4}")
_ROOT = "#/$defs/"
_NOTHING = object()


def json_schema(shape: Any) -> dict[str, Any]:
    """Return the JSON Schema of a type: a pydantic model, dataclass, TypedDict or any hint.

    A mapping is a JSON Schema already. Raises: RequestError at `schema` for what has none;
    ImproperlyConfigured without pydantic.
    """
    if isinstance(shape, Mapping):
        return dict(shape)
    schema: dict[str, Any] = _types().json_schema(shape)
    return schema


def arguments_schema(function: Callable[..., Any]) -> dict[str, Any]:
    """Return the JSON Schema of a function's arguments, as one object.

    Raises: RequestError at `tools`; ImproperlyConfigured without pydantic.
    """
    schema: dict[str, Any] = _types().arguments_schema(function)
    return schema


def call_checked(function: Callable[..., Any], arguments: Mapping[str, Any]) -> Any:
    """Call a function with arguments that its hints allow, and return the result as plain JSON.

    Raises: RequestError if they do not; whatever the function raises; ImproperlyConfigured without
    pydantic.
    """
    return _types().call_checked(function, arguments)


def inline_refs(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema with each `$ref` replaced by what it names, and without `$defs`.

    Raises: RequestError at `schema` for a type that contains itself, or a `$ref` to elsewhere.
    """
    definitions = schema.get("$defs", {})
    bare = {key: item for key, item in schema.items() if key != "$defs"}
    inlined: dict[str, Any] = _inline(bare, definitions, ())
    return inlined


def parse_answer(text: str, shape: Any, *, subject: str, is_cut: bool = False) -> Any:
    """Return what the text stands for: plain JSON for `Any`, else a checked value of the type.

    A fenced block is unwrapped. `subject` names the answer in messages; `is_cut` says that its
    end is known to be missing. Raises: AnswerError.
    """
    source = _unfenced(text)
    if not source:
        raise AnswerError(f"{subject} has no text.", code="no_text")
    # Before the type: pydantic would call an answer that was cut a wrong one.
    value, problem, is_short = _load(source)
    if is_cut or is_short:
        raise AnswerError(
            f"{subject} ends in the middle of its JSON: raise max_output_tokens, which also limits "
            "thinking, or ask for less.",
            code="truncated",
            text=text,
        )
    if problem:
        raise AnswerError(f"{subject} is not JSON: {problem}.", code="invalid_json", text=text)
    if shape is Any:
        return value
    if isinstance(shape, Mapping):
        raise TypeError("A JSON Schema is not checked here: give a type, or nothing for plain JSON")
    checked, errors = _types().validate(source, shape)
    if errors:
        raise AnswerError(
            f"{subject} does not fit the type, in {len(errors)} places: see `errors`.",
            code="schema_mismatch",
            text=text,
            errors=errors,
        )
    return checked


class PartialAnswer:
    """Reads an answer as it grows: returns a value of the type each time that the text fits it."""

    def __init__(self, shape: Any) -> None:
        """Raises: RequestError if it is not a type; ImproperlyConfigured without pydantic."""
        self._read = _types().partial_reader(shape)
        self._last: Any = _NOTHING

    def read(self, text: str) -> list[Any]:
        """Return the value of this beginning; nothing if it has none, or has not changed."""
        try:
            return self.changed(self._read(_unfenced_so_far(text)))
        except ValueError:
            return []

    def changed(self, value: Any) -> list[Any]:
        """Return the value, or nothing if it was the last one."""
        if self._last == value:
            return []
        self._last = value
        return [value]


def _unfenced(text: str) -> str:
    opening = _FENCE_OPENS.search(text)
    closing = opening and _FENCE_CLOSES.search(text, opening.end())
    # If nothing closes the first block, nothing closes a later one.
    return text[opening.end() : closing.start()].rstrip() if opening and closing else text.strip()


def _unfenced_so_far(text: str) -> str:
    opening = _FENCE_OPENS.search(text)
    if opening is None:
        return text.lstrip()
    closing = _FENCE_BEGINS_TO_CLOSE.search(text, opening.end())
    return text[opening.end() : closing.start() if closing else None]


def _load(source: str) -> tuple[Any, str, bool]:
    """Return the JSON value, or why there is none, and whether the text ends too early.

    Not raised from here: the frames of the parser's error hold the text.
    """
    try:
        return json.loads(source, parse_constant=_refuse_constant), "", False
    except json.JSONDecodeError as error:
        is_short = error.msg.startswith("Unterminated string") or bool(
            _BEGUN.fullmatch(source, error.pos)
        )
        return None, f"{error.msg} in line {error.lineno}, column {error.colno}", is_short
    except (ValueError, RecursionError):
        return None, "it nests too deeply, or a number is not finite or too long", False


def _refuse_constant(name: str) -> None:
    # Python reads NaN and Infinity, which JSON does not have (RFC 8259, 6).
    raise ValueError(name)


def _inline(value: Any, definitions: Mapping[str, Any], inside: tuple[str, ...]) -> Any:
    if isinstance(value, Mapping):
        name = value.get("$ref")
        if not isinstance(name, str):
            return {key: _inline(item, definitions, inside) for key, item in value.items()}
        # Since 2019-09 other keys may stand beside a `$ref`: pydantic writes descriptions there.
        beside = {key: item for key, item in value.items() if key != "$ref"}
        return _definition(name, definitions, inside) | _inline(beside, definitions, inside)
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_inline(item, definitions, inside) for item in value]
    return value


def _definition(name: str, definitions: Mapping[str, Any], inside: tuple[str, ...]) -> Any:
    key = name.removeprefix(_ROOT)
    problem = ""
    # `inside` has the types around this one: without it, a type that contains itself never ends.
    if key in inside:
        problem = f"{name} contains itself, so it cannot be inlined: pass it with its $ref."
    elif not name.startswith(_ROOT) or key not in definitions:
        problem = f"{name} names nothing in $defs."
    if problem:
        raise RequestError(problem, errors={"schema": [problem]})
    return _inline(definitions[key], definitions, (*inside, key))


def _types() -> Any:
    # Not by catching ImportError, which would hide an error inside pydantic.
    if find_spec("pydantic") is None:
        raise ImproperlyConfigured(
            "Types as schemas need pydantic: pip install 'creatify-textgen[pydantic]', or pass a "
            "JSON Schema."
        )
    return import_module("creatify_textgen.schemas.types")
