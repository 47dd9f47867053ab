"""Wrong generation configs."""

from __future__ import annotations

from tests.bad_requests.shapes import BadRequest, config, nested, request_body

CONFIGS = [
    BadRequest("config-list", request_body(config=[]), "config", "not a list"),
    BadRequest("config-text", request_body(config="{}"), "config", "not a string"),
    BadRequest(
        "config-unknown", config(candidate_count=2), "config.candidate_count", "Unknown field"
    ),
    BadRequest(
        "config-camel-case",
        config(maxOutputTokens=9),
        "config.maxOutputTokens",
        "did you mean max_output_tokens?",
    ),
    BadRequest("temperature-high", config(temperature=2.1), "config.temperature", "0.0 and 2.0"),
    BadRequest("temperature-low", config(temperature=-0.1), "config.temperature", "not -0.1"),
    BadRequest("temperature-text", config(temperature="1"), "config.temperature", "not a string"),
    BadRequest(
        "temperature-boolean", config(temperature=True), "config.temperature", "not a boolean"
    ),
    BadRequest(
        "temperature-huge", config(temperature=10**400), "config.temperature", "a huge number"
    ),
    BadRequest("top-p-high", config(top_p=1.01), "config.top_p", "between 0.0 and 1.0"),
    BadRequest("top-k-fraction", config(top_k=1.5), "config.top_k", "whole number"),
    BadRequest("top-k-zero", config(top_k=0), "config.top_k", "1 or more"),
    BadRequest(
        "tokens-fraction", config(max_output_tokens=9.0), "config.max_output_tokens", "whole"
    ),
    BadRequest("tokens-zero", config(max_output_tokens=0), "config.max_output_tokens", "or more"),
    BadRequest("tokens-true", config(max_output_tokens=True), "config.max_output_tokens", "true"),
    BadRequest("tokens-text", config(max_output_tokens="9"), "config.max_output_tokens", "whole"),
    BadRequest(
        "presence-low", config(presence_penalty=-2.5), "config.presence_penalty", "-2.0 and 2.0"
    ),
    BadRequest("frequency-high", config(frequency_penalty=3), "config.frequency_penalty", "not 3"),
    BadRequest("seed-text", config(seed="x"), "config.seed", "whole number"),
    BadRequest("seed-huge", config(seed=2**64), "config.seed", "64 bits"),
    BadRequest("stop-text", config(stop_sequences="END"), "config.stop_sequences", "not a string"),
    BadRequest(
        "stop-number", config(stop_sequences=["a", 1]), "config.stop_sequences[1]", "not a number"
    ),
    BadRequest(
        "stop-empty", config(stop_sequences=["a", ""]), "config.stop_sequences[1]", "not be empty"
    ),
    BadRequest(
        "stop-many", config(stop_sequences=["a"] * 65), "config.stop_sequences", "at most 64"
    ),
    BadRequest(
        "mime-unknown",
        config(response_mime_type="text/html"),
        "config.response_mime_type",
        "text/plain or application/json",
    ),
    BadRequest(
        "mime-list", config(response_mime_type=[]), "config.response_mime_type", "not a list"
    ),
    BadRequest(
        "schema-text",
        config(response_json_schema="{}"),
        "config.response_json_schema",
        "Must be an object",
    ),
    BadRequest(
        "schema-deep",
        config(response_json_schema=nested(25, of="object")),
        "config.response_json_schema",
        "deeper than 24",
    ),
    BadRequest(
        "schema-as-plain-text",
        config(response_json_schema={"type": "object"}, response_mime_type="text/plain"),
        "config.response_mime_type",
        "beside response_json_schema",
    ),
]
