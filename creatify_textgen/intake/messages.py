"""Checks messages: roles, content, function calls and their responses (contract, section 3.1)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from creatify_textgen.intake.parts import MediaSlot, read_part
from creatify_textgen.intake.reading import Reader
from creatify_textgen.intake.text import kind_of, shown
from creatify_textgen.intake.tools import read_function_name
from creatify_textgen.remote.contract import ROLES

__all__ = ["read_messages"]

MESSAGE_FIELDS = frozenset({"role", "content", "function_call", "function_response"})
CALL_FIELDS = frozenset({"name", "args", "id", "thought_signature"})
RESPONSE_FIELDS = frozenset({"name", "response", "id"})
# Gemini needs these back as it sent them (contract, section 9). They are passed on, never read.
OPAQUE_FIELDS = ("id", "thought_signature")

SPACES = " \t\r\n"
BLANK = gettext_noop("Must contain text, not only spaces.")

_FIELD_HINTS = {
    "parts": "did you mean content?",
    "text": "did you mean content?",
    "tool_calls": "put each call as function_call into a separate message.",
    "function_calls": "put each call as function_call into a separate message.",
}
_ROLE_HINTS = {
    "system": "; put system text into system_instruction",
    "developer": "; put system text into system_instruction",
    "assistant": "; the assistant's role is model here",
    "function": "; send a function_response in a message with role user",
    "tool": "; send a function_response in a message with role user",
}


def read_messages(value: Any, *, reader: Reader, slots: list[MediaSlot]) -> list[dict[str, Any]]:
    """Return the checked messages; a plain string is one message of the user.

    Each image and video is staged and adds a slot to `slots`. The caller stores it, completes the
    slot's part with the id, and closes the slot. Problems are noted in `reader`, by path.
    """
    # An empty string is no message, and is refused below like an empty list.
    if isinstance(value, str) and value:
        if not value.strip(SPACES):
            reader.refuse("messages", _(BLANK))
        return [{"role": "user", "content": reader.text(value, path="messages")}]
    if not isinstance(value, list | tuple | str):
        reader.refuse("messages", f"Must be a list of messages, not {kind_of(value)}.")
        return []
    if not value:
        reader.refuse("messages", "Must not be empty.")
    return [
        _read_message(message, path=f"messages[{index}]", reader=reader, slots=slots)
        for index, message in enumerate(value)
    ]


def _read_message(
    value: Any, *, path: str, reader: Reader, slots: list[MediaSlot]
) -> dict[str, Any]:
    source = reader.mapping(value, path=path)
    if source is None:
        return {}
    reader.known_keys(source, MESSAGE_FIELDS, path=path, hints=_FIELD_HINTS)
    role, content = source.get("role"), source.get("content")
    message: dict[str, Any] = {"role": _read_role(role, path=f"{path}.role", reader=reader)}
    if content is not None:
        message["content"] = _read_content(
            content, path=f"{path}.content", reader=reader, slots=slots
        )
    if source.get("function_call") is not None:
        _expect_role("model", role, path=f"{path}.function_call", reader=reader)
        message["function_call"] = _read_call(
            source["function_call"], path=f"{path}.function_call", reader=reader
        )
    if source.get("function_response") is not None:
        _expect_role("user", role, path=f"{path}.function_response", reader=reader)
        message["function_response"] = _read_response(
            source["function_response"], path=f"{path}.function_response", reader=reader
        )
    if role == "user" and "function_response" not in message and _is_blank(message.get("content")):
        reader.refuse(f"{path}.content", _(BLANK))
    # Only the role is there. An empty content passes: the remote decides about it (contract,
    # section 11, row 19).
    if len(message) == 1:
        rule = "Is required, except beside a function_call or function_response."
        reader.refuse(f"{path}.content", rule)
    return message


def _is_blank(content: Any) -> bool:
    """Whether a prompt is spaces, without an image or a video. An empty one is for the remote."""
    if isinstance(content, list):
        # A medium counts as a letter: a prompt may be an image alone. So does an empty text.
        content = "".join(part.get("text") or "x" for part in content)
    return isinstance(content, str) and bool(content) and not content.strip(SPACES)


def _read_role(value: Any, *, path: str, reader: Reader) -> str:
    if isinstance(value, str) and value in ROLES:
        return value
    if value is None:
        reader.refuse(path, "Is required: user or model.")
    else:
        hint = _ROLE_HINTS.get(value, "") if isinstance(value, str) else ""
        reader.refuse(path, f"Must be user or model, not {shown(value)}{hint}.")
    return ""


def _expect_role(expected: str, role: Any, *, path: str, reader: Reader) -> None:
    # A role that is unknown has its own problem already.
    if role != expected and role in ROLES:
        reader.refuse(path, f"Must be in a message with role {expected}.")


def _read_content(value: Any, *, path: str, reader: Reader, slots: list[MediaSlot]) -> Any:
    if isinstance(value, str):
        return reader.text(value, path=path)
    if not isinstance(value, list | tuple):
        reader.refuse(path, f"Must be a string or a list of parts, not {kind_of(value)}.")
        return ""
    if not value:
        reader.refuse(path, "Must hold at least one part.")
    return [
        read_part(part, path=f"{path}[{index}]", reader=reader, slots=slots)
        for index, part in enumerate(value)
    ]


def _read_call(value: Any, *, path: str, reader: Reader) -> dict[str, Any]:
    # Gemini may make several calls at once; a message has room for one (contract, section 3.1).
    if isinstance(value, list | tuple):
        reader.refuse(path, "Must be one object; put each further call into its own message.")
        return {}
    source = reader.mapping(value, path=path)
    if source is None:
        return {}
    reader.known_keys(source, CALL_FIELDS, path=path)
    arguments = source.get("args")
    return {
        "name": read_function_name(source.get("name"), path=f"{path}.name", reader=reader),
        "args": {} if arguments is None else reader.object_tree(arguments, path=f"{path}.args"),
        **_read_opaque(source, path=path, reader=reader),
    }


def _read_response(value: Any, *, path: str, reader: Reader) -> dict[str, Any]:
    if isinstance(value, list | tuple):
        reader.refuse(path, "Must be one object; put each further response into its own message.")
        return {}
    source = reader.mapping(value, path=path)
    if source is None:
        return {}
    reader.known_keys(source, RESPONSE_FIELDS, path=path)
    name = read_function_name(source.get("name"), path=f"{path}.name", reader=reader)
    response = source.get("response")
    if response is None:
        reader.refuse(f"{path}.response", "Is required: an object with what the function returned.")
        return {}
    return {
        "name": name,
        "response": reader.object_tree(response, path=f"{path}.response"),
        **_read_opaque(source, path=path, reader=reader),
    }


def _read_opaque(source: Mapping[str, Any], *, path: str, reader: Reader) -> dict[str, str]:
    return {
        field: reader.text(source[field], path=f"{path}.{field}")
        for field in OPAQUE_FIELDS
        if source.get(field) not in (None, "")
    }
