"""Chunks in the form of Gemini as dictionaries, in camelCase or as the Python SDK dumps them.

Pure (contract, section 6.3). `streams` puts together the text, the parts and the faults.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC
from typing import Any

from creatify_textgen.emulator.model.answers import Usage

from .state import RemoteGeneration

__all__ = ["ChunkWriter", "text_part"]

# What the SDK's model_dump writes for fields that are not set.
SNAKE_CHUNK = dict.fromkeys(
    (
        "sdk_http_response", "candidates", "create_time", "model_version", "prompt_feedback",
        "response_id", "usage_metadata", "automatic_function_calling_history", "parsed",
    )
)  # fmt: skip
SNAKE_CANDIDATE = dict.fromkeys(
    (
        "content", "citation_metadata", "finish_message", "token_count", "finish_reason",
        "url_context_metadata", "avg_logprobs", "grounding_metadata", "index", "logprobs_result",
        "safety_ratings",
    )
)  # fmt: skip
SNAKE_PART = dict.fromkeys(
    (
        "video_metadata", "thought", "inline_data", "file_data", "thought_signature",
        "function_call", "code_execution_result", "executable_code", "function_response", "text",
    )
)  # fmt: skip
# Their keys belong to somebody else: to the declared function, or to Creatify.
OPAQUE = frozenset({"args", "creatify"})
CAPITAL = re.compile(r"(?<!^)([A-Z])")


def text_part(text: str, **more: Any) -> dict[str, Any]:
    return {"text": text, **more}


def call_part(call: Mapping[str, Any]) -> dict[str, Any]:
    """Return a call as Gemini streams it: its signature is beside it."""
    bare = {name: value for name, value in call.items() if name != "thought_signature"}
    signature = call.get("thought_signature")
    return {"functionCall": bare, **({"thoughtSignature": signature} if signature else {})}


class ChunkWriter:
    """Builds the chunks of one stream."""

    def __init__(self, generation: RemoteGeneration) -> None:
        settings = generation.settings
        self._generation = generation
        self._snake = settings.stream_keys == "snake"
        self._vertex = settings.stream_usage == "vertex"
        self._usage = generation.answer.usage
        self._identity = {
            "modelVersion": _answering(generation),
            "responseId": generation.id.replace("-", "")[:22],
        }
        # Of the two back ends only Vertex sends it (contract, section 6.3).
        if self._vertex:
            created = generation.created_at.astimezone(UTC)
            self._identity["createTime"] = created.strftime("%Y-%m-%dT%H:%M:%S.%fZ")

    def chunk(
        self,
        parts: list[dict[str, Any]] | None,
        *,
        finish_reason: str = "",
        final: bool = False,
        bare: bool = False,
        **more: Any,
    ) -> dict[str, Any]:
        """Return a chunk with one candidate; `bare` leaves out its content."""
        candidate: dict[str, Any] = {}
        if not bare:
            candidate["content"] = {"role": "model", **({"parts": parts} if parts else {})}
        if finish_reason:
            candidate["finishReason"] = finish_reason
        candidate |= more
        # A recorded stream of Vertex has no index (contract, section 6.3).
        if not self._vertex:
            candidate["index"] = 0
        return self._finish({"candidates": [candidate], "usageMetadata": self._counts(final=final)})

    def blocked(self, reason: str) -> dict[str, Any]:
        """Return the only chunk of a prompt that was blocked."""
        counts = {
            "promptTokenCount": self._usage.prompt,
            "totalTokenCount": self._usage.prompt,
        }
        return self._finish({"promptFeedback": {"blockReason": reason}, "usageMetadata": counts})

    def _finish(self, chunk: dict[str, Any]) -> dict[str, Any]:
        whole = {**chunk, **self._identity}
        return to_snake(whole) if self._snake else whole

    def _counts(self, *, final: bool) -> dict[str, Any]:
        usage = self._usage
        if final:
            return final_counts(usage) | ({"trafficType": "ON_DEMAND"} if self._vertex else {})
        if self._vertex:
            return {"trafficType": "ON_DEMAND"}
        return {"promptTokenCount": usage.prompt, "totalTokenCount": usage.prompt}


def _answering(generation: RemoteGeneration) -> str:
    """Return the model that answers: the one that was asked for, unless it is rerouted."""
    settings, asked = generation.settings, str(generation.request["model_name"])
    routes = dict(pair.split(":", 1) for pair in settings.rerouted_models)
    return settings.model_version or routes.get(asked, asked)


def final_counts(usage: Usage) -> dict[str, Any]:
    counts: dict[str, Any] = {
        "promptTokenCount": usage.prompt,
        "candidatesTokenCount": usage.candidates,
        "totalTokenCount": usage.total,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": usage.prompt}],
    }
    # Thoughts are counted apart from candidates, and are in the total (contract, section 6.3).
    if usage.thoughts:
        counts["thoughtsTokenCount"] = usage.thoughts
    return counts


def to_snake(chunk: Mapping[str, Any]) -> dict[str, Any]:
    """Return the chunk as `model_dump(mode="json")` writes it: in snake_case, with nulls."""
    snake: dict[str, Any] = _rename(chunk)
    for candidate in snake.get("candidates", []):
        content = candidate.get("content")
        if content and "parts" in content:
            content["parts"] = [{**SNAKE_PART, **part} for part in content["parts"]]
    if "candidates" in snake:
        snake["candidates"] = [{**SNAKE_CANDIDATE, **each} for each in snake["candidates"]]
    return {**SNAKE_CHUNK, **snake}


def _rename(value: Any) -> Any:
    if isinstance(value, list):
        return [_rename(item) for item in value]
    if not isinstance(value, Mapping):
        return value
    return {
        CAPITAL.sub(r"_\1", name).lower(): item if name in OPAQUE else _rename(item)
        for name, item in value.items()
    }
