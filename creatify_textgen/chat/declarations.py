"""A function's declaration, made from its signature, hints and docstring.

Invariant: it holds only what Gemini's `parameters` take (a subset of OpenAPI 3.0, narrower than
that of answers), so that a declaration is never refused at the first use.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

from creatify_textgen.exceptions import RequestError
from creatify_textgen.schemas import arguments_schema, inline_refs

__all__ = ["declarations_of", "declare", "name_of"]

# The fields of Google's `Schema`; it refuses any other by an error.
KEYWORDS = frozenset(
    [
        "type",
        "format",
        "title",
        "description",
        "nullable",
        "enum",
        "items",
        "minItems",
        "maxItems",
        "minimum",
        "maximum",
        "anyOf",
        "properties",
        "required",
        "minProperties",
        "maxProperties",
        "minLength",
        "maxLength",
        "pattern",
        "propertyOrdering",
    ]
)
# Google's servers refused any other for texts (google-gemini/gemini-cli, issue 2706, July 2025).
FORMATS = frozenset(["float", "double", "int32", "int64", "enum", "date-time"])
CHECKS_NOTHING = frozenset(["default", "examples", "deprecated", "discriminator"])
# Docstrings in the styles of Google (a section with one argument per line, and deeper lines that
# continue it) and of Sphinx (fields). Others are sent as they are: the model reads them, too.
_SECTION = re.compile(r"^(?:Args|Arguments|Parameters):\s*$", re.M)
_NEXT_SECTION = re.compile(r"^(?:Returns?|Raises|Yields|Examples?|Notes?):", re.M)
_ARGUMENT = re.compile(r"^( +)\*{0,2}(\w+)(?: *\([^)\n]*\))?: *(.+(?:\n\1 +.+)*)", re.M)
_FIELD = re.compile(r"^:(?:param|parameter|arg)(?: [^:\n]+)? (\w+): *(.+(?:\n +.+)*)", re.M)


def declare(function: Callable[..., Any]) -> dict[str, Any]:
    """Return the declaration of a function, for `tools=[{"function_declarations": […]}]`.

    The docstring says what the function is for; descriptions of arguments come from its `Args:`
    section, its `:param name:` fields or from `Annotated[…, Field(description=…)]`.

    Raises: RequestError for an argument without a hint or whose type Gemini cannot be asked for;
    ImproperlyConfigured without pydantic.
    """
    name = name_of(function)
    schema = _whole_schema(function, name)
    description, arguments = _read_docstring(inspect.getdoc(function) or "")
    declaration: dict[str, Any] = {"name": name, "description": description}
    properties = schema.get("properties", {})
    if properties:
        for argument in properties.keys() & arguments.keys():
            properties[argument].setdefault("description", arguments[argument])
        declaration["parameters"] = _narrowed(schema, path=name)
    return declaration


def name_of(function: Callable[..., Any]) -> str:
    """Return the name by which a model calls it. Raises: RequestError if it is not a function."""
    if isinstance(function, type) or not hasattr(function, "__name__"):
        kind = function if isinstance(function, type) else type(function)
        _refuse(kind.__name__, "Must be a function with a name: write it with def.")
    return function.__name__


def declarations_of(tools: Sequence[Any] | None) -> Any:
    """Return `tools` as requests take them, with each function of a host declared.

    Each item is a function, a declaration, or the remote's `{"function_declarations": […]}`.
    """
    if not isinstance(tools, list | tuple):
        return tools
    declared = [declare(tool) if callable(tool) else tool for tool in tools]
    alone = [tool for tool in declared if isinstance(tool, Mapping) and "name" in tool]
    rest = [tool for tool in declared if tool not in alone]
    return [*rest, {"function_declarations": alone}] if alone else rest


def _whole_schema(function: Callable[..., Any], name: str) -> dict[str, Any]:
    schema = arguments_schema(function)
    # Google's `Schema` has no `$ref`.
    try:
        return inline_refs(schema)
    except RequestError:
        _refuse(name, "Gemini's functions take no type that contains itself: take its JSON as str.")


def _narrowed(source: Mapping[str, Any], *, path: str) -> dict[str, Any]:
    """Return the schema in Google's words, without the titles that only repeat a name."""
    schema: dict[str, Any] = {}
    for key, item in _rewritten(source, path=path).items():
        if key in ("title", *CHECKS_NOTHING):
            continue
        if key not in KEYWORDS:
            _refuse(path, f"Gemini's functions take no {key}.")
        schema[key] = _narrowed_item(key, item, path=path)
    if schema.keys().isdisjoint(("type", "anyOf")):
        _refuse(path, "Gemini's functions need a type: not Any, object, or list without its items.")
    return _with_known_format(schema)


