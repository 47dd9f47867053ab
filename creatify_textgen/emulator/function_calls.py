"""When the emulated model calls functions, which of them, and with what (contract, section 3.3).

Pure. The arguments satisfy the declared parameters and come from the prompt where they can.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping
from typing import Any

from .schemas import value_for
from .switches import Settings

__all__ = ["function_calls"]


def function_calls(
    request: Mapping[str, Any], *, prompt: str, settings: Settings
) -> list[dict[str, Any]]:
    """Return the calls of the answer; an empty list where it is text."""
    declared = [
        declaration
        for tool in request.get("tools", [])
        for declaration in tool["function_declarations"]
    ]
    if settings.final_state == "function_calls":
        chosen = declared or [{"name": "emulated_function"}]
    elif settings.final_state in ("empty", "invalid_json"):
        return []
    else:
        chosen = _choose(request, declared=declared)
    best = sorted(chosen, key=lambda each: -_fitness(each, prompt=prompt))
    count = settings.function_call_count if best else 0
    return [_call(each, prompt=prompt) for each in itertools.islice(itertools.cycle(best), count)]


def _choose(request: Mapping[str, Any], *, declared: list[dict[str, Any]]) -> list[dict[str, Any]]:
    config = request.get("tool_config", {}).get("function_calling_config", {})
    mode = config.get("mode", "AUTO")
    if mode == "ANY":
        allowed = config.get("allowed_function_names")
        return [each for each in declared if not allowed or each["name"] in allowed]
    answered = "function_response" in request["messages"][-1]
    return [] if mode == "NONE" or answered else declared


def _fitness(declaration: Mapping[str, Any], *, prompt: str) -> int:
    """Count the words that the prompt shares with a declaration's name and description."""
    described = f"{declaration['name']} {declaration.get('description', '')}".lower()
    return len(
        set(re.findall(r"[a-z]{3,}", described)) & set(re.findall(r"[a-z]{3,}", prompt.lower()))
    )


def _call(declaration: Mapping[str, Any], *, prompt: str) -> dict[str, Any]:
    schema = declaration.get("parameters") or {"type": "object"}
    arguments = value_for(schema, prompt=prompt)
    return {
        "name": declaration["name"],
        "args": arguments if isinstance(arguments, dict) else {},
    }
