"""Checks what Gemini 3 wants of function calls and Creatify does not document. Pure.

Contract, section 9: the signature of the first call of each step of the current turn, and from
Gemini 3.5 on the id of its call in each result.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from creatify_textgen.emulator.faults.switches import Settings

__all__ = ["check_calls", "without_call_fields"]

PLACEHOLDER = "skip_thought_signature_validator"
FIELDS = {"function_call": ("id", "thought_signature"), "function_response": ("id",)}
NO_SIGNATURE = (
    "Function call is missing a thought_signature in functionCall parts. This is required for "
    "tools to work correctly."
)
BAD_SIGNATURE = "Thought signature is not valid."
NO_ID = "Function response must carry the id of its function call."

Message = Mapping[str, Any]


def check_calls(messages: Sequence[Message], *, settings: Settings) -> Iterator[tuple[str, str]]:
    """Yield the path and the text of everything that is refused."""
    checks = settings.call_checks
    # Before they are dropped: a service that refuses unknown fields does so when it reads them.
    if "opaque_fields" in checks:
        yield from _opaque_fields(messages)
    if settings.drop_call_fields:
        messages = without_call_fields(messages)
    for index in _first_calls(messages):
        signature = messages[index]["function_call"].get("thought_signature")
        path = f"messages[{index}].function_call"
        if "missing_signature" in checks and not signature:
            yield path, NO_SIGNATURE
        if "placeholder_signature" in checks and signature == PLACEHOLDER:
            yield path, BAD_SIGNATURE
    if "missing_response_id" in checks:
        yield from _without_id(messages)


def without_call_fields(messages: Sequence[Message]) -> list[Message]:
    """Return the messages as a service keeps them that knows only the documented fields."""
    return [_bare(message) for message in messages]


def _first_calls(messages: Sequence[Message]) -> Iterator[int]:
    """Yield the index of the first call of each step since the user last wrote something."""
    written = [
        index
        for index, message in enumerate(messages)
        if message.get("role") == "user" and "function_response" not in message
    ]
    # Parallel calls are one step, and only the first of them carries a signature (section 9).
    is_within_step = False
    for index in range(written[-1] + 1 if written else 0, len(messages)):
        is_call = bool(_part(messages[index], "function_call"))
        if is_call and not is_within_step:
            yield index
        is_within_step = is_call


def _without_id(messages: Sequence[Message]) -> Iterator[tuple[str, str]]:
    # An id that was dropped or never sent cannot be matched, so its result is refused, too.
    ids = {_part(each, "function_call").get("id") for each in messages} - {None, ""}
    for index, message in enumerate(messages):
        response = _part(message, "function_response")
        if response and response.get("id") not in ids:
            yield f"messages[{index}].function_response", NO_ID


def _opaque_fields(messages: Sequence[Message]) -> Iterator[tuple[str, str]]:
    for index, message in enumerate(messages):
        for key, names in FIELDS.items():
            for name in names:
                if name in _part(message, key):
                    yield f"messages[{index}].{key}.{name}", "Unknown field."


def _part(message: Message, key: str) -> Mapping[str, Any]:
    part = message.get(key)
    return part if isinstance(part, Mapping) else {}


def _bare(message: Message) -> Message:
    kept = dict(message)
    for key, names in FIELDS.items():
        if key in kept and isinstance(kept[key], Mapping):
            kept[key] = {name: value for name, value in kept[key].items() if name not in names}
    return kept
