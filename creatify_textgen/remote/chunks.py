"""Chunks of a stream: Gemini's answers as Creatify relays them (section 6.3).

Pure: text in, values out. Invariant: whatever a chunk holds, reading it raises nothing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from creatify_textgen.exceptions import ContractError
from creatify_textgen.remote import wire
from creatify_textgen.remote.contract import Receipt

_CODE = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
_FIRST_CAPITAL = re.compile(r"(?<=[a-z0-9])([A-Z])")
_UNNAMED_ERROR = "remote_failed"


class ChunkFailure(NamedTuple):
    """An error that the remote reports inside a stream."""

    code: str
    """Gemini's word (`UNAVAILABLE`) where there is one, else `remote_failed`."""
    message: str
    """The remote's own text; may hold anything."""


class Chunk:
    """One event of a stream; everything but `raw` is read from it when asked for.

    Keys are accepted in camelCase and snake_case, nulls everywhere (section 11, row 6).
    """

    __slots__ = ("_answer", "_event_name", "_text", "raw")

    def __init__(self, raw: str, answer: Mapping[str, Any], event_name: str) -> None:
        self.raw = raw
        """The event's JSON text, untouched but for what is no JSON."""
        self._answer = answer
        self._event_name = event_name
        self._text: str | None = None

    def __repr__(self) -> str:
        return f"<Chunk of {len(self.raw)} characters>"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Chunk):
            return NotImplemented
        return (self.raw, self._event_name) == (other.raw, other._event_name)

    def __hash__(self) -> int:
        return hash(self.raw)

    @property
    def text(self) -> str:
        """The next piece of the answer, without thoughts."""
        # Kept, because the pump reads it, and so does a reader in the same process.
        if self._text is None:
            self._text = self._joined_texts(thoughts=False)
        return self._text

    @property
    def thoughts(self) -> str:
        """The next piece of the model's reasoning, which is no part of the answer."""
        return self._joined_texts(thoughts=True)

    @property
    def function_calls(self) -> list[dict[str, Any]]:
        """`[{"name": …, "args": {…}}]`, each whole."""
        calls = [_either(part, "functionCall", "function_call") for part in self._parts()]
        return [wire.function_call(call) for call in calls if isinstance(call, dict)]

    @property
    def finish_reason(self) -> str:
        """Gemini's word (`STOP`, `MAX_TOKENS`, …, an open set), or empty. Not an end marker."""
        return wire.text(_either(self._candidate(), "finishReason", "finish_reason"))

    @property
    def has_candidates(self) -> bool:
        """Whether it says anything of an answer."""
        return bool(self._answer.get("candidates"))

    @property
    def has_finished(self) -> bool:
        """Whether it says why the answer ended."""
        return bool(self.finish_reason or self.block_reason)

    @property
    def block_reason(self) -> str:
        """Why the prompt was blocked (an open set of words), or empty."""
        feedback = wire.mapping(_either(self._answer, "promptFeedback", "prompt_feedback"))
        return wire.text(_either(feedback, "blockReason", "block_reason"))

    @property
    def usage(self) -> dict[str, Any] | None:
        """Token counts so far under snake_case names (`total_token_count`), or None.

        The last chunk that has any counts; they are cumulative (section 6.3).
        """
        found = _snake_keys(wire.plain(_either(self._answer, "usageMetadata", "usage_metadata")))
        counted = isinstance(found, dict) and any(
            key.endswith("token_count") and count is not None for key, count in found.items()
        )
        return found if counted else None

    @property
    def model_version(self) -> str:
        """The model that really answered, or empty."""
        return wire.text(_either(self._answer, "modelVersion", "model_version"))

    @property
    def citations(self) -> list[dict[str, Any]]:
        """Sources the text is close to, as Gemini describes them."""
        metadata = wire.mapping(_either(self._candidate(), "citationMetadata", "citation_metadata"))
        sources = _either(metadata, "citationSources", "citation_sources")
        return wire.objects(wire.plain(metadata.get("citations") or sources))

    @property
    def receipt(self) -> Receipt | None:
        """The `creatify` object, which only the end of a complete stream carries."""
        receipt = self._answer.get("creatify")
        if not isinstance(receipt, dict):
            return None
        remote_id = wire.identifier(receipt.get("id"))
        return Receipt(remote_id, wire.charge(receipt.get("credits_used"))) if remote_id else None

    @property
    def error(self) -> ChunkFailure | None:
        """The error this event is, in any of the forms of section 6.6, or None."""
        error = self._answer.get("error")
        if error:
            return _read_failure(error)
        if self._event_name == "error":
            return _read_failure(self._answer or self.raw)
        return None

    def _joined_texts(self, *, thoughts: bool) -> str:
        parts = self._parts()
        if len(parts) == 1:  # as in nearly every chunk
            part = parts[0]
            return wire.text(part.get("text")) if bool(part.get("thought")) is thoughts else ""
        return "".join(
            [wire.text(part.get("text")) for part in parts if bool(part.get("thought")) is thoughts]
        )

    def _candidate(self) -> Mapping[str, Any]:
        candidates = self._answer.get("candidates")
        if candidates and isinstance(candidates, list) and isinstance(candidates[0], dict):
            return candidates[0]
        return {}

    def _parts(self) -> list[dict[str, Any]]:
        content = self._candidate().get("content")
        return wire.objects(content.get("parts")) if isinstance(content, dict) else []


def parse_chunk(text: str, *, event_name: str = "message") -> Chunk:
    """Return the chunk that an event's data is.

    Raises: `ContractError` where it is no JSON object (an event named `error` may be any text,
    which is then the `error` of an object).
    """
    answer = _read_json(text)
    if answer is None and (mended := _without_constants(text)):
        text, answer = mended, _read_json(mended)
    if isinstance(answer, dict):
        return Chunk(text, answer, event_name)
    # Gemini ends some streams with its error as the one element of an array.
    if isinstance(answer, list) and len(answer) == 1 and isinstance(answer[0], dict):
        return Chunk(text, answer[0], event_name)
    if event_name == "error":
        told = {"error": text}
        return Chunk(json.dumps(told, ensure_ascii=False), told, event_name)
    raise ContractError("An event of the stream is no JSON object.")


def _read_json(text: str) -> Any:
    try:
        answer, end = wire.scan(text, 0)
        # `load` looks for white space around the value, which is rare and costs more than this.
        return answer if end == len(text) else wire.load(text)
    except ValueError:
        pass
    try:
        return wire.load(text)
    except ValueError:
        return None


def _without_constants(text: str) -> str:
    """Return it with null for NaN and infinities, which Python writes and no browser reads."""
    if "NaN" not in text and "Infinity" not in text:
        return ""
    try:
        value = json.loads(text, parse_constant=lambda name: None)
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    except (ValueError, RecursionError):
        return ""


def _read_failure(error: Any) -> ChunkFailure:
    fields = wire.mapping(error)
    message = error if isinstance(error, str) else _either(fields, "message", "detail")
    words = (wire.text(fields.get("status")), wire.text(fields.get("code")))
    code = next((word for word in words if _CODE.fullmatch(word)), _UNNAMED_ERROR)
    return ChunkFailure(code, wire.text(message))


def _either(answer: Mapping[str, Any], camel: str, snake: str) -> Any:
    found = answer.get(camel)
    return answer.get(snake) if found is None else found


def _snake_keys(value: Any) -> Any:
    if isinstance(value, list):
        return [_snake_keys(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        _FIRST_CAPITAL.sub(r"_\1", key).lower(): _snake_keys(item) for key, item in value.items()
    }
