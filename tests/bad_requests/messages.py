"""Wrong messages, function calls and function responses."""

from __future__ import annotations

from tests.bad_requests.shapes import (
    PROMPT,
    BadRequest,
    call,
    message,
    nested,
    response,
    second,
)

CALL = "messages[1].function_call"
RESPONSE = "messages[1].function_response"

MESSAGES = [
    BadRequest("messages-null", {"messages": None}, "messages", "not null"),
    BadRequest("messages-number", {"messages": 5}, "messages", "not a number"),
    BadRequest("messages-object", {"messages": {"role": "user"}}, "messages", "not an object"),
    BadRequest("messages-empty", {"messages": []}, "messages", "Must not be empty"),
    BadRequest("messages-empty-text", {"messages": ""}, "messages", "Must not be empty"),
    BadRequest("message-text", {"messages": [PROMPT]}, "messages[0]", "not a string"),
    BadRequest("message-null", {"messages": [None]}, "messages[0]", "not null"),
    BadRequest("message-list", {"messages": [[]]}, "messages[0]", "not a list"),
    BadRequest("role-missing", message(content=PROMPT), "messages[0].role", "Is required"),
    BadRequest("role-null", message(role=None, content=PROMPT), "messages[0].role", "Is required"),
    BadRequest(
        "role-system",
        message(role="system", content=PROMPT),
        "messages[0].role",
        "system_instruction",
    ),
    BadRequest(
        "role-assistant",
        second(role="assistant", content=PROMPT),
        "messages[1].role",
        "the assistant's role is model",
    ),
    BadRequest(
        "role-tool", second(role="tool", content=PROMPT), "messages[1].role", "with role user"
    ),
    BadRequest("role-case", message(role="User", content=PROMPT), "messages[0].role", 'not "User"'),
    BadRequest(
        "role-list", message(role=["user"], content=PROMPT), "messages[0].role", "not a list"
    ),
    BadRequest("role-number", message(role=1, content=PROMPT), "messages[0].role", "not 1"),
    BadRequest("content-missing", message(role="user"), "messages[0].content", "Is required"),
    BadRequest(
        "content-null", message(role="user", content=None), "messages[0].content", "Is required"
    ),
    BadRequest(
        "content-number", message(role="user", content=7), "messages[0].content", "not a number"
    ),
    BadRequest(
        "content-object",
        message(role="user", content={"text": PROMPT}),
        "messages[0].content",
        "a list of parts, not an object",
    ),
    BadRequest(
        "content-no-parts",
        message(role="user", content=[]),
        "messages[0].content",
        "at least one part",
    ),
    BadRequest(
        "message-unknown",
        message(role="user", content=PROMPT, name="me"),
        "messages[0].name",
        "Unknown field",
    ),
    BadRequest(
        "message-gemini",
        message(role="user", content=PROMPT, parts=[{"text": PROMPT}]),
        "messages[0].parts",
        "did you mean content?",
    ),
    BadRequest(
        "message-openai",
        second(role="model", content=PROMPT, tool_calls=[]),
        "messages[1].tool_calls",
        "as function_call",
    ),
]

CALLS = [
    BadRequest(
        "call-by-user",
        second(role="user", function_call={"name": "f", "args": {}}),
        CALL,
        "role model",
    ),
    BadRequest(
        "response-by-model",
        second(role="model", function_response={"name": "f", "response": {}}),
        RESPONSE,
        "role user",
    ),
    BadRequest(
        "calls-in-a-list", second(role="model", function_call=[{"name": "f"}]), CALL, "one object"
    ),
    BadRequest(
        "responses-in-a-list", second(role="user", function_response=[]), RESPONSE, "one object"
    ),
    BadRequest("call-text", second(role="model", function_call="f()"), CALL, "not a string"),
    BadRequest(
        "response-text", second(role="user", function_response=PROMPT), RESPONSE, "not a string"
    ),
    BadRequest("call-nameless", call(args={}), f"{CALL}.name", "Is required"),
    BadRequest("call-name-number", call(name=5), f"{CALL}.name", "not a number"),
    BadRequest("call-name-spaces", call(name="get weather"), f"{CALL}.name", "Must begin"),
    BadRequest("call-arguments-text", call(name="f", args="{}"), f"{CALL}.args", "not a string"),
    BadRequest("call-arguments-list", call(name="f", args=[1]), f"{CALL}.args", "not a list"),
    BadRequest("call-id", call(name="f", args={}, id=1), f"{CALL}.id", "not a number"),
    BadRequest(
        "call-arguments-misspelled",
        call(name="f", arguments={}),
        f"{CALL}.arguments",
        "did you mean args?",
    ),
    BadRequest(
        "call-arguments-deep",
        call(name="f", args=nested(25, of="object")),
        f"{CALL}.args",
        "deeper than 24",
    ),
    BadRequest(
        "call-arguments-deep-lists",
        call(name="f", args={"a": nested(900)}),
        f"{CALL}.args",
        "deeper than 24",
    ),
    BadRequest(
        "call-argument-huge", call(name="f", args={"n": 10**30}), f"{CALL}.args.n", "64 bits"
    ),
    BadRequest("response-nameless", response(response={}), f"{RESPONSE}.name", "Is required"),
    BadRequest("response-missing", response(name="f"), f"{RESPONSE}.response", "Is required"),
    BadRequest(
        "response-of-text",
        response(name="f", response=PROMPT),
        f"{RESPONSE}.response",
        "not a string",
    ),
    BadRequest(
        "response-unknown",
        response(name="f", response={}, content=PROMPT),
        f"{RESPONSE}.content",
        "Unknown field",
    ),
]
