"""What is said to the remote and what its answers mean: requests to bodies, bodies to values.

Pure. Tolerant where the contract is unsure; what cannot be understood raises `ContractError`
(answers) or `WebhookError` (deliveries) and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from creatify_textgen.exceptions import ContractError, WebhookError
from creatify_textgen.remote import wire
from creatify_textgen.remote.body import JsonBody
from creatify_textgen.remote.chunk_reader import read_chunks
from creatify_textgen.remote.chunks import parse_chunk
from creatify_textgen.remote.contract import GenerationRequest, RemoteGeneration
from creatify_textgen.remote.listing import ListReader
from creatify_textgen.remote.media_echo import digest_of
from creatify_textgen.remote.refusals import parse_error

__all__ = [
    "build_create",
    "build_stream",
    "parse_chunk",
    "parse_credits",
    "parse_error",
    "parse_generation",
    "parse_list",
    "parse_webhook",
    "read_chunks",
]


def build_create(request: GenerationRequest) -> JsonBody:
    """Return the body of a create, asynchronous or `sync` (section 3)."""
    extras: dict[str, Any] = {}
    if request.webhook_url:
        extras["webhook_url"] = request.webhook_url
    if request.sync:
        extras["sync"] = True
    return JsonBody(_common_fields(request) | extras)


def build_stream(request: GenerationRequest) -> JsonBody:
    """Return the body of a stream: the same without `sync` and `webhook_url`."""
    return JsonBody(_common_fields(request))


def parse_generation(body: bytes | str | Mapping[str, Any]) -> RemoteGeneration:
    """Return the generation that an answer to create, get or list describes.

    Raises: `ContractError` where it is no object or has no id that can be used.
    """
    fields = _load(body) if isinstance(body, bytes | str) else body
    remote_id = wire.identifier(wire.mapping(fields).get("id"))
    if remote_id is None:
        raise ContractError("The remote's answer is not a generation with an id.")
    return RemoteGeneration(
        **_outcome(fields, remote_id),
        model_name=wire.text(fields.get("model_name")),
        messages=_stripped_messages(fields.get("messages")),
        system_instruction=wire.text(fields.get("system_instruction")),
        config=dict(wire.mapping(wire.plain(fields.get("config")))),
        created_at=wire.moment(fields.get("created_at")),
        updated_at=wire.moment(fields.get("updated_at")),
    )


def parse_list(body: bytes | str) -> tuple[list[RemoteGeneration], str]:
    """Return a page of the list and the URL of the next one, empty after the last.

    Takes a bare array or `{"results": […], "next": …}`. Raises: `ContractError`, also for one
    unreadable item, because a list with holes proves no absence.
    """
    raw = body if isinstance(body, bytes) else body.encode("utf-8", "replace")
    reader = ListReader([raw], item_cap=len(raw))
    generations = [parse_generation(item) for item in reader.items()]
    return generations, reader.next_url


def parse_credits(body: bytes | str) -> Decimal:
    """Return the workspace's balance, which may be negative. Raises: `ContractError`."""
    balance = wire.amount(wire.mapping(_load(body)).get("remaining_credits"))
    if balance is None:
        raise ContractError("The remote's answer has no readable remaining_credits.")
    return balance


def parse_webhook(body: bytes) -> RemoteGeneration:
    """Return the snapshot that a delivery claims; whether it is true is for others to find out.

    Only `id`, `status`, `response_text`, `response_function_calls`, `failed_reason` and
    `credits_used` are set (section 5). The caller has checked the size. Raises: `WebhookError`.
    """
    if b'"id"' not in body and b"\\u" not in body:
        # Without it, plain or escaped, nothing is named: megabytes of that are not parsed.
        raise WebhookError("The delivery names no generation.")
    try:
        fields = wire.load(body)
    except ValueError:
        raise WebhookError("The delivery is not readable as JSON.") from None
    remote_id = wire.identifier(wire.mapping(fields).get("id"))
    if remote_id is None:
        raise WebhookError("The delivery names no generation.")
    return RemoteGeneration(**_outcome(fields, remote_id))


def _common_fields(request: GenerationRequest) -> dict[str, Any]:
    optional = {
        "system_instruction": request.system_instruction,
        "config": request.config,
        "tools": request.tools,
        "tool_config": request.tool_config,
    }
    given = {name: value for name, value in optional.items() if value}
    return {"model_name": request.model_name, "messages": request.messages} | given


def _load(body: bytes | str) -> Any:
    try:
        return wire.load(body)
    except ValueError:
        raise ContractError("The remote's answer is not readable as JSON.") from None


def _outcome(fields: Mapping[str, Any], remote_id: str) -> dict[str, Any]:
    calls = fields.get("response_function_calls")
    return {
        "id": remote_id,
        "status": wire.text(fields.get("status")),
        "response_text": wire.text(fields.get("response_text")),
        "response_function_calls": [wire.function_call(call) for call in wire.objects(calls)],
        "failed_reason": wire.text(fields.get("failed_reason")),
        "credits_used": wire.charge(fields.get("credits_used")),
    }


def _stripped_messages(messages: Any) -> list[dict[str, Any]] | None:
    if not isinstance(messages, list):
        return None
    return [_stripped_message(message) for message in wire.objects(messages)]


def _stripped_message(message: dict[str, Any]) -> dict[str, Any]:
    content = message.get("content")
    if isinstance(content, list):
        message = message | {"content": [_stripped_part(part) for part in content]}
    stripped: dict[str, Any] = wire.plain(message)
    return stripped


def _stripped_part(part: Any) -> Any:
    if not isinstance(part, dict) or part.get("type") == "text":
        return part
    stripped = {key: value for key, value in part.items() if key not in ("data", "sha256")}
    digest = digest_of(data) if isinstance(data := part.get("data"), str) and data else ""
    return stripped | {"sha256": digest} if digest else stripped
