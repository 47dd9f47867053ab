"""Checks `tools` and `tool_config` strictly (contract, section 3.3). Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from .schema_validation import check_schema

__all__ = ["check_tools"]

# Google's rule for names (contract, section 3.3).
FUNCTION_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.:-]{0,127}")
MODES = ("AUTO", "ANY", "NONE")


def check_tools(tools: list[Any], *, config: Mapping[str, Any] | None) -> Iterator[tuple[str, str]]:
    """Yield the path and the text of everything that is wrong."""
    # The names of all tools together: a call has only a name, so two equal ones are ambiguous.
    names: list[str] = []
    for index, tool in enumerate(tools):
        path = f"tools[{index}]"
        declarations = tool.get("function_declarations") if isinstance(tool, Mapping) else None
        if not isinstance(declarations, list) or not declarations:
            yield f"{path}.function_declarations", "Must be an array that is not empty."
            continue
        for position, declaration in enumerate(declarations):
            where = f"{path}.function_declarations[{position}]"
            yield from _check_declaration(declaration, path=where, names=names)
    if config is not None:
        yield from _check_tool_config(config, names=names)


def _check_declaration(
    declaration: Any, *, path: str, names: list[str]
) -> Iterator[tuple[str, str]]:
    if not isinstance(declaration, Mapping):
        yield path, "Must be an object."
        return
    name = declaration.get("name")
    if not isinstance(name, str) or not FUNCTION_NAME.fullmatch(name):
        yield f"{path}.name", "Must begin with a letter or underscore; at most 128 characters."
    elif name in names:
        yield f"{path}.name", f"Duplicate function declaration: {name}."
    else:
        names.append(name)
    if not isinstance(declaration.get("description", ""), str):
        yield f"{path}.description", "Must be a string."
    yield from check_schema(declaration.get("parameters", {}), path=f"{path}.parameters")


def _check_tool_config(config: Mapping[str, Any], *, names: list[str]) -> Iterator[tuple[str, str]]:
    # Gemini's words, observed there: it answers 400 to this.
    if not names:
        yield "tool_config", "Function calling config is set without function_declarations."
    calling = config.get("function_calling_config", {})
    path = "tool_config.function_calling_config"
    if not isinstance(calling, Mapping):
        yield path, "Must be an object."
        return
    if calling.get("mode", "AUTO") not in MODES:
        yield f"{path}.mode", f"Must be one of {', '.join(MODES)}."
    allowed = calling.get("allowed_function_names", [])
    if not isinstance(allowed, list) or not all(isinstance(name, str) for name in allowed):
        yield f"{path}.allowed_function_names", "Must be an array of strings."
        return
    for name in allowed:
        if name not in names:
            yield f"{path}.allowed_function_names", f"No function named {name!r} is declared."
