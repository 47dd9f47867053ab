"""Hashes by which a request is known again: at the remote, and when a client repeats itself.

Pure, and never raises for anything JSON can hold: the remote's echo is hashed here too.
Invariant: our stored messages and the remote's echo of them give the same fingerprint.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from creatify_textgen.remote.contract import CONFIG

__all__ = ["fingerprint", "media_digests", "request_hash"]

# Ours never nest so deep (see `reading.MAX_DEPTH`): what lies below cannot be an echo of ours.
_LEVELS = 70
_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode
_EMPTY: tuple[Any, ...] = (None, "", [], {})


def fingerprint(model_name: Any, messages: Any, system_instruction: Any, config: Any) -> str:
    """Return the SHA-256, in hex, of what the remote echoes of a request.

    Blind to what an echo may change: key order, nulls, defaults written out, `0.80` for `0.8`,
    whitespace trimmed at the ends of texts, media without their bytes (see `media_digests`).
    """
    echoed = [
        _trimmed(model_name),
        _messages(messages),
        _trimmed(system_instruction or ""),
        _config(config),
    ]
    return hashlib.sha256(_encode(echoed).encode()).hexdigest()


def request_hash(request: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a whole accepted request, exactly; key order alone does not count."""
    return hashlib.sha256(_encode(request).encode()).hexdigest()


def media_digests(messages: Any) -> list[str | None]:
    """Return the SHA-256 of each image and video in their order, None where it is not known."""
    return [
        digest if isinstance(digest := part.get("sha256"), str) else None
        for message in _mappings(messages)
        for part in _mappings(message.get("content"))
        if part.get("type") != "text"
    ]


def _mappings(value: Any) -> list[Mapping[str, Any]]:
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []


def _messages(value: Any) -> Any:
    if not isinstance(value, list | tuple):
        return _canonical(value, _LEVELS)
    return [_message(item) if isinstance(item, Mapping) else None for item in value]


def _message(message: Mapping[str, Any]) -> dict[str, Any]:
    canonical = {"role": _trimmed(message.get("role"))}
    content = _content(message.get("content"))
    if content not in _EMPTY:
        canonical["content"] = content
    for field, argument in (("function_call", "args"), ("function_response", "response")):
        value = message.get(field)
        if value and isinstance(value, Mapping):
            arguments = _canonical(value.get(argument) or {}, _LEVELS)
            canonical[field] = [_trimmed(value.get("name")), arguments]
    return canonical


def _content(value: Any) -> Any:
    if not isinstance(value, list):
        return _trimmed(value)
    parts = [_part(part) if isinstance(part, Mapping) else None for part in value]
    # One part of text is the same request as a plain string.
    return parts[0] if len(parts) == 1 and isinstance(parts[0], str) else parts


def _part(part: Mapping[str, Any]) -> Any:
    if part.get("type") == "text":
        return _trimmed(part.get("text"))
    return [_trimmed(part.get("type")), _trimmed(part.get("mime_type"))]


def _config(value: Any) -> Any:
    if not isinstance(value, Mapping):
        return {}
    config = {
        key: _canonical(value[key], _LEVELS)
        for key in CONFIG
        if value.get(key) is not None and value[key] not in _EMPTY
    }
    # Written out by the remote or not: the default, and what a schema brings with it.
    if "response_json_schema" in config or config.get("response_mime_type") == "text/plain":
        config.pop("response_mime_type", None)
    return config


def _trimmed(value: Any) -> Any:
    # Serializers of the remote's kind trim texts unless told not to.
    return value.strip() if isinstance(value, str) else _canonical(value, _LEVELS)


def _canonical(value: Any, levels: int) -> Any:
    if isinstance(value, str):
        return value.strip()
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int | float | Decimal):
        return _number(value)
    if not levels:
        return None
    if isinstance(value, Mapping):
        return {
            str(key): _canonical(item, levels - 1)
            for key, item in value.items()
            if item is not None
        }
    if isinstance(value, list | tuple):
        return [_canonical(item, levels - 1) for item in value]
    return str(value)


def _number(value: float | Decimal) -> str:
    try:
        return repr(float(value) + 0.0)  # 1, 1.0 and 1.00 alike, and no minus before zero
    except (OverflowError, ValueError):
        return "beyond every float"