def _narrowed_item(key: str, item: Any, *, path: str) -> Any:
    if key == "properties":
        return {name: _narrowed(part, path=f"{path}.{name}") for name, part in item.items()}
    if key == "items":
        return _narrowed(item, path=f"{path}[]")
    if key == "anyOf":
        return [_narrowed(part, path=path) for part in item]
    return item


def _rewritten(source: Mapping[str, Any], *, path: str) -> dict[str, Any]:
    schema = dict(source)
    if "const" in schema:
        schema["enum"] = [schema.pop("const")]
    # pydantic writes `oneOf` for unions with a discriminator; Google's `Schema` has `anyOf` alone.
    if "oneOf" in schema:
        schema["anyOf"] = schema.pop("oneOf")
    if isinstance(schema.get("additionalProperties"), Mapping):
        _refuse(path, "Gemini's functions take no free keys: use a list of objects with two keys.")
    # Google's `Schema` has no such field. The arguments of a call are checked when it is made.
    schema.pop("additionalProperties", None)
    if "enum" in schema and not all(isinstance(choice, str) for choice in schema["enum"]):
        _refuse(path, "Gemini's functions choose among texts only: use Literal of strings.")
    return _with_nullable(schema)


def _with_nullable(schema: dict[str, Any]) -> dict[str, Any]:
    """Return `X | None` as X that is nullable: Google's `Schema` has no type for null alone."""
    choices = [choice for choice in schema.get("anyOf", ()) if choice.get("type") != "null"]
    if len(choices) == len(schema.get("anyOf", ())):
        return schema
    rest = {key: item for key, item in schema.items() if key != "anyOf"}
    if len(choices) == 1:
        return {**choices[0], **rest, "nullable": True}
    return {**rest, "anyOf": choices, "nullable": True}


def _with_known_format(schema: dict[str, Any]) -> dict[str, Any]:
    """Return a format that Google's `Schema` may refuse, such as `date`, as words for the model."""
    written = schema.get("format")
    if written is None or written in FORMATS:
        return schema
    rest = {key: item for key, item in schema.items() if key != "format"}
    words = f"Format: {written}."
    return {
        **rest,
        "description": f"{schema['description']} {words}" if "description" in schema else words,
    }


def _read_docstring(text: str) -> tuple[str, dict[str, str]]:
    """Return what a docstring says of the function, and of each argument."""
    section = _SECTION.search(text)
    end = _NEXT_SECTION.search(text, section.end() if section else 0)
    body = text[section.end() : end.start() if end else None] if section else ""
    arguments = {name: _one_line(words) for _, name, words in _ARGUMENT.findall(body)}
    arguments |= {name: _one_line(words) for name, words in _FIELD.findall(text)}
    ends = [match.start() for match in (section, end, re.search(r"^:\w+", text, re.M)) if match]
    return text[: min(ends, default=None)].strip(), arguments


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _refuse(path: str, rule: str) -> NoReturn:
    raise RequestError(f"{path}: {rule}", errors={"tools": [f"{path}: {rule}"]})
