"""Changes to the fields that an answer repeats from its request (contract, section 11, 26a).

Pure. Each change leaves the meaning of the request as it was, or leaves something out, as a
server may that stores a request in its own form.
"""

from __future__ import annotations

import base64
import hashlib
import struct
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from typing import Any

__all__ = ["changed_echo"]

Echo = dict[str, Any]

# What Gemini uses for an unset value; a server may write it out.
CONFIG_DEFAULTS = {"temperature": 1.0, "top_p": 0.95, "candidate_count": 1}
REROUTED = {
    # Where Google routes the retired names (contract, section 9; read in November 2026).
    "gemini-2.5-flash": "gemini-3.5-flash-lite",
    "gemini-2.5-pro": "gemini-3.8-flash",
    "gemini-3.1-flash-lite-preview": "gemini-3.1-flash-lite",
}
REENCODED_TYPES = {"image": "image/webp", "video": "video/mp4"}


def changed_echo(echo: Mapping[str, Any], *, changes: Sequence[str]) -> Echo:
    """Return a copy of an echo with the named changes, in the order of `CHANGES`."""
    changed = dict(echo)
    for name, change in CHANGES.items():
        if name in changes:
            changed = change(changed)
    return changed


def _with_defaults(echo: Echo) -> Echo:
    return {**echo, "config": {**CONFIG_DEFAULTS, **echo["config"]}}


def _with_rounded_numbers(echo: Echo) -> Echo:
    return {**echo, "config": _mapped(echo["config"], _as_float32)}


def _with_normal_text(echo: Echo) -> Echo:
    parts = {name: _mapped(echo[name], _normalized) for name in ("messages", "system_instruction")}
    return {**echo, **parts}


def _with_other_media(echo: Echo) -> Echo:
    return {**echo, "messages": [_reencoded_message(message) for message in echo["messages"]]}


def _with_other_model(echo: Echo) -> Echo:
    name = echo["model_name"]
    return {**echo, "model_name": REROUTED.get(name, f"{name}-001")}


def _with_other_key_order(echo: Echo) -> Echo:
    reordered: Echo = _reversed_keys(echo)
    return reordered


def _without_messages(echo: Echo) -> Echo:
    return {name: value for name, value in echo.items() if name != "messages"}


def _with_empty_messages(echo: Echo) -> Echo:
    return {**echo, "messages": []}


def _without_system_instruction(echo: Echo) -> Echo:
    return {**echo, "system_instruction": ""}


def _without_config(echo: Echo) -> Echo:
    return {**echo, "config": {}}


CHANGES: dict[str, Callable[[Echo], Echo]] = {
    "config_defaults": _with_defaults,
    "config_rounded": _with_rounded_numbers,
    "config_missing": _without_config,
    "text_normalized": _with_normal_text,
    "media_reencoded": _with_other_media,
    "model_renamed": _with_other_model,
    "keys_reordered": _with_other_key_order,
    "system_instruction_missing": _without_system_instruction,
    "messages_empty": _with_empty_messages,
    "messages_missing": _without_messages,
}


def _mapped(value: Any, change: Callable[[Any], Any]) -> Any:
    """Return a copy of a JSON value with `change` applied to everything that holds no other."""
    if isinstance(value, Mapping):
        return {name: _mapped(item, change) for name, item in value.items()}
    if isinstance(value, list):
        return [_mapped(item, change) for item in value]
    return change(value)


def _as_float32(value: Any) -> Any:
    # As a number that passed through a protocol buffer's `float`: 0.2 becomes 0.20000000298….
    return struct.unpack("f", struct.pack("f", value))[0] if isinstance(value, float) else value


def _normalized(value: Any) -> Any:
    return " ".join(unicodedata.normalize("NFKC", value).split()) if _is_text(value) else value


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _reencoded_message(message: Mapping[str, Any]) -> dict[str, Any]:
    content = message.get("content")
    if isinstance(content, list):
        return {**message, "content": [_reencoded_part(part) for part in content]}
    return dict(message)


def _reencoded_part(part: Mapping[str, Any]) -> dict[str, Any]:
    if part.get("type") not in REENCODED_TYPES:
        return dict(part)
    changed = {**part, "mime_type": REENCODED_TYPES[part["type"]]}
    if isinstance(part.get("data"), str):
        # Bytes that depend on the original and share nothing with it: no hash of them can match.
        digest = hashlib.sha256(part["data"].encode()).digest()
        changed["data"] = base64.b64encode(b"RIFF" + digest).decode()
    return changed


def _reversed_keys(value: Any) -> Any:
    # PostgreSQL's jsonb does not keep the order of keys either (datatype-json).
    if isinstance(value, Mapping):
        return {name: _reversed_keys(value[name]) for name in sorted(value, reverse=True)}
    if isinstance(value, list):
        return [_reversed_keys(item) for item in value]
    return value
