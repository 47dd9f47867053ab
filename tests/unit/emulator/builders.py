"""Requests and generations for the emulator's unit tests."""

from __future__ import annotations

import base64
import struct
from datetime import UTC, datetime
from typing import Any

from creatify_textgen.emulator.api.rendering import echo_of
from creatify_textgen.emulator.api.state import RemoteGeneration
from creatify_textgen.emulator.faults.switchboard import Switchboard
from creatify_textgen.emulator.faults.switches import Settings
from creatify_textgen.emulator.model.answers import compose
from creatify_textgen.emulator.requests.media import Media, MediaReader

GENERATION_ID = "a1b2c3d4-5678-90ab-cdef-1234567890ab"
CREATED_AT = datetime(2026, 11, 22, 17, 0, 0, 123456, tzinfo=UTC)
PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + struct.pack(">II", 10, 20) + b"\x08\x06" * 160
WEATHER = {
    "name": "get_weather",
    "description": "Get the current weather for a given location.",
    "parameters": {
        "type": "object",
        "properties": {"location": {"type": "string", "description": "City name"}},
        "required": ["location"],
    },
}


def settings_with(**switches: Any) -> Settings:
    return Switchboard(**switches).settings


def request_with(content: Any = "Write a tagline.", **fields: Any) -> dict[str, Any]:
    messages = [{"role": "user", "content": content}]
    return {"model_name": "gemini-2.5-flash", "messages": messages, **fields}


def weather_request(**fields: Any) -> dict[str, Any]:
    fields.setdefault("tools", [{"function_declarations": [WEATHER]}])
    return request_with("What is the weather in San Francisco?", **fields)


def media_of(content: bytes) -> Media:
    reader = MediaReader()
    reader.feed(base64.b64encode(content))
    return reader.finish()


def generation_with(
    request: dict[str, Any] | None = None, *, mode: str = "async", status: str = "", **switches: Any
) -> RemoteGeneration:
    """Return a generation, finished with its answer if the status is done."""
    settings = settings_with(**switches)
    asked = request or request_with()
    generation = RemoteGeneration(
        id=GENERATION_ID,
        workspace="one:key",
        mode=mode,
        request=asked,
        settings=settings,
        answer=compose(asked, settings=settings),
        echo=echo_of(asked, settings=settings),
        created_at=CREATED_AT,
        status=status or "pending",
    )
    if status == "done":
        generation.response_text = generation.answer.text
        generation.response_function_calls = generation.answer.function_calls
    return generation
