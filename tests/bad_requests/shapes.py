"""How a wrong request is written down, and builders of bodies that are right but for one thing."""

from __future__ import annotations

import base64
from typing import Any, NamedTuple

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
)
"""A whole PNG of one pixel."""
PNG_TEXT = base64.b64encode(PNG).decode()
MP4_TEXT = base64.b64encode(b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom").decode()
HEIC_TEXT = base64.b64encode(b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic").decode()
WEATHER = {"name": "get_weather", "parameters": {"type": "object"}}
PROMPT = "a prompt that no error may quote"
UNKNOWN_ID = "01890a5d-ac96-774b-bcce-b302099a8057"


class BadRequest(NamedTuple):
    """One wrong body."""

    id: str
    body: Any
    """As JSON would carry it."""
    field: str
    """Path of the wrong field."""
    rule: str
    """Words that the text for the field must hold."""


def request_body(**changes: Any) -> dict[str, Any]:
    """Return a body that is right but for the changes."""
    return {"messages": [{"role": "user", "content": PROMPT}], **changes}


def nested(levels: int, *, of: str = "list") -> Any:
    """Return a value of so many lists or objects within each other."""
    value: Any = PROMPT
    for _ in range(levels):
        value = [value] if of == "list" else {"a": value}
    return value


def message(**fields: Any) -> dict[str, Any]:
    """Return a body of this one message."""
    return {"messages": [fields]}


def second(**fields: Any) -> dict[str, Any]:
    """Return a body whose second message is this one."""
    return {"messages": [{"role": "user", "content": PROMPT}, fields]}


def part(**fields: Any) -> dict[str, Any]:
    """Return a body whose second part is this one."""
    return message(role="user", content=[{"type": "text", "text": PROMPT}, fields])


def image(**fields: Any) -> dict[str, Any]:
    """Return a body with an image, right but for these fields; None leaves one out."""
    whole = {"type": "image", "mime_type": "image/png", "data": PNG_TEXT, **fields}
    return part(**{name: value for name, value in whole.items() if value is not None})


def call(**fields: Any) -> dict[str, Any]:
    """Return a body whose second message is this function call."""
    return second(role="model", function_call=fields)


def response(**fields: Any) -> dict[str, Any]:
    """Return a body whose second message is this function response."""
    return second(role="user", function_response=fields)


def config(**fields: Any) -> dict[str, Any]:
    """Return a body with this config."""
    return request_body(config=fields)


def declaration(**fields: Any) -> dict[str, Any]:
    """Return a body that declares this function."""
    return request_body(tools=[{"function_declarations": [fields]}])


def calling(**fields: Any) -> dict[str, Any]:
    """Return a body with a tool and this function_calling_config."""
    tools = [{"function_declarations": [WEATHER]}]
    return request_body(tools=tools, tool_config={"function_calling_config": fields})
