"""Generations as JSON: answers, answers of the older endpoint, webhook payloads.

Pure. Has the quirks of the contract's section 4: UTC offsets, nulls, a fixed `updated_at`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from creatify_textgen.emulator.faults.echoes import changed_echo
from creatify_textgen.emulator.faults.switches import Settings
from creatify_textgen.emulator.requests.media import Media

from .state import RemoteGeneration

__all__ = ["echo_of", "render_generation", "render_payload"]

PACIFIC = timezone(timedelta(hours=-8))
# Seen in answers of the API: updated_at is this much later than created_at and never changes.
UPDATED_AFTER = timedelta(milliseconds=22)
SIBLING_WORDS = {"pending": "in_queue", "running": "generating", "failed": "rejected"}


def echo_of(body: Mapping[str, Any], *, settings: Settings) -> dict[str, Any]:
    """Return the fields of a request that every answer repeats, changed as the switches say."""
    echo = {
        "model_name": body["model_name"],
        "messages": [_echo_message(each, settings=settings) for each in body["messages"]],
        "system_instruction": body.get("system_instruction", ""),
        "config": body.get("config", {}),
    }
    return changed_echo(echo, changes=settings.echo_changes)


def render_generation(
    generation: RemoteGeneration, *, settings: Settings, legacy: bool = False
) -> dict[str, Any]:
    """Return a `TextGenResponse`; the older endpoint's (`legacy`) has no function calls."""
    rendered = {
        "id": generation.id,
        **generation.echo,
        "status": _status_word(generation.status, settings=settings),
        "response_text": _text(generation.response_text, settings=settings),
        "response_function_calls": generation.response_function_calls,
        "failed_reason": _text(generation.failed_reason, settings=settings),
        "credits_used": generation.credits_used,
        "created_at": _timestamp(generation.created_at, settings=settings),
        "updated_at": _timestamp(generation.created_at + UPDATED_AFTER, settings=settings),
    }
    # The older endpoint knows no function calls (contract, section 1).
    if legacy:
        del rendered["response_function_calls"]
    return rendered


def render_payload(generation: RemoteGeneration, *, status: str = "") -> dict[str, Any]:
    """Return a webhook's payload; with `status`, the payload of that earlier status."""
    # The settings of the create: a delivery has no request whose settings it could follow.
    settings = generation.settings
    early = bool(status) and status != generation.status
    return {
        "id": generation.id,
        "status": _status_word(status or generation.status, settings=settings),
        "response_text": "" if early else _text(generation.response_text, settings=settings),
        "response_function_calls": [] if early else generation.response_function_calls,
        "failed_reason": "" if early else _text(generation.failed_reason, settings=settings),
        "credits_used": 0 if early else generation.credits_used,
    }


def _echo_message(message: Mapping[str, Any], *, settings: Settings) -> dict[str, Any]:
    content = message.get("content", "")
    if isinstance(content, list):
        content = [_echo_part(part, settings=settings) for part in content]
    return {**message, "content": content}


def _echo_part(part: Mapping[str, Any], *, settings: Settings) -> dict[str, Any]:
    # Whether media are echoed is unknown (contract, section 4). By default only their type is.
    media = part.get("data")
    if not isinstance(media, Media):
        return dict(part)
    if settings.media_echo == "full":
        return {**part, "data": media.encoded}
    return {name: value for name, value in part.items() if name != "data"}


def _status_word(status: str, *, settings: Settings) -> str:
    return SIBLING_WORDS.get(status, status) if settings.status_words == "sibling" else status


def _text(text: str, *, settings: Settings) -> str | None:
    return None if settings.null_style == "null" and not text else text


def _timestamp(moment: datetime, *, settings: Settings) -> str:
    if settings.timestamps == "z":
        return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    zone = PACIFIC if settings.timestamps == "pacific" else UTC
    return moment.astimezone(zone).isoformat(timespec="microseconds")
