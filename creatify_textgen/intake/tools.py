"""Checks function declarations, and the config for calling them (contract, section 3.3)."""

from __future__ import annotations

import re
from typing import Any

from creatify_textgen.intake.reading import Reader
from creatify_textgen.intake.text import kind_of, shown
from creatify_textgen.remote.contract import FUNCTION_CALLING_MODES

__all__ = ["read_function_name", "read_tool_config", "read_tools"]

# Gemini's rule for names; the remote documents none (contract, section 3.3).
FUNCTION_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.:-]{0,127}")
# Google's own tools, such as search, are not documented by Creatify (contract, section 3.3).
TOOL_FIELDS = frozenset({"function_declarations"})
DECLARATION_FIELDS = frozenset({"name", "description", "parameters"})
TOOL_CONFIG_FIELDS = frozenset({"function_calling_config"})
CALLING_FIELDS = frozenset({"mode", "allowed_function_names"})


def read_function_name(value: Any, *, path: str, reader: Reader) -> str:
    """Return the name if Gemini would accept it, else note the problem and return ""."""
    if isinstance(value, str) and FUNCTION_NAME.fullmatch(value):
        return value
    if value is None:
        reader.refuse(path, "Is required: the function's name.")
    elif not isinstance(value, str):
        reader.refuse(path, f"Must be a string, not {kind_of(value)}.")
    else:
        reader.refuse(
            path,
            "Must begin with a letter or _ and go on with letters, digits, _ . : or -, "
            f"at most 128 characters, not {shown(value)}.",
        )
    return ""


def read_tools(value: Any, *, reader: Reader) -> list[dict[str, Any]]:
    """Return the checked tools, an empty list for None. Problems are noted in `reader`, by path.

    A tool is `{"function_declarations": [{"name": "weather", "parameters": {…}}]}`.
    """
    if value is None:
        return []
    if not isinstance(value, list | tuple):
        reader.refuse("tools", f"Must be a list, not {kind_of(value)}.")
        return []
    names: set[str] = set()
    return [
        _read_tool(tool, path=f"tools[{index}]", names=names, reader=reader)
        for index, tool in enumerate(value)
    ]


def _read_tool(value: Any, *, path: str, names: set[str], reader: Reader) -> dict[str, Any]:
    # In Python a function is the obvious thing to pass here.
    if callable(value):
        reader.refuse(
            path, "Is a function: use chat.run, or pass what chat.declare returns for it."
        )
        return {}
    source = reader.mapping(value, path=path)
    if source is None:
        return {}
    reader.known_keys(source, TOOL_FIELDS, path=path)
    declarations = source.get("function_declarations")
    path = f"{path}.function_declarations"
    if not isinstance(declarations, list | tuple) or not declarations:
        reader.refuse(path, "Must be a list of at least one declaration.")
        return {}
    return {
        "function_declarations": [
            _read_declaration(item, path=f"{path}[{index}]", names=names, reader=reader)
            for index, item in enumerate(declarations)
        ]
    }


def _read_declaration(value: Any, *, path: str, names: set[str], reader: Reader) -> dict[str, Any]:
    source = reader.mapping(value, path=path)
    if source is None:
        return {}
    reader.known_keys(source, DECLARATION_FIELDS, path=path)
    name = read_function_name(source.get("name"), path=f"{path}.name", reader=reader)
    if name and name in names:
        reader.refuse(f"{path}.name", f"Must be declared once only, not {shown(name)} again.")
    names.add(name)
    declaration: dict[str, Any] = {"name": name}
    if source.get("description") is not None:
        declaration["description"] = reader.text(source["description"], path=f"{path}.description")
    if source.get("parameters") is not None:
        declaration["parameters"] = reader.object_tree(
            source["parameters"], path=f"{path}.parameters"
        )
    return declaration


def read_tool_config(value: Any, *, tools: list[dict[str, Any]], reader: Reader) -> dict[str, Any]:
    """Return the checked tool config, an empty object for None. `tools` are the checked tools."""
    source = {} if value is None else reader.mapping(value, path="tool_config")
    if not source:
        return {}
    reader.known_keys(source, TOOL_CONFIG_FIELDS, path="tool_config")
    if not tools:
        # Gemini answers 400, "Function calling config is set without function_declarations".
        reader.refuse("tool_config", "Needs tools: without declarations the remote refuses it.")
    if source.get("function_calling_config") is None:
        return {}
    path = "tool_config.function_calling_config"
    calling = reader.mapping(source["function_calling_config"], path=path)
    if calling is None:
        return {}
    reader.known_keys(calling, CALLING_FIELDS, path=path)
    config: dict[str, Any] = {"mode": _read_mode(calling.get("mode"), path=path, reader=reader)}
    if calling.get("allowed_function_names"):
        config["allowed_function_names"] = _read_allowed(
            calling["allowed_function_names"], mode=config["mode"], tools=tools, reader=reader
        )
    return {"function_calling_config": config}


def _read_mode(value: Any, *, path: str, reader: Reader) -> str:
    if value is None:
        return "AUTO"
    if isinstance(value, str) and value in FUNCTION_CALLING_MODES:
        return value
    modes = ", ".join(FUNCTION_CALLING_MODES)
    reader.refuse(f"{path}.mode", f"Must be one of {modes}, not {shown(value)}.")
    return ""


def _read_allowed(
    value: Any, *, mode: str, tools: list[dict[str, Any]], reader: Reader
) -> list[str]:
    path = "tool_config.function_calling_config.allowed_function_names"
    if not isinstance(value, list | tuple):
        reader.refuse(path, f"Must be a list of names, not {kind_of(value)}.")
        return []
    # Gemini's rule (contract, section 3.3).
    if mode != "ANY":
        reader.refuse(path, "Is allowed only with mode ANY.")
    declared = {
        declaration.get("name")
        for tool in tools
        for declaration in tool.get("function_declarations", ())
    }
    for index, name in enumerate(value):
        if not isinstance(name, str) or name not in declared:
            reader.refuse(f"{path}[{index}]", f"Must be a declared function, not {shown(name)}.")
    return list(value)
