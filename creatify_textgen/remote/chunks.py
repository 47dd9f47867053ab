"""Chunks of a stream: Gemini's answers as Creatify relays them (section 6.3).

Pure: text in, values out. Invariant: whatever a chunk holds, reading it raises nothing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

from creatify_textgen import remote_ids
from creatify_textgen.exceptions import ContractError
from creatify_textgen.remote import wire
from creatify_textgen.remote.contract import Receipt
from creatify_textgen.remote.event_json import read_event
from creatify_textgen.remote.function_calls import function_call
from creatify_textgen.remote.redaction import redacted_value

_CODE = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
_FIRST_CAPITAL = re.compile(r"(?<=[a-z0-9])([A-Z])")
_HIGH_SURROGATE = re.compile("[\ud800-\udbff]")
_UNNAMED_ERROR = "remote_failed"
_MOST_BRACKETS = 100_000  # In one event. An empty list takes thirty times its two characters.


class ChunkFailure(NamedTuple):
    """An error that the remote reports inside a stream."""

    code: str
    """Gemini's word (`UNAVAILABLE`) if there is one, else `remote_failed`."""
    message: str
    """The remote's own text; it may contain anything."""


class Chunk:
    """One event of a stream. All properties are read from `raw` when they are needed.

    Keys are accepted in camelCase and snake_case, nulls everywhere (section 11, row 6).
    """

    __slots__ = ("_answer", "_event_name", "_text", "raw")

    def __init__(self, raw: str, answer: Mapping[str, Any], event_name: str) -> None:
        self.raw = raw
        """The JSON text of the event, unchanged, except that what is not JSON is replaced."""
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
            self._text = self._plain_text()
        return self._text

    def _plain_text(self) -> str:
        # Nearly every chunk is one part that is text and nothing else. Others are read with care.
        try:
            [part] = self._answer["candidates"][0]["content"]["parts"]
            if len(part) == 1:
                return wire.text(part["text"])
        except (LookupError, TypeError, ValueError):
            pass
        return self._joined_texts(thoughts=False)

    @property
    def thoughts(self) -> str:
        """The next piece of the model's reasoning, which is not part of the answer."""
        return self._joined_texts(thoughts=True)

    @property
    def function_calls(self) -> list[dict[str, Any]]:
        """`[{"name": …, "args": {…}}]`, each whole; with `id` and `thought_signature` if known."""
        return [function_call(part) for part in self._parts() if _calls(part)]

    @property
    def finish_reason(self) -> str:
        """Gemini's word (`STOP`, `MAX_TOKENS`, …, an open set), or empty. Not an end marker."""
        return wire.word(_either(self._candidate(), "finishReason", "finish_reason"))

    @property
    def finish_message(self) -> str:
        """The remote's explanation of the finish, for people; or empty."""
        return wire.text(_either(self._candidate(), "finishMessage", "finish_message"))

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
        reason = wire.word(_either(self._feedback(), "blockReason", "block_reason"))
        # The enum's default, which some serializers write for a prompt that was not blocked.
        return "" if reason.endswith("_UNSPECIFIED") else reason

    @property
    def block_message(self) -> str:
        """The remote's explanation of the block, for people; or empty."""
        return wire.text(_either(self._feedback(), "blockReasonMessage", "block_reason_message"))

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
    def is_plain(self) -> bool:
        """Whether it has neither a receipt nor an error, as nearly every chunk. Cheap."""
        answer = self._answer
        is_error = self._event_name == "error"
        return not is_error and "creatify" not in answer and "error" not in answer

    @property
    def receipt(self) -> Receipt | None:
        """The `creatify` object, which only the end of a complete stream has."""
        receipt = self._answer.get("creatify")
        if not isinstance(receipt, dict):
            return None
        remote_id = remote_ids.identifier(receipt.get("id"))
        if remote_id is None:
            return None
        cost = wire.charge(receipt.get("credits_used"))
        return Receipt(remote_id, cost, id_as_sent=remote_ids.other_form(receipt.get("id")))

    @property
    def error(self) -> ChunkFailure | None:
        """The error in this event, in any of the forms of section 6.6, or None."""
        error = self._answer.get("error")
        if error:
            return _read_failure(error)
        if self._event_name == "error":
            return _read_failure(self._answer or self.raw)
        return None

    def joined(self, halves: dict[bool, str]) -> Chunk:
        """Return the chunk with whole characters. JSON writes an emoji as two halves (UTF-16
        surrogates), and the remote may cut an answer between them.

        `halves` has the half that earlier chunks left, for the answer (False) and the thoughts
        (True). It is put in front. A half at the end of this chunk is left there for the next.
        """
        if not (halves or "\\ud" in self.raw or "\\uD" in self.raw):
            return self
        return self.rewritten(partial(_rejoin, halves))

    def rewritten(self, rewrite: Callable[..., str]) -> Chunk:
        """Return the chunk with every text as `rewrite(text, is_thought=…)` returns it."""
        is_changed = False
        # In place: the chunk was just parsed, and nobody else has it.
        for part in self._parts():
            text = part.get("text")
            if text and isinstance(text, str):
                part["text"] = rewrite(text, is_thought=bool(part.get("thought")))
                is_changed = is_changed or part["text"] != text
        if not is_changed:
            return self
        return Chunk(json.dumps(self._answer, default=wire.plain), self._answer, self._event_name)

    def redacted(self, secrets: tuple[str, ...]) -> Chunk:
        """Return the chunk with each of our secrets replaced."""
        raw = self.raw
        for secret in secrets:  # Half as long as `any` with a generator.
            if secret in raw:
                break
        else:
            return self
        answer = redacted_value(self._answer, secrets=secrets)
        return Chunk(json.dumps(answer, default=wire.plain), answer, self._event_name)

    def _joined_texts(self, *, thoughts: bool) -> str:
        parts = self._parts()
        if len(parts) == 1:  # True for nearly every chunk.
            part = parts[0]
            return wire.text(part.get("text")) if bool(part.get("thought")) is thoughts else ""
        return "".join(
            [wire.text(part.get("text")) for part in parts if bool(part.get("thought")) is thoughts]
        )

    def _feedback(self) -> Mapping[str, Any]:
        return wire.mapping(_either(self._answer, "promptFeedback", "prompt_feedback"))

    def _candidate(self) -> Mapping[str, Any]:
        candidates = self._answer.get("candidates")
        if candidates and isinstance(candidates, list) and isinstance(candidates[0], dict):
            return candidates[0]
        return {}

    def _parts(self) -> list[dict[str, Any]]:
        content = self._candidate().get("content")
        return wire.objects(content.get("parts")) if isinstance(content, dict) else []


