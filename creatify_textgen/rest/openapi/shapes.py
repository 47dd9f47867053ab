"""JSON Schemas of bodies for the OpenAPI document. Requests are not checked with them.

The fields and ranges come from the remote's guide.
"""

from __future__ import annotations

from typing import Any

from creatify_textgen.states import Decision

__all__ = [
    "ADDITION",
    "CONVERSATION",
    "CREATION",
    "CREDITS",
    "ERROR",
    "FORK",
    "ESTIMATE",
    "FRAME",
    "KEY",
    "LINE",
    "MODEL",
    "REJECTION",
    "SETTLEMENT",
    "TICKET",
    "TITLE",
    "UPLOAD",
]

Schema = dict[str, Any]


def record(required: tuple[str, ...] = (), **properties: Schema) -> Schema:
    """Return an object that has these members and no others."""
    # As the API reads it: an unknown field is refused, because it is probably misspelled.
    shape: Schema = {"type": "object", "properties": properties, "additionalProperties": False}
    return {**shape, "required": list(required)} if required else shape


def listing(items: Schema, **limits: Any) -> Schema:
    return {"type": "array", "items": items, **limits}


def number(low: float, high: float) -> Schema:
    return {"type": "number", "minimum": low, "maximum": high}


TEXT: Schema = {"type": "string"}
LINE: Schema = {"type": "string", "pattern": "^[^\\u0000]*$"}
"""Text for a filter. It cannot contain NUL."""
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
    function_call=record(("name",), name=TEXT, args=ANY_OBJECT, id=TEXT, thought_signature=TEXT),
    function_response=record(("name",), name=TEXT, response=ANY_OBJECT, id=TEXT),
)
# The ranges of the guide (contract, 3.2).
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
    # Gemini's rule for names (contract, 3.3).
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
    account={**TEXT, "description": "One that the site allows; default: `default`."},
    sync={"type": "boolean", "default": False},
    metadata=ANY_OBJECT,
)
# The range of the column.
WINDOW = {"type": "integer", "minimum": 1, "maximum": 2147483647, "nullable": True}
CONVERSATION = record(
    title={"type": "string", "maxLength": 200},
    system_instruction=TEXT,
    model_name={"type": "string", "minLength": 1, "maxLength": 255},
    config=CONFIG,
    tools=CREATION["properties"]["tools"],
    tool_config=record(function_calling_config=CALLING),
    metadata=ANY_OBJECT,
    window_messages=WINDOW,
    window_tokens=WINDOW,
)
TITLE = record(("title",), title={"type": "string", "maxLength": 200})
REJECTION = record(reason={"type": "string", "maxLength": 1000})
SETTLEMENT = record(
    ("decision",),
    decision={"type": "string", "enum": list(Decision)},
    credits_used={
        "oneOf": [{"type": "number", "minimum": 0}, {"type": "string"}],
        "nullable": True,
        "description": "Only with `charged`: what it cost. Unknown without it.",
    },
    remote_id={
        "type": "string",
        "maxLength": 64,
        "description": "Only with `found`: its id at Creatify.",
    },
)
FORK = record(at={"type": "integer", "nullable": True, "description": "The last turn to keep."})
ADDITION = record(
    ("content",),
    content={
        "oneOf": [TEXT, listing({"oneOf": [TEXT_PART, MEDIA_PART]}), listing(MESSAGE)],
        "description": "A text, parts, or messages such as the responses of functions.",
    },
    config=CONFIG,
    tool_config=record(function_calling_config=CALLING),
    metadata=ANY_OBJECT,
    sync={"type": "boolean", "default": False},
)
UPLOAD = record(("file",), file={"type": "string", "format": "binary"})

