"""Hashes that recognize a request: in the remote's list, and if a client sends it again.

What is saved is keyed with `SECRET_KEY`, so that without the key nobody can confirm a guess. A
hash under a key that is lost matches nothing: nothing is adopted by it, and no absence is proved.
Never raises for any JSON, because entries of the remote's list are hashed here too.
Invariant: our messages and the remote's echo of them have the same fingerprint.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.utils.crypto import salted_hmac

from creatify_textgen.exceptions import RequestError
from creatify_textgen.remote.contract import CONFIG

__all__ = [
    "fingerprint",
    "fingerprints",
    "key_digest",
    "media_digests",
    "request_hash",
    "sealed",
    "texts_digest",
]

SALT = "creatify_textgen.fingerprint"
LONGEST_KEY = 255

# Our requests never nest so deep (see `reading.MAX_DEPTH`), so deeper values cannot be an echo.
# The limit keeps a hostile answer from exhausting Python's stack.
_LEVELS = 70
_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode
_EMPTY: tuple[Any, ...] = (None, "", [], {})


def fingerprint(model_name: Any, messages: Any, system_instruction: Any, config: Any) -> str:
    """Return a keyed hash, in hex, of the parts of a request that the remote's list shows.

    It ignores what an echo may change: the order of keys, nulls, defaults that are written out,
    `0.80` for `0.8`, whitespace at the ends of texts. It also ignores the bytes of media; compare
    these by `media_digests`.
    """
    return fingerprints(model_name, messages, system_instruction, config)[0]


def fingerprints(
    model_name: Any, messages: Any, system_instruction: Any, config: Any
) -> tuple[str, ...]:
    """Return the fingerprint under today's key, then those under each key that was rotated out."""
    return sealed(_digest(model_name, messages, system_instruction, config))


def texts_digest(messages: Any, system_instruction: Any) -> str:
    """Return a hash of the texts alone, to compare in memory. It has no key: never save it."""
    return _digest("", messages, system_instruction, {})


def key_digest(key: Any, *, scope: str) -> str:
    """Return a hash of an idempotency key within its scope. Raises: RequestError."""
    if not isinstance(key, str) or not key.isprintable() or not 0 < len(key) <= LONGEST_KEY:
        text = f"must be 1 to {LONGEST_KEY} printable characters"
        raise RequestError(f"Idempotency-Key {text}.", errors={"Idempotency-Key": [text]})
    return hashlib.sha256(f"{scope}\x1f{key}".encode()).hexdigest()


def sealed(digest: str) -> tuple[str, ...]:
    """Return keyed hashes of this one, in hex: under today's key, then under the older ones."""
    keys = (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)
    return tuple(
        salted_hmac(SALT, digest, secret=key, algorithm="sha256").hexdigest() for key in keys
    )


def _digest(model_name: Any, messages: Any, system_instruction: Any, config: Any) -> str:
    echoed = [
        _trimmed(model_name),
        _messages(messages),
        _trimmed(system_instruction or ""),
        _config(config),
    ]
    return hashlib.sha256(_encode(echoed).encode()).hexdigest()


def request_hash(request: Mapping[str, Any]) -> str:
    """Return a hash of a whole accepted request, in which the order of keys is ignored.

    It has no key: seal it before it is saved.
    """
    return hashlib.sha256(_encode(request).encode()).hexdigest()


def media_digests(messages: Any) -> list[str | None]:
    """Return the SHA-256 of each image and video in order; None if it is not known."""
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
    # The remote may or may not write this key out: its default, and the one a schema implies.
    if "response_json_schema" in config or config.get("response_mime_type") == "text/plain":
        config.pop("response_mime_type", None)
    return config


def _trimmed(value: Any) -> Any:
    # DRF trims texts by default, and the remote uses DRF (contract, section 1, by its error texts).
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
        return repr(float(value) + 0.0)  # The same text for 1, 1.0 and 1.00, and for -0.0 and 0.0.
    except (OverflowError, ValueError):  # An int above every float; a signalling NaN.
        return "beyond every float"