def parse_chunk(text: str, *, event_name: str = "message") -> Chunk:
    """Return the data of an event as a chunk.

    Raises: `ContractError` if it is not a JSON object. The data of an event named `error` may be
    any text; the chunk then has it as `error`.
    """
    if len(text) > _MOST_BRACKETS and text.count("[") + text.count("{") > _MOST_BRACKETS:
        raise ContractError("An event of the stream has too many lists and objects.")
    text, answer = read_event(text)
    if isinstance(answer, dict):
        return Chunk(text, answer, event_name)
    # Gemini ends some streams with an array whose only element is the error.
    if isinstance(answer, list) and len(answer) == 1 and isinstance(answer[0], dict):
        return Chunk(text, answer[0], event_name)
    if event_name == "error":
        return Chunk(json.dumps({"error": text}, ensure_ascii=False), {"error": text}, event_name)
    raise ContractError("An event of the stream is not a JSON object.")


def text_chunk(text: str, *, is_thought: bool) -> Chunk:
    """Return a new chunk that has only this text."""
    part = {"text": text} | ({"thought": True} if is_thought else {})
    answer = {"candidates": [{"content": {"role": "model", "parts": [part]}}]}
    return Chunk(json.dumps(answer), answer, "message")


def _rejoin(halves: dict[bool, str], text: str, *, is_thought: bool) -> str:
    whole = text
    if half := halves.pop(is_thought, ""):
        # Python joins two halves to one character only if they are encoded as UTF-16.
        pair = (half + text[0]).encode("utf-16-le", "surrogatepass")
        whole = pair.decode("utf-16-le", "replace") + text[1:]
    if _HIGH_SURROGATE.match(whole[-1]):
        halves[is_thought], whole = whole[-1], whole[:-1]
    return whole


def _read_failure(error: Any) -> ChunkFailure:
    fields = wire.mapping(error)
    message = error if isinstance(error, str) else _either(fields, "message", "detail")
    # `code` may be a number. Then only `status` has Gemini's word (section 6.6).
    words = [wire.text(fields.get(name)).rpartition(".")[2] for name in ("status", "code")]
    code = next((word for word in words if _CODE.fullmatch(word)), _UNNAMED_ERROR)
    return ChunkFailure(code, wire.text(message))


def _calls(part: Mapping[str, Any]) -> bool:
    call = _either(part, "functionCall", "function_call")
    return bool(call) and isinstance(call, dict | str)


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