# Printable ASCII. Spaces at the ends would be lost: they are not part of a header's value (RFC
# 9110, 5.5).
KEY: Schema = {"type": "string", "maxLength": 255, "pattern": "^[!-~]([ -~]*[!-~])?$"}
FRAME = record(
    ("data",),
    id={**TEXT, "description": "Send the last one as Last-Event-ID to continue after it."},
    event={**TEXT, "description": "`end` or `error`; the remote's chunks have none."},
    data={
        **TEXT,
        "description": "JSON: the remote's chunk, unchanged; or the fields of an error or end.",
    },
)
AMOUNT: Schema = {"type": "string", "description": "Decimal."}
SECONDS: Schema = {"type": "number", "nullable": True}
DURATIONS = record(
    ("sample", "median_seconds", "p95_seconds", "median_first_seconds", "p95_first_seconds"),
    sample={"type": "integer", "description": "Generations that were read, at most 5,000."},
    median_seconds={**SECONDS, "description": "From the request to the result."},
    p95_seconds={**SECONDS, "description": "Of 100, 95 took at most this."},
    median_first_seconds={**SECONDS, "description": "Of streams: to the first text."},
    p95_first_seconds={**SECONDS, "description": "Of 100 streams, 95 took at most this."},
)
CREDITS = record(
    (
        *("remaining", "remaining_age_seconds", "used", "unknown"),
        *("by_day", "by_model", "by_status", "durations"),
    ),
    remaining={**AMOUNT, "nullable": True},
    remaining_age_seconds={"type": "number", "nullable": True},
    lasts_days={"type": "number", "nullable": True, "description": "At the rate of last week."},
    used=AMOUNT,
    unknown={"type": "integer", "description": "Generations whose cost is not known."},
    used_a_day={**AMOUNT, "description": "Decimal; the mean of the last seven days."},
    used_this_month=AMOUNT,
    projected_this_month=AMOUNT,
    by_day=listing(ANY_OBJECT),
    by_model=listing(ANY_OBJECT),
    by_status=listing(ANY_OBJECT),
    by_owner=listing(ANY_OBJECT, description="Only if it was asked for."),
    durations=DURATIONS,
)
UNKNOWN_AMOUNT: Schema = {**AMOUNT, "nullable": True, "description": "Decimal; null if unknown."}
ESTIMATE = record(
    ("model_name", "sample", "token_sample", "median", "p95", "mean", "since"),
    model_name=TEXT,
    sample={"type": "integer", "description": "Generations that were read for the estimate."},
    token_sample={"type": "integer", "description": "Those of them with a count of tokens."},
    median=UNKNOWN_AMOUNT,
    p95=UNKNOWN_AMOUNT,
    mean=UNKNOWN_AMOUNT,
    median_per_1000_tokens=UNKNOWN_AMOUNT,
    p95_per_1000_tokens=UNKNOWN_AMOUNT,
    since={"type": "string", "format": "date-time", "nullable": True},
)
DAY: Schema = {"type": "string", "format": "date"}
MODEL = record(
    ("name", "ends_on", "has_ended", "successor", "ignores", "refuses", "source", "read_on"),
    name=TEXT,
    ends_on={**DAY, "nullable": True, "description": "The day from which its successor answers."},
    has_ended={"type": "boolean"},
    successor=TEXT,
    ignores=listing(TEXT, description="Parameters of `config` without effect."),
    refuses=listing(TEXT, description="Parameters of `config` that it refuses."),
    source={**TEXT, "description": "Where this was read; empty for an unknown model."},
    read_on=DAY,
)
TICKET = record(
    ("ticket", "url", "expires_in"),
    ticket=TEXT,
    url={**TEXT, "description": "The stream's path with the ticket, for EventSource."},
    expires_in={"type": "integer", "description": "Seconds."},
)
ERROR: Schema = {
    "type": "object",
    "required": ["error", "code"],
    "properties": {
        "error": {**TEXT, "description": "The error as a sentence, for people."},
        "code": {**TEXT, "description": "The same, for programs."},
        "detail": TEXT,
        "errors": {
            "type": "object",
            "description": "Messages by the path of the field, such as `messages[0].role`.",
            "additionalProperties": listing(TEXT),
        },
    },
}
