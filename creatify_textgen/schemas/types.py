"""What pydantic does for us; the only module that imports it. Imported by name at first use."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from functools import wraps
from typing import Any, cast

from pydantic import (
    PydanticSchemaGenerationError,
    PydanticUndefinedAnnotation,
    PydanticUserError,
    TypeAdapter,
    ValidationError,
    validate_call,
)
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import to_jsonable_python

from creatify_textgen.exceptions import RequestError

__all__ = ["arguments_schema", "call_checked", "json_schema", "partial_reader", "validate"]

TYPING = ("typing", "typing_extensions", "types")
"""Where hints that are no classes come from, such as `list[int]` and `int | None`."""
_FAULTS = (PydanticUserError, PydanticUndefinedAnnotation, NameError, TypeError)


class _Schema(GenerateJsonSchema):
    """Leaves out rules that Gemini does not read and that no host wrote; pydantic checks them."""

    # A default changes nothing of what is right, so it need not be JSON.
    ignored_warning_kinds = {"skipped-choice", "non-serializable-default"}

    def url_schema(self, schema: Any) -> JsonSchemaValue:
        return {"type": "string", "format": "uri"}

    # A set would have `uniqueItems`, which Gemini does not read (contract, 3.2).
    def set_schema(self, schema: Any) -> JsonSchemaValue:
        return self.list_schema(schema)

    def frozenset_schema(self, schema: Any) -> JsonSchemaValue:
        return self.list_schema(schema)

    def decimal_schema(self, schema: Any) -> JsonSchemaValue:
        """Return a number: pydantic's own has a text with a pattern, which Gemini does not read."""
        bounds = {"ge": "minimum", "le": "maximum", "gt": "exclusiveMinimum"}
        bounds["lt"] = "exclusiveMaximum"
        given = {bounds[key]: float(schema[key]) for key in bounds if key in schema}
        return {"type": "number", **given}


def json_schema(shape: Any) -> dict[str, Any]:
    """Return the JSON Schema of a type. Raises: RequestError at `schema`."""
    adapter = _adapter(shape)
    try:
        return adapter.json_schema(schema_generator=_Schema)
    except _FAULTS as error:
        problem = f"Has no JSON Schema: {_first_line(error)}"
        raise RequestError.about("schema", problem) from error


def arguments_schema(function: Callable[..., Any]) -> dict[str, Any]:
    """Return the JSON Schema of the arguments, as one object. Raises: RequestError at `tools`."""
    name = getattr(function, "__name__", type(function).__name__)
    try:
        for parameter in inspect.signature(function).parameters.values():
            _check(parameter)
        adapter: TypeAdapter[Any] = TypeAdapter(cast("Any", _plain(function)))
        return adapter.json_schema(schema_generator=_Schema)
    except _FAULTS as error:
        problem = f"{name} cannot be declared: {_first_line(error)}"
        raise RequestError(problem, errors={"tools": [problem]}) from error


def call_checked(function: Callable[..., Any], arguments: Mapping[str, Any]) -> Any:
    """Call the function with its arguments converted; returns plain JSON. Raises: RequestError."""
    try:
        return to_jsonable_python(validate_call(_plain(function))(**arguments))
    except ValidationError as error:
        problems = error.errors(include_url=False, include_input=False, include_context=False)
    # Raised out here, so that pydantic's error, which quotes the arguments, is not its context.
    text = "; ".join(f"{_path(problem['loc'])}: {problem['msg']}" for problem in problems)
    raise RequestError(text)


def validate(text: str, shape: Any) -> tuple[Any, dict[str, list[str]]]:
    """Return the value that JSON text stands for, or what is wrong with it by path.

    Not raised from here, because the frames and the words of pydantic's error quote the text.
    """
    try:
        return TypeAdapter(shape).validate_json(text), {}
    except ValidationError as error:
        problems = error.errors(include_url=False, include_input=False, include_context=False)
    errors: dict[str, list[str]] = {}
    for problem in problems:
        errors.setdefault(_path(problem["loc"]), []).append(problem["msg"])
    return None, errors


def partial_reader(shape: Any) -> Callable[[str], Any]:
    """Return what reads the beginning of a JSON text, and raises ValueError while it does not fit.

    Raises: RequestError at `schema` if it is not a type.
    """
    adapter = _adapter(shape)
    # "trailing-strings" also accepts a text that is not closed yet, so that it grows on the page.
    return lambda text: adapter.validate_json(text, experimental_allow_partial="trailing-strings")


def _adapter(shape: Any) -> TypeAdapter[Any]:
    is_hint = isinstance(shape, type) or shape is None or type(shape).__module__ in TYPING
    try:
        if not is_hint:  # pydantic's own words would quote it.
            raise TypeError(f"it is a value of {type(shape).__name__}")
        return TypeAdapter(shape)
    except _FAULTS as error:
        problem = f"Must be a type or a JSON Schema: {_first_line(error)}"
        raise RequestError.about("schema", problem) from error


def _plain(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function for what wraps one as an object, such as `lru_cache`; pydantic reads no
    objects.
    """
    if inspect.isfunction(function) or not inspect.isfunction(inspect.unwrap(function)):
        return function

    @wraps(function)
    def call(*arguments: Any, **named: Any) -> Any:
        return function(*arguments, **named)

    return call


def _check(parameter: inspect.Parameter) -> None:
    if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
        raise TypeError(f"{parameter.name} cannot be given by name.")
    if parameter.annotation is parameter.empty:
        raise TypeError(f"{parameter.name} needs a type hint.")


def _path(location: Iterable[int | str]) -> str:
    steps = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in location)
    return "".join(steps).removeprefix(".")


def _first_line(error: Exception) -> str:
    if isinstance(error, PydanticSchemaGenerationError):
        # What pydantic advises after it, `arbitrary_types_allowed`, has no JSON Schema either.
        return f"{str(error).partition('. ')[0]}: use a type that JSON has, such as str for an id."
    return str(error).partition("\n")[0]
