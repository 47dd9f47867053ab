"""The request examples of Creatify's guide, as bodies for our REST API. Data only."""

from __future__ import annotations

from pathlib import Path
from typing import Any

__all__ = [
    "FUNCTION_CALL",
    "FUNCTION_RESPONSE",
    "PICTURE",
    "TAGLINE",
    "TAGLINE_STREAMED",
    "WEATHER",
    "CLIP",
    "picture_request",
    "clip_request",
]

WEATHER = "What is the weather in Rome?"
SAMPLES = Path(__file__).parent / "samples"
PICTURE = SAMPLES / "picture.png"
CLIP = SAMPLES / "clip.mp4"

MODEL = "gemini-3-flash-preview"
SAY_A_TAGLINE = [{"role": "user", "content": "Write a short tagline for an AI video tool."}]
CONFIG = {"temperature": 0.8, "max_output_tokens": 256}
ASK_FOR_WEATHER = {"role": "user", "content": "What is the weather in San Francisco?"}
TOOLS = [
    {
        "function_declarations": [
            {
                "name": "get_weather",
                "description": "Get the current weather for a given location.",
                "parameters": {
                    "type": "object",
                    "properties": {"location": {"type": "string", "description": "City name"}},
                    "required": ["location"],
                },
            }
        ]
    }
]

TAGLINE: dict[str, Any] = {
    "model_name": MODEL,
    "messages": SAY_A_TAGLINE,
    "system_instruction": "You are a creative marketing copywriter.",
    "config": CONFIG,
}
TAGLINE_STREAMED: dict[str, Any] = {
    "model_name": MODEL,
    "messages": SAY_A_TAGLINE,
    "config": CONFIG,
}
FUNCTION_CALL: dict[str, Any] = {
    "model_name": MODEL,
    "messages": [ASK_FOR_WEATHER],
    "tools": TOOLS,
    "tool_config": {"function_calling_config": {"mode": "AUTO"}},
    "sync": True,
}
FUNCTION_RESPONSE: dict[str, Any] = {
    "model_name": MODEL,
    "messages": [
        ASK_FOR_WEATHER,
        {
            "role": "model",
            "function_call": {"name": "get_weather", "args": {"location": "San Francisco"}},
        },
        {
            "role": "user",
            "function_response": {
                "name": "get_weather",
                "response": {"temperature": 62, "condition": "Foggy"},
            },
        },
    ],
    "tools": TOOLS,
    "sync": True,
}


def picture_request(base64_text: str) -> dict[str, Any]:
    """Return a request with an image inside its JSON."""
    image = {"type": "image", "data": base64_text, "mime_type": "image/png"}
    return _about(image, "Describe what you see in this image.")


def clip_request(media_id: str) -> dict[str, Any]:
    """Return a request that refers to an uploaded video."""
    return _about({"type": "video", "media": media_id}, "Describe what happens in this video.")


def _about(part: dict[str, Any], question: str) -> dict[str, Any]:
    content = [part, {"type": "text", "text": question}]
    return {"model_name": MODEL, "messages": [{"role": "user", "content": content}]}
