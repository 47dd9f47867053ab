"""Messages: roles, content, function calls and their responses (CONTRACT 3.1)."""

from __future__ import annotations

from typing import Any

from creatify_textgen.remote.contract import ROLES
from creatify_textgen.services.intake.parts import MediaSlot, read_part
from creatify_textgen.services.intake.reading import Reader
from creatify_textgen.services.intake.text import kind_of, shown
from creatify_textgen.services.intake.tools import read_function_name

__all__ = ["read_messages"]

MESSAGE_FIELDS = frozenset({"role", "content", "function_call", "function_response"})
CALL_FIELDS = frozenset({"name", "args"})
RESPONSE_FIELDS = frozenset({"name", "response"})

_FIELD_HINTS = {
    "parts": "did you mean content?",
    "text": "did you mean content?",
    "tool_calls": "put one function_call into a message of its own.",
    "function_calls": "put one function_call into a message of its own.",
}
_ROLE_HINTS = {
    "system": "; system text goes into system_instruction",
    "developer": "; system text goes into system_instruction",
    "assistant": "; here an assistant's role is model",
    "function": "; a function_response is a message of the user",
    "tool": "; a function_response is a message of the user",
}


def read_messages(value: Any, *, reader: Reader, slots: list[MediaSlot]) -> list[dict[str, Any]]:
    """Return the messages clean; a plain string is one message of the user.

    Media are staged: each leaves a slot whose part is to be completed once they are stored.
    """
    if isinstance(value, str) and value:
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
    if len(message) == 1:
        rule = "Is required, but beside a function_call or function_response."
        reader.refuse(f"{path}.content", rule)
    return message


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
    if role != expected and role in ROLES:
        reader.refuse(path, f"Belongs into a message of role {expected}.")


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
    return {"name": name, "response": reader.object_tree(response, path=f"{path}.response")}
