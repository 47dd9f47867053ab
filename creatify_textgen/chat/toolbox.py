"""The functions of a host that a model may call: found by name, called with checked arguments.

Invariant: the result or the error of a function becomes a response that a model can read. Whatever
a model asks for, nothing is raised here.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import wraps
from importlib import import_module
from typing import Any, TypeVar

from asgiref.sync import async_to_sync

from creatify_textgen.chat.declarations import declare, name_of
from creatify_textgen.exceptions import RequestError
from creatify_textgen.intake.reading import Reader
from creatify_textgen.logs import RUNS
from creatify_textgen.schemas import call_checked

__all__ = ["Tool", "Toolbox", "tool"]

Function = TypeVar("Function", bound=Callable[..., Any])

LONGEST_RESPONSE = 200_000
"""Characters of JSON. A model reads them all, and they are paid for in every further step."""
LONGEST_ERROR = 500
LONGEST_TIMEOUT = 10**9
"""Seconds, about 30 years. With a much larger value, times would be outside the calendar."""
# On the function itself, so that a worker that imports it finds how it may be called.
_MARK = "creatify_textgen_tool"


@dataclass(frozen=True, slots=True)
class Tool:
    """A function and how it may be called."""

    function: Callable[..., Any]
    needs_approval: bool = False
    idempotent: bool = False
    timeout: float = 300.0

    @property
    def name(self) -> str:
        return name_of(self.function)

    @property
    def path(self) -> str:
        """Where another process finds the function, as `module:name`; "" if it finds none."""
        function: Any = self.function
        path = f"{function.__module__}:{function.__qualname__}"
        is_script = function.__module__ == "__main__"  # It is different in each process.
        return path if not is_script and _find(path) is function else ""

    def call(self, arguments: Mapping[str, Any]) -> tuple[dict[str, Any], bool]:
        """Return what the model receives, and whether it is an error."""
        try:
            result = call_checked(_as_sync(self.function), arguments)
            return _response(result), False
        except Exception as error:  # noqa: BLE001  whatever a host's function raises
            # Without the text of the error, which may quote a prompt.
            RUNS.warning("The tool %s raised %s.", self.name, type(error).__name__)
            return {"error": f"{type(error).__name__}: {error}"[:LONGEST_ERROR]}, True


class Toolbox:
    """The tools of a run, by name."""

    def __init__(self, tools: Iterable[Tool]) -> None:
        self._tools = {each.name: each for each in tools}

    @classmethod
    def of(cls, functions: Sequence[Any]) -> Toolbox:
        """Return the tools of these functions. Raises: RequestError if one is not a tool."""
        if not isinstance(functions, list | tuple) or not all(map(callable, functions)):
            rule = "Must be a list of functions."
            raise RequestError.about("tools", rule)
        toolbox = cls(getattr(each, _MARK, None) or Tool(each) for each in functions)
        if len(toolbox._tools) < len(functions):
            rule = "Must have different names: a model calls functions by name."
            raise RequestError.about("tools", rule)
        return toolbox

    @classmethod
    def found(cls, paths: Iterable[str]) -> Toolbox:
        """Return the tools at these paths; a path without a function is left out."""
        functions = [function for path in paths if (function := _find(path)) is not None]
        return cls(getattr(each, _MARK, None) or Tool(each) for each in functions)

    def get(self, name: str) -> Tool | None:
        return self._tools.get(name)

    @property
    def paths(self) -> list[str]:
        return [each.path for each in self._tools.values()]

    @property
    def declarations(self) -> list[dict[str, Any]]:
        """The declarations. Raises: RequestError for a function that cannot be declared."""
        declared = [declare(each.function) for each in self._tools.values()]
        return [{"function_declarations": declared}] if declared else []

    def refuse_unreachable(self) -> None:
        """Raise if another process cannot import a function, such as an inner one or a lambda."""
        names = [each.name for each in self._tools.values() if not each.path]
        if names:
            rule = f"Must be functions of a module, which a worker can import: {', '.join(names)}."
            raise RequestError.about("tools", rule)


def tool(
    *, needs_approval: bool = False, idempotent: bool = False, timeout: float = 300.0
) -> Callable[[Function], Function]:
    """Mark a function: how `run` may call it.

    `needs_approval`: the run waits for `approve` before each call. `idempotent`: it may be called
    again if a process died during the call. `timeout`: after so many seconds another process may
    take the run over, because this one has probably died; a slow function is not interrupted.

    Raises: RequestError if `timeout` is not such a number.
    """
    # NaN is not above 0, either.
    is_number = isinstance(timeout, int | float) and not isinstance(timeout, bool)
    if not is_number or not 0 < timeout <= LONGEST_TIMEOUT:
        rule = f"Must be a number of seconds above 0, at most {LONGEST_TIMEOUT}."
        raise RequestError.about("timeout", rule)

    def mark(function: Function) -> Function:
        setattr(function, _MARK, Tool(function, needs_approval, idempotent, timeout))
        return function

    return mark


def _find(path: str) -> Any:
    # Only this app writes these paths, from functions that a host has passed to it.
    module, _, name = path.partition(":")
    # "<" is in the names of inner functions and lambdas, which no import finds.
    if not module or not name or "<" in name:
        return None
    try:
        found: Any = import_module(module)
        for step in name.split("."):
            found = getattr(found, step)
    except (ImportError, AttributeError):
        return None
    return found if callable(found) else None


def _as_sync(function: Callable[..., Any]) -> Callable[..., Any]:
    if not inspect.iscoroutinefunction(function):
        return function

    @wraps(function)
    def call(**arguments: Any) -> Any:
        return async_to_sync(function)(**arguments)

    return call


def _response(result: Any) -> dict[str, Any]:
    # With the limits of a request, because the next request contains it. A result beyond them is an
    # error: the model must not read 0 for a number that is too large.
    reader = Reader()
    response = reader.object_tree(
        result if isinstance(result, Mapping) else {"result": result}, path="response"
    )
    reader.raise_if_refused()
    if len(json.dumps(response)) > LONGEST_RESPONSE:
        return {"error": f"The result is longer than {LONGEST_RESPONSE} characters: ask for less."}
    return response
