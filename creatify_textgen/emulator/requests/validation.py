"""Checks a request strictly by section 3 of the contract; says what is wrong, and where.

Pure. Media arrive as `Media`, without their bytes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from creatify_textgen.emulator.faults.switches import Settings

from .calls import check_calls
from .media import Media
from .schema_validation import check_schema
from .tool_validation import check_tools

__all__ = ["Problem", "check_request"]

MODELS = (
    "gemini-2.5-flash",
    "gemini-2.5-pro",
    "gemini-3-flash-preview",
    "gemini-3.1-pro-preview",
    "gemini-3.1-flash-lite-preview",
)
KNOWS_MODEL: dict[str, Callable[[str], bool]] = {
    "any": lambda name: True,
    "gemini": lambda name: name.startswith("gemini-"),
    "listed": lambda name: name in MODELS,
}
FIELDS = {
    "model_name": str, "messages": list, "system_instruction": str, "config": dict, "tools": list,
    "tool_config": dict, "webhook_url": str, "sync": bool,
}  # fmt: skip
LEGACY_FIELDS = ("model_name", "messages", "system_instruction", "config", "webhook_url")
TYPE_WORDS = {str: "a string", list: "an array", dict: "an object", bool: "a boolean"}
MESSAGE_KEYS = ("role", "content", "function_call", "function_response")
MODEL_NAME_LIMIT = 255
# Documented for sibling endpoints, and the default of Django's `URLField` (contract, section 3).
WEBHOOK_URL_LIMIT = 200
MIME_TYPES = {
    "image": ("image/jpeg", "image/png", "image/gif", "image/webp"),
    "video": (
        "video/mp4", "video/mpeg", "video/mov", "video/avi", "video/webm", "video/quicktime",
        "video/x-flv", "video/mpg", "video/wmv", "video/3gpp",
    ),
}  # fmt: skip
# Whether they apply to decoded or encoded bytes is unknown: the switch `media_size` decides.
SIZE_LIMITS = {"image": 20 * 1024 * 1024, "video": 100 * 1024 * 1024}
NUMBERS = {
    "temperature": (0.0, 2.0),
    "top_p": (0.0, 1.0),
    "presence_penalty": (-2.0, 2.0),
    "frequency_penalty": (-2.0, 2.0),
}
INTEGERS = {"max_output_tokens": 1, "top_k": 1, "seed": None}
OTHER_CONFIG = ("stop_sequences", "response_mime_type", "response_json_schema")
RESPONSE_MIME_TYPES = ("text/plain", "application/json")
# Gemini's limit; Creatify documents none.
STOP_SEQUENCES_LIMIT = 5


class Problem(NamedTuple):
    """One thing wrong with a request."""

    path: str
    text: str
    kind: str = "invalid"
    """`range` if the type is right and the value is out of bounds."""


def check_request(
    body: Any, *, settings: Settings, legacy: bool = False, streaming: bool = False
) -> list[Problem]:
    """Return everything that is wrong with the body of a create, or an empty list."""
    if not isinstance(body, Mapping):
        return [Problem("", "The body must be a JSON object.")]
    known = LEGACY_FIELDS if legacy else tuple(FIELDS)
    ignored = ("sync", "webhook_url") if streaming else ()
    problems = list(_check_fields(body, known=known, ignored=ignored))
    # The checks below rely on the types of the fields.
    if not problems:
        problems += _check_contents(body, settings=settings, legacy=legacy, streaming=streaming)
    if settings.unknown_fields == "refuse":
        problems += _check_unknown(body, path="", known=tuple(FIELDS))
    return problems


def _check_fields(
    body: Mapping[str, Any], *, known: tuple[str, ...], ignored: tuple[str, ...]
) -> Iterator[Problem]:
    for name in ("model_name", "messages"):
        if name not in body:
            yield Problem(name, "This field is required.")
    for name in known:
        if name in body and name not in ignored and not isinstance(body[name], FIELDS[name]):
            yield Problem(name, f"Must be {TYPE_WORDS[FIELDS[name]]}.")


def _check_contents(
    body: Mapping[str, Any], *, settings: Settings, legacy: bool, streaming: bool
) -> Iterator[Problem]:
    yield from _check_model(body["model_name"], settings=settings)
    if not body["messages"]:
        yield Problem("messages", "This list may not be empty.")
    for index, message in enumerate(body["messages"]):
        path = f"messages[{index}]"
        yield from _check_message(message, path=path, settings=settings, legacy=legacy)
    if all(isinstance(message, Mapping) for message in body["messages"]):
        for path, text in check_calls(body["messages"], settings=settings):
            yield Problem(path, text)
    yield from _check_config(body.get("config", {}), settings=settings)
    if not streaming:
        yield from _check_webhook_url(body.get("webhook_url", ""))
    if not legacy:
        for path, text in check_tools(body.get("tools", []), config=body.get("tool_config")):
            yield Problem(path, text)


def _check_unknown(
    value: Mapping[str, Any], *, path: str, known: tuple[str, ...]
) -> Iterator[Problem]:
    for name in value:
        if name not in known:
            yield Problem(f"{path}.{name}" if path else name, "Unknown field.")


def _check_model(name: str, *, settings: Settings) -> Iterator[Problem]:
    if not name:
        yield Problem("model_name", "This field may not be blank.")
    elif len(name) > MODEL_NAME_LIMIT:
        yield Problem("model_name", f"Ensure this has no more than {MODEL_NAME_LIMIT} characters.")
    # The words of Creatify's asset generator for an unknown model (contract, section 2.3).
    elif name == settings.retired_model or not KNOWS_MODEL[settings.models](name):
        yield Problem("model_name", "AI model not found")


def _check_message(
    message: Any, *, path: str, settings: Settings, legacy: bool
) -> Iterator[Problem]:
    if not isinstance(message, Mapping):
        yield Problem(path, "Must be an object.")
        return
    if message.get("role") not in ("user", "model"):
        yield Problem(f"{path}.role", 'Must be "user" or "model".')
    if settings.unknown_fields == "refuse":
        yield from _check_unknown(message, path=path, known=MESSAGE_KEYS)
    # The default "" lets a message of a function have no content (contract, section 3.1).
    content = message.get("content", "")
    if legacy and not isinstance(message.get("content"), str):
        yield Problem(f"{path}.content", "Must be a string.")
    elif isinstance(content, list):
        yield from _check_parts(content, path=f"{path}.content", settings=settings)
    elif not isinstance(content, str):
        yield Problem(f"{path}.content", "Must be a string or a list of parts.")
    yield from _check_function(message, path=path, key="function_call", role="model", of="args")
    yield from _check_function(
        message, path=path, key="function_response", role="user", of="response"
    )


def _check_function(
    message: Mapping[str, Any], *, path: str, key: str, role: str, of: str
) -> Iterator[Problem]:
    if key not in message:
        return
    value = message[key]
    if not isinstance(value, Mapping):
        yield Problem(f"{path}.{key}", "Must be an object.")
        return
    if message.get("role") != role:
        yield Problem(f"{path}.{key}", f'Belongs on a message of role "{role}".')
    if not isinstance(value.get("name"), str) or not value["name"]:
        yield Problem(f"{path}.{key}.name", "Must be a string that is not empty.")
    if not isinstance(value.get(of), Mapping):
        yield Problem(f"{path}.{key}.{of}", "Must be an object.")


def _check_parts(parts: list[Any], *, path: str, settings: Settings) -> Iterator[Problem]:
    if not parts:
        yield Problem(path, "This list may not be empty.")
    for index, part in enumerate(parts):
        where = f"{path}[{index}]"
        kind = part.get("type") if isinstance(part, Mapping) else None
        if kind == "text":
            if not isinstance(part.get("text"), str):
                yield Problem(f"{where}.text", "Must be a string.")
        elif kind in ("image", "video"):
            yield from _check_media(part, kind=kind, path=where, settings=settings)
        else:
            yield Problem(f"{where}.type", 'Must be "text", "image" or "video".')


def _check_media(
    part: Mapping[str, Any], *, kind: str, path: str, settings: Settings
) -> Iterator[Problem]:
    if part.get("mime_type") not in MIME_TYPES[kind]:
        listed = ", ".join(MIME_TYPES[kind])
        yield Problem(f"{path}.mime_type", f"Unsupported {kind} type; use one of {listed}.")
    media = part.get("data")
    if not isinstance(media, Media):
        yield Problem(f"{path}.data", "Must be a string of base64.")
    elif not media.valid:
        yield Problem(f"{path}.data", "Not valid base64.")
    elif not media.size:
        yield Problem(f"{path}.data", "The file is empty.")
    else:
        size = media.size if settings.media_size == "decoded" else media.encoded_size
        if size > SIZE_LIMITS[kind]:
            most = SIZE_LIMITS[kind] // 1024**2
            yield Problem(f"{path}.data", f"The {kind} is larger than {most} MB.")


def _check_config(config: Mapping[str, Any], *, settings: Settings) -> Iterator[Problem]:
    for name, (low, high) in NUMBERS.items():
        if name in config:
            yield from _check_number(config[name], name=name, low=low, high=high)
    for name, least in INTEGERS.items():
        if name in config:
            yield from _check_integer(config[name], name=name, least=least)
    yield from _check_stop_sequences(config.get("stop_sequences", []))
    if config.get("response_mime_type", "text/plain") not in RESPONSE_MIME_TYPES:
        yield Problem("config.response_mime_type", f"Must be one of {RESPONSE_MIME_TYPES}.")
    schema = config.get("response_json_schema", {})
    for path, text in check_schema(schema, path="config.response_json_schema"):
        yield Problem(path, text)
    if settings.unknown_fields == "refuse":
        known = (*NUMBERS, *INTEGERS, *OTHER_CONFIG)
        yield from _check_unknown(config, path="config", known=known)


def _check_number(value: Any, *, name: str, low: float, high: float) -> Iterator[Problem]:
    # In Python `True` is the integer 1, and in JSON it is no number.
    if isinstance(value, bool) or not isinstance(value, int | float):
        yield Problem(f"config.{name}", "Must be a number.")
    elif not low <= value <= high:
        yield Problem(f"config.{name}", f"Must be between {low} and {high}.", "range")


def _check_integer(value: Any, *, name: str, least: int | None) -> Iterator[Problem]:
    if isinstance(value, bool) or not isinstance(value, int):
        yield Problem(f"config.{name}", "Must be an integer.")
    elif least is not None and value < least:
        yield Problem(f"config.{name}", f"Must be {least} or more.", "range")


def _check_stop_sequences(value: Any) -> Iterator[Problem]:
    path = "config.stop_sequences"
    if not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
        yield Problem(path, "Must be an array of strings that are not empty.")
    elif len(value) > STOP_SEQUENCES_LIMIT:
        yield Problem(path, f"No more than {STOP_SEQUENCES_LIMIT}.", "range")


def _check_webhook_url(url: str) -> Iterator[Problem]:
    if not url:
        return
    if len(url) > WEBHOOK_URL_LIMIT:
        yield Problem(
            "webhook_url", f"Ensure this has no more than {WEBHOOK_URL_LIMIT} characters."
        )
    elif not _is_web_address(url):
        yield Problem("webhook_url", "Enter a valid URL.")


def _is_web_address(url: str) -> bool:
    if re.search(r"[\s\x00-\x20\x7f]", url):
        return False
    # `urlsplit` raises for a bad IPv6 address, and `.port` for one that is no number.
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
