"""Wrong at the outermost level: the body, the model, the system text, the metadata."""

from __future__ import annotations

from tests.bad_requests.shapes import PROMPT, BadRequest, nested, request_body

BODIES = [
    BadRequest("body-list", [], "", "Must be an object, not a list"),
    BadRequest("body-text", PROMPT, "", "Must be an object, not a string"),
    BadRequest("body-null", None, "", "Must be an object, not null"),
    BadRequest("body-empty", {}, "messages", "Is required"),
    BadRequest("field-misspelled", request_body(mesages=[]), "mesages", "did you mean messages?"),
    BadRequest("field-of-others", request_body(model="x"), "model", "did you mean model_name?"),
    BadRequest("field-unknown", request_body(q=1), "q", "known are"),
    BadRequest("webhook-url", request_body(webhook_url="https://a.b"), "webhook_url", "site sets"),
    BadRequest("sync-text", request_body(sync="yes"), "sync", "Must be true or false"),
    BadRequest("sync-number", request_body(sync=1), "sync", "not a number"),
    BadRequest("sync-null", request_body(sync=None), "sync", "not null"),
]

MODELS = [
    BadRequest("model-number", request_body(model_name=3), "model_name", "not a number"),
    BadRequest("model-list", request_body(model_name=["x"]), "model_name", "not a list"),
    BadRequest("model-empty", request_body(model_name=""), "model_name", "1 to 255 characters"),
    BadRequest("model-long", request_body(model_name="m" * 256), "model_name", "not 256"),
    BadRequest("model-spaces", request_body(model_name=" m "), "model_name", "no space at its"),
    BadRequest("model-newline", request_body(model_name="m\nn"), "model_name", "control char"),
    BadRequest("model-nul", request_body(model_name="m\x00"), "model_name", "control char"),
    BadRequest("model-surrogate", request_body(model_name="\ud800"), "model_name", "control char"),
]

SYSTEM = [
    BadRequest(
        "system-number", request_body(system_instruction=1), "system_instruction", "not a number"
    ),
    BadRequest(
        "system-content",
        request_body(system_instruction={"parts": [{"text": PROMPT}]}),
        "system_instruction",
        "Must be a string, not an object",
    ),
    BadRequest(
        "system-list", request_body(system_instruction=[PROMPT]), "system_instruction", "not a list"
    ),
]

METADATA = [
    BadRequest("metadata-list", request_body(metadata=[]), "metadata", "not a list"),
    BadRequest("metadata-text", request_body(metadata="x"), "metadata", "not a string"),
    BadRequest(
        "metadata-large", request_body(metadata={"a": "x" * 16384}), "metadata", "16384 bytes"
    ),
    BadRequest("metadata-deep", request_body(metadata={"a": nested(64)}), "metadata", "24 levels"),
]
