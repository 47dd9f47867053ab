"""The side of `useChat`: which parts the package `ai` accepts, and the message they add up to.

The table is taken from `uiMessageChunkSchema` of `ai` 5.0.277, 6.0.326 and 7.0.173, as far as all
three agree. `make usechat` tests the same with the package itself.
"""

from __future__ import annotations

import json
from typing import Any

REQUIRED: dict[str, dict[str, type]] = {
    "start": {},
    "start-step": {},
    "text-start": {"id": str},
    "text-delta": {"id": str, "delta": str},
    "text-end": {"id": str},
    "reasoning-start": {"id": str},
    "reasoning-delta": {"id": str, "delta": str},
    "reasoning-end": {"id": str},
    "tool-input-available": {"toolCallId": str, "toolName": str, "input": object},
    "tool-output-available": {"toolCallId": str, "output": object},
    "tool-output-error": {"toolCallId": str, "errorText": str},
    "message-metadata": {"messageMetadata": object},
    "finish-step": {},
    "finish": {},
    "error": {"errorText": str},
    "abort": {},
}
OPTIONAL: dict[str, type] = {
    "messageId": str,
    "messageMetadata": object,
    "providerMetadata": dict,
    "providerExecuted": bool,
    "finishReason": str,
}
FINISH_REASONS = {"stop", "length", "content-filter", "tool-calls", "error", "other"}


def read_parts(body: bytes) -> list[dict[str, Any]]:
    """Return the parts of a stream. Fails if one is not allowed, or if `[DONE]` is not last."""
    events = [event for event in body.decode().split("\n\n") if not event.startswith(":")]
    assert events.pop() == ""
    assert events.pop() == "data: [DONE]"
    parts = [json.loads(event.removeprefix("data: ")) for event in events]
    for part in parts:
        check_part(part)
    return parts


def check_part(part: dict[str, Any]) -> None:
    required = REQUIRED[part["type"]]
    allowed = OPTIONAL | required
    assert required.keys() <= part.keys(), part
    for name in part.keys() - {"type"}:
        assert isinstance(part[name], allowed[name]), part
    assert part.get("finishReason", "stop") in FINISH_REASONS, part


def message_of(parts: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the message as the SDK would show it; fails if a part of it was not open."""
    message: dict[str, Any] = {"id": "", "parts": [], "metadata": {}, "error": ""}
    open_parts: dict[str, dict[str, Any]] = {}
    tools: dict[str, dict[str, Any]] = {}
    for part in parts:
        kind, _, action = part["type"].partition("-")
        if kind in ("text", "reasoning"):
            _take_text(part, kind, action, open_parts, message)
        elif part["type"] == "tool-input-available":
            tools[part["toolCallId"]] = tool = {
                "type": f"tool-{part['toolName']}",
                "toolCallId": part["toolCallId"],
                "state": "input-available",
                "input": part["input"],
            }
            if "providerMetadata" in part:
                tool["callProviderMetadata"] = part["providerMetadata"]
            message["parts"].append(tool)
        elif part["type"] == "tool-output-available":
            tools[part["toolCallId"]].update(state="output-available", output=part["output"])
        elif part["type"] == "tool-output-error":
            tools[part["toolCallId"]].update(state="output-error", errorText=part["errorText"])
        elif part["type"] == "start-step":
            message["parts"].append({"type": "step-start"})
        message["id"] = part.get("messageId", message["id"])
        message["metadata"] |= part.get("messageMetadata", {})
        message["error"] = part.get("errorText", message["error"]) if kind == "error" else ""
    assert not open_parts
    return message


def _take_text(
    part: dict[str, Any],
    kind: str,
    action: str,
    open_parts: dict[str, dict[str, Any]],
    message: dict[str, Any],
) -> None:
    if action == "start":
        open_parts[part["id"]] = {"type": kind, "text": ""}
        message["parts"].append(open_parts[part["id"]])
    elif action == "delta":
        open_parts[part["id"]]["text"] += part["delta"]
    else:
        del open_parts[part["id"]]
