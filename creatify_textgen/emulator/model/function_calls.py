"""Decides whether the emulated model calls functions, which ones, and with which arguments.

Pure (contract, section 3.3). The arguments satisfy the declared parameters. They come from the
prompt if something in it fits.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping
from typing import Any

from creatify_textgen.emulator.faults.switches import Settings

from .schemas import value_for

__all__ = ["SIGNATURE", "function_calls"]

# Base64 of the words "emulated thought signature". Clients must return it and not read it.
SIGNATURE = "ZW11bGF0ZWQgdGhvdWdodCBzaWduYXR1cmU="


def function_calls(
    request: Mapping[str, Any], *, prompt: str, settings: Settings
) -> list[dict[str, Any]]:
    """Return the calls of the answer; an empty list if it is text."""
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
        likely = [
            each
            for each in declared
            if not settings.call_if_named or _is_named(each, prompt=prompt)
        ]
        chosen = _choose(request, declared=declared, likely=likely)
    # `sorted` is stable: among equals the function that was declared first is called first.
    best = sorted(chosen, key=lambda each: -_fitness(each, prompt=prompt))
    # Parallel calls may outnumber the functions: then some are called again.
    count = settings.function_call_count if best else 0
    calls = [_call(each, prompt=prompt) for each in itertools.islice(itertools.cycle(best), count)]
    return [
        call | _opaque(index, turn=len(request["messages"]), settings=settings)
        for index, call in enumerate(calls)
    ]


def _choose(
    request: Mapping[str, Any], *, declared: list[dict[str, Any]], likely: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    config = request.get("tool_config", {}).get("function_calling_config", {})
    mode = config.get("mode", "AUTO")
    if mode == "ANY":
        allowed = config.get("allowed_function_names")
        return [each for each in declared if not allowed or each["name"] in allowed]
    # After a result the model writes text. Otherwise a loop of tools would never end.
    answered = "function_response" in request["messages"][-1]
    return [] if mode == "NONE" or answered else likely


def _fitness(declaration: Mapping[str, Any], *, prompt: str) -> int:
    """Count the words that the prompt shares with a declaration's name and description."""
    described = f"{declaration['name']} {declaration.get('description', '')}".lower()
    return len(
        set(re.findall(r"[a-z]{3,}", described)) & set(re.findall(r"[a-z]{3,}", prompt.lower()))
    )


def _is_named(declaration: Mapping[str, Any], *, prompt: str) -> bool:
    words = re.findall(r"[a-z]{4,}", declaration["name"].lower())
    return any(word in prompt.lower() for word in words)


def _opaque(index: int, *, turn: int, settings: Settings) -> dict[str, str]:
    """Return what Gemini wants back: an id for each call, a signature for the first one."""
    fields = {"id": f"call-{turn}-{index + 1}"} if "id" in settings.call_fields else {}
    if "thought_signature" in settings.call_fields and not index:
        fields["thought_signature"] = SIGNATURE
    return fields


def _call(declaration: Mapping[str, Any], *, prompt: str) -> dict[str, Any]:
    schema = declaration.get("parameters") or {"type": "object"}
    arguments = value_for(schema, prompt=prompt)
    return {
        "name": declaration["name"],
        "args": arguments if isinstance(arguments, dict) else {},
    }
