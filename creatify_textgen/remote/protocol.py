"""Builds the bodies of requests, and parses the bodies of answers and deliveries.

Pure. It accepts every form that the contract leaves open. Anything else raises `ContractError`
(answers) or `WebhookError` (deliveries), and no other error.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from creatify_textgen import remote_ids
from creatify_textgen.exceptions import ContractError, WebhookError
from creatify_textgen.remote import wire
from creatify_textgen.remote.acceptance import is_error
from creatify_textgen.remote.body import JsonBody
from creatify_textgen.remote.chunk_reader import read_chunks
from creatify_textgen.remote.chunks import parse_chunk
from creatify_textgen.remote.contract import GenerationRequest, RemoteGeneration
from creatify_textgen.remote.function_calls import function_calls
from creatify_textgen.remote.media_echo import digest_of
from creatify_textgen.remote.refusals import parse_error

__all__ = [
    "build_create",
    "build_stream",
    "parse_chunk",
    "parse_credits",
    "parse_error",
    "parse_generation",
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
    # The guide leaves both out; the reference lists them for this endpoint, too (section 3).
    return JsonBody(_common_fields(request))


def parse_generation(body: bytes | str | Mapping[str, Any]) -> RemoteGeneration:
    """Return the generation that an answer to create, get or list describes.

    Raises: `ContractError` if it is not an object, has no usable id, or is an error with an id.
    """
    fields = wire.mapping(_load(body) if isinstance(body, bytes | str) else body)
    remote_id = remote_ids.identifier(fields.get("id"))
    if remote_id is None or is_error(fields):
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


def parse_credits(body: bytes | str) -> Decimal:
    """Return the workspace's balance, which may be negative. Raises: `ContractError`."""
    balance = wire.amount(wire.mapping(_load(body)).get("remaining_credits"))
    if balance is None:
        raise ContractError("The remote's answer has no readable remaining_credits.")
    return balance


def parse_webhook(body: bytes) -> RemoteGeneration:
    """Return the generation that a delivery describes. It is not verified here.

    Only `id`, `status`, `response_text`, `response_function_calls`, `failed_reason` and
    `credits_used` are set (section 5). The caller has checked the size. Raises: `WebhookError`.
    """
    # The key as it is usually written, with an escape in its name, or in UTF-16 or UTF-32.
    if not any(sign in body for sign in (b'"id"', b"\\u", b"\0")):
        # A delivery without an id is refused before megabytes are parsed.
        raise WebhookError("The delivery names no generation.")
    try:
        fields = wire.load(body)
    except ValueError:
        raise WebhookError("The delivery is not readable as JSON.") from None
    remote_id = remote_ids.identifier(wire.mapping(fields).get("id"))
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
    body: dict[str, Any] = {"model_name": request.model_name, "messages": request.messages} | given
    extra = dict(request.extra or {})
    if config := extra.get("config"):
        extra["config"] = {**body.get("config", {}), **config}
    return body | extra


def _load(body: bytes | str) -> Any:
    try:
        return wire.load(body)
    except ValueError:
        raise ContractError("The remote's answer is not readable as JSON.") from None


def _outcome(fields: Mapping[str, Any], remote_id: str) -> dict[str, Any]:
    return {
        "id": remote_id,
        "id_as_sent": remote_ids.other_form(fields.get("id")),
        "status": wire.word(fields.get("status")).lower(),
        "response_text": wire.written(fields.get("response_text")),
        "response_function_calls": function_calls(fields.get("response_function_calls")),
        # An empty value of any type, such as `false` or `{}`, means that there is no reason.
        "failed_reason": wire.written(fields.get("failed_reason") or None),
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
    # A digest that the remote wrote is dropped, because a row is recognized by ours.
    stripped = {key: value for key, value in part.items() if key not in ("data", "sha256")}
    digest = digest_of(data) if isinstance(data := part.get("data"), str) and data else ""
    return stripped | {"sha256": digest} if digest else stripped
