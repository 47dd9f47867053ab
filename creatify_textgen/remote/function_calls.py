"""Reads the calls of functions in an answer, in every form in which they may be written. Pure.

Invariant: what the model wrote is kept, if not as arguments, then as text.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from creatify_textgen.remote import wire

__all__ = ["function_call", "function_calls"]

# Levels of a call's arguments, which are inside the call and the list of calls. Not more than a
# request may have, so that a client can send the call back.
MAX_ARGUMENT_DEPTH = 24
# Characters of JSON texts inside the calls of one answer. No model writes a quarter as many, and
# each text is read by itself, so no count of values would bound the sum.
_MOST_CALL_TEXT = 1024 * 1024


def function_calls(value: Any) -> list[dict[str, Any]]:
    """Return the calls of an answer. They may also be one object, or JSON text.

    Anything else is kept as `value` in the arguments of a call without a name.
    """
    value = _loaded_or_same(value)
    calls = value if isinstance(value, list) else [value]
    reads_texts = sum(map(_characters, calls)) <= _MOST_CALL_TEXT
    given = (call for call in calls if call not in (None, "", {}, []))
    return [function_call(call, reads_texts=reads_texts) for call in given]


def _characters(call: Any, *, levels: int = 2) -> int:
    if isinstance(call, dict) and levels:
        return sum(_characters(item, levels=levels - 1) for item in call.values())
    return len(call) if isinstance(call, str) else 0


def function_call(value: Any, *, reads_texts: bool = True) -> dict[str, Any]:
    """Return `{"name": …, "args": {…}}`. Arguments that are not an object are kept as `value`.

    `id` and `thought_signature` are kept, too, if the call or the part around it has them. Values
    that are nested too deeply in the arguments are kept as JSON text, as in `plain`. Without
    `reads_texts` so are those that the remote wrote as JSON text.
    """
    read = _loaded_or_same if reads_texts else _same
    value = read(value)
    call = part = value if isinstance(value, dict) else {"args": value}
    wrapped = read(call.get("functionCall") or call.get("function_call"))
    if wrapped:
        call = wrapped if isinstance(wrapped, dict) else {"args": wrapped}
    arguments = read(call.get("args"))
    if arguments is None:
        arguments = {}
    elif not isinstance(arguments, dict):
        arguments = {"value": arguments}
    kept = {"id": wire.written(call.get("id")), "thought_signature": _signature(call, part)}
    return {
        "name": wire.text(call.get("name")),
        "args": wire.plain(arguments, levels=MAX_ARGUMENT_DEPTH),
        **{name: value for name, value in kept.items() if value},
    }


def _signature(*places: Mapping[str, Any]) -> str:
    """Return the model's own note about a call; Gemini writes it beside the call, in its part."""
    names = ("thought_signature", "thoughtSignature")
    return next(
        filter(None, (wire.text(place.get(name)) for place in places for name in names)), ""
    )


def _same(value: Any) -> Any:
    return value


def _loaded_or_same(value: Any) -> Any:
    """Return the object or list in a JSON text; any other value unchanged."""
    if not isinstance(value, str):
        return value
    try:
        loaded = wire.load(value)
    except ValueError:
        return value
    return loaded if isinstance(loaded, dict | list) else value
