"""Wrong function declarations and tool configs."""

from __future__ import annotations

from tests.bad_requests.shapes import (
    WEATHER,
    BadRequest,
    calling,
    declaration,
    nested,
    request_body,
)

DECLARATION = "tools[0].function_declarations[0]"
CALLING = "tool_config.function_calling_config"

TOOLS = [
    BadRequest("tools-object", request_body(tools={}), "tools", "Must be a list"),
    BadRequest("tools-texts", request_body(tools=["f"]), "tools[0]", "not a string"),
    BadRequest("tool-empty", request_body(tools=[{}]), "tools[0].function_declarations", "a list"),
    BadRequest(
        "tool-without-declarations",
        request_body(tools=[{"function_declarations": []}]),
        "tools[0].function_declarations",
        "at least one",
    ),
    BadRequest(
        "tool-search",
        request_body(tools=[{"function_declarations": [WEATHER], "google_search": {}}]),
        "tools[0].google_search",
        "Unknown field",
    ),
    BadRequest(
        "declaration-text",
        request_body(tools=[{"function_declarations": ["f"]}]),
        DECLARATION,
        "not a string",
    ),
    BadRequest("declaration-nameless", declaration(), f"{DECLARATION}.name", "Is required"),
    BadRequest(
        "declaration-digit", declaration(name="1st"), f"{DECLARATION}.name", "Must begin with"
    ),
    BadRequest("declaration-long", declaration(name="f" * 129), f"{DECLARATION}.name", "most 128"),
    BadRequest(
        "declaration-newline", declaration(name="f\n"), f"{DECLARATION}.name", "Must begin with"
    ),
    BadRequest(
        "declaration-twice",
        request_body(tools=[{"function_declarations": [WEATHER, WEATHER]}]),
        "tools[0].function_declarations[1].name",
        "once only",
    ),
    BadRequest(
        "declaration-twice-apart",
        request_body(tools=[{"function_declarations": [WEATHER]}] * 2),
        "tools[1].function_declarations[0].name",
        "once only",
    ),
    BadRequest(
        "description-number",
        declaration(name="f", description=1),
        f"{DECLARATION}.description",
        "not a number",
    ),
    BadRequest(
        "parameters-text",
        declaration(name="f", parameters="{}"),
        f"{DECLARATION}.parameters",
        "not a string",
    ),
    BadRequest(
        "parameters-deep",
        declaration(name="f", parameters=nested(70, of="object")),
        f"{DECLARATION}.parameters",
        "deeper than 24",
    ),
    BadRequest(
        "declaration-unknown",
        declaration(name="f", parameter={}),
        f"{DECLARATION}.parameter",
        "did you mean parameters?",
    ),
    BadRequest(
        "tool-config-alone",
        request_body(tool_config={"function_calling_config": {"mode": "AUTO"}}),
        "tool_config",
        "Needs tools",
    ),
    BadRequest("tool-config-list", request_body(tool_config=[]), "tool_config", "not a list"),
    BadRequest(
        "tool-config-unknown",
        request_body(tools=[{"function_declarations": [WEATHER]}], tool_config={"mode": "ANY"}),
        "tool_config.mode",
        "Unknown field",
    ),
    BadRequest(
        "calling-text",
        request_body(
            tools=[{"function_declarations": [WEATHER]}],
            tool_config={"function_calling_config": "ANY"},
        ),
        CALLING,
        "not a string",
    ),
    BadRequest("mode-lower-case", calling(mode="auto"), f"{CALLING}.mode", "AUTO, ANY, NONE"),
    BadRequest("mode-validated", calling(mode="VALIDATED"), f"{CALLING}.mode", "AUTO, ANY, NONE"),
    BadRequest("mode-list", calling(mode=["ANY"]), f"{CALLING}.mode", "not a list"),
    BadRequest(
        "allowed-text",
        calling(mode="ANY", allowed_function_names="get_weather"),
        f"{CALLING}.allowed_function_names",
        "a list of names",
    ),
    BadRequest(
        "allowed-with-auto",
        calling(allowed_function_names=["get_weather"]),
        f"{CALLING}.allowed_function_names",
        "only with mode ANY",
    ),
    BadRequest(
        "allowed-undeclared",
        calling(mode="ANY", allowed_function_names=["get_weather", "f"]),
        f"{CALLING}.allowed_function_names[1]",
        'a declared function, not "f"',
    ),
    BadRequest(
        "allowed-number",
        calling(mode="ANY", allowed_function_names=[1]),
        f"{CALLING}.allowed_function_names[0]",
        "not 1",
    ),
    BadRequest("calling-unknown", calling(modes="ANY"), f"{CALLING}.modes", "mean mode?"),
]
