"""What bodies look like, as JSON Schema for the OpenAPI document. Read by nothing that runs.

Source of the fields and ranges: the remote's guide.
"""

from __future__ import annotations

from typing import Any

__all__ = ["CREATION", "CREDITS", "ERROR", "FRAME", "KEY", "LINE", "TICKET", "UPLOAD"]

Schema = dict[str, Any]


def record(required: tuple[str, ...] = (), **properties: Schema) -> Schema:
    """Return an object that has these members and no others."""
    shape: Schema = {"type": "object", "properties": properties, "additionalProperties": False}
    return {**shape, "required": list(required)} if required else shape


def listing(items: Schema, **limits: Any) -> Schema:
    return {"type": "array", "items": items, **limits}


def number(low: float, high: float) -> Schema:
    return {"type": "number", "minimum": low, "maximum": high}


TEXT: Schema = {"type": "string"}
LINE: Schema = {"type": "string", "pattern": "^[^\\u0000]*$"}
"""Text to look for, which no NUL can be in."""
ANY_OBJECT: Schema = {"type": "object", "additionalProperties": True}

TEXT_PART = record(("type", "text"), type={"enum": ["text"]}, text=TEXT)
MEDIA_PART = record(
    ("type",),
    type={"enum": ["image", "video"]},
    data={"type": "string", "format": "byte", "description": "Base64, with `mime_type`."},
    mime_type=TEXT,
    media={"type": "string", "format": "uuid", "description": "The id of an upload instead."},
)
MESSAGE = record(
    ("role",),
    role={"enum": ["user", "model"]},
    content={"oneOf": [TEXT, listing({"oneOf": [TEXT_PART, MEDIA_PART]})]},
    function_call=record(("name",), name=TEXT, args=ANY_OBJECT),
    function_response=record(("name",), name=TEXT, response=ANY_OBJECT),
)
CONFIG = record(
    temperature=number(0, 2),
    max_output_tokens={"type": "integer", "minimum": 1},
    top_p=number(0, 1),
    top_k={"type": "integer", "minimum": 1},
    presence_penalty=number(-2, 2),
    frequency_penalty=number(-2, 2),
    seed={"type": "integer"},
    stop_sequences=listing(TEXT),
    response_mime_type={"enum": ["text/plain", "application/json"]},
    response_json_schema=ANY_OBJECT,
)
FUNCTION = record(
    ("name",),
    name={"type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_.:-]{0,127}$"},
    description=TEXT,
    parameters=ANY_OBJECT,
)
CALLING = record(mode={"enum": ["AUTO", "ANY", "NONE"]}, allowed_function_names=listing(TEXT))
CREATION = record(
    ("messages",),
    model_name={"type": "string", "minLength": 1, "maxLength": 255},
    messages={"oneOf": [{"type": "string", "minLength": 1}, listing(MESSAGE, minItems=1)]},
    system_instruction=TEXT,
    config=CONFIG,
    tools=listing(record(("function_declarations",), function_declarations=listing(FUNCTION))),
    tool_config=record(function_calling_config=CALLING),
    sync={"type": "boolean", "default": False},
    metadata=ANY_OBJECT,
)
UPLOAD = record(("file",), file={"type": "string", "format": "binary"})

KEY: Schema = {"type": "string", "maxLength": 255, "pattern": "^[!-~]([ -~]*[!-~])?$"}
FRAME = record(
    ("data",),
    id={**TEXT, "description": "Give the last one as Last-Event-ID to go on from there."},
    event={**TEXT, "description": "`end` or `error`; the remote's chunks have none."},
    data={**TEXT, "description": "JSON: the remote's chunk, untouched; our own words else."},
)
AMOUNT: Schema = {"type": "string", "description": "Decimal."}
CREDITS = record(
    ("remaining", "remaining_age_seconds", "used", "unknown", "by_day", "by_model", "by_status"),
    remaining={**AMOUNT, "nullable": True},
    remaining_age_seconds={"type": "number", "nullable": True},
    used=AMOUNT,
    unknown={"type": "integer", "description": "Generations whose cost is not known."},
    by_day=listing(ANY_OBJECT),
    by_model=listing(ANY_OBJECT),
    by_status=listing(ANY_OBJECT),
)
TICKET = record(
    ("ticket", "url", "expires_in"),
    ticket=TEXT,
    url={**TEXT, "description": "The stream's path with the ticket in it, for EventSource."},
    expires_in={"type": "integer", "description": "Seconds."},
)
ERROR: Schema = {
    "type": "object",
    "required": ["error", "code"],
    "properties": {
        "error": {**TEXT, "description": "What went wrong, for people."},
        "code": {**TEXT, "description": "The same, for programs."},
        "detail": TEXT,
        "errors": {
            "type": "object",
            "description": "By the path of the field, as in `messages[0].role`.",
            "additionalProperties": listing(TEXT),
        },
    },
}
