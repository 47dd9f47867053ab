"""What a test sets and reads: answers, faults by name, and what was asked. No I/O."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from decimal import Decimal
from types import MappingProxyType
from typing import Any

from creatify_textgen.exceptions import (
    RateLimitedError,
    RemoteError,
    RemoteRejectedError,
    RemoteUnavailableError,
)
from creatify_textgen.remote import GenerationRequest

__all__ = ["FAULTS", "Answer", "Asked", "check_answer", "check_fault", "make_answer", "refusal_of"]

# The pieces joined are the text again, also if it begins with a space.
_WORDS = re.compile(r"\S+\s*|\s+")

INTERRUPTED, BLOCKED, FAILED, TRUNCATED = "stream_interrupted", "blocked", "failed", "truncated"
_REFUSALS: Mapping[str, Callable[[], RemoteError]] = MappingProxyType(
    {
        "authentication": lambda: RemoteRejectedError("401", status=401, code="authentication"),
        "insufficient_credits": lambda: RemoteRejectedError(
            "402", status=402, code="insufficient_credits"
        ),
        "invalid_request": lambda: RemoteRejectedError("400", status=400),
        "rate_limited": lambda: RateLimitedError("429", status=429, retry_after=60),
        "timeout": lambda: RemoteUnavailableError("No answer in time."),
        "unavailable": lambda: RemoteUnavailableError("503", status=503, retry_after=60),
        "unreachable": lambda: RemoteUnavailableError("No connection.", request_sent=False),
    }
)
# With the first part no generation is returned. The others have one, which may cost credits.
FAULTS = (*_REFUSALS, FAILED, TRUNCATED, BLOCKED, INTERRUPTED)
"""Names that `Stub.fail` takes."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the remote answers to one request."""

    text: str = ""
    function_calls: Sequence[Mapping[str, Any]] = ()
    """`[{"name": "get_weather", "args": {"city": "Paris"}}]`"""
    thoughts: str = ""
    """The model's reasoning, which only a stream contains."""
    credits_used: Decimal = Decimal("0.0005")
    fault: str = ""
    """One of `FAULTS`, or empty."""

    def __post_init__(self) -> None:
        """Refuse what would fail far from the test. Raises: TypeError, ValueError."""
        # Annotated as Any, because a test without type checks may pass anything.
        texts: tuple[Any, ...] = (self.text, self.thoughts)
        calls: Sequence[Any] = self.function_calls
        if not all(isinstance(text, str) for text in texts):
            raise TypeError("The text and the thoughts of an Answer are strings.")
        if self.fault:
            check_fault(self.fault)
        for call in calls:
            if not isinstance(call, Mapping) or not isinstance(call.get("name"), str):
                raise TypeError(f'A call is {{"name": "get_weather", "args": {{}}}}, not {call!r}.')

    def chunks(self, *, remote_id: str, model_name: str) -> Iterator[dict[str, Any]]:
        """Yield Gemini's chunks of a stream: one for each word, the last with the receipt."""
        words = _WORDS.findall(self.text)
        parts: list[dict[str, Any]] = [{"text": self.thoughts, "thought": True}] * bool(
            self.thoughts
        )
        parts += [{"text": word} for word in words]
        parts += [{"functionCall": dict(call)} for call in self.function_calls]
        # At least one part: without any, the stream would be empty, which is another fault.
        if self.fault in (TRUNCATED, INTERRUPTED):
            parts = parts[: max(len(parts) // 2, 1)]
        # A blocked answer has no content in a stream (contract.md, section 6.4).
        if self.fault == BLOCKED:
            parts = []
        for part in parts:
            yield {"candidates": [{"content": {"role": "model", "parts": [part]}}]}
        # Only the last chunk names the generation, so a stream that breaks off has no id.
        if self.fault != INTERRUPTED:
            yield {
                "candidates": [{"finishReason": _FINISH_REASONS.get(self.fault, "STOP")}],
                "modelVersion": model_name,
                "creatify": {"id": remote_id, "credits_used": float(self.credits_used)},
            }


_FINISH_REASONS = {BLOCKED: "SAFETY", TRUNCATED: "MAX_TOKENS", FAILED: "OTHER"}


@dataclass(frozen=True, slots=True)
class Asked:
    """One request as it would have been sent."""

    request: GenerationRequest = field(repr=False)
    is_stream: bool
    remote_id: str = field(default_factory=lambda: str(uuid.uuid4()), repr=False)

    @property
    def model_name(self) -> str:
        return self.request.model_name

    @property
    def messages(self) -> Sequence[Mapping[str, Any]]:
        """In the remote's shape."""
        return self.request.messages

    @property
    def system_instruction(self) -> str:
        return self.request.system_instruction

    @property
    def config(self) -> Mapping[str, Any]:
        return self.request.config or {}

    @property
    def tools(self) -> Sequence[Mapping[str, Any]]:
        return self.request.tools or []

    @property
    def text(self) -> str:
        """All text of the last message."""
        content = self.messages[-1].get("content", "")
        if isinstance(content, str):
            return content
        return "\n".join(part["text"] for part in content if part["type"] == "text")


def make_answer(value: Any, asked: Asked) -> Answer:
    """Return the answer that a test set: text, an `Answer`, what becomes JSON, or a function.

    Raises: TypeError for anything else, or if the function returns anything else.
    """
    if callable(value):
        value = value(asked)
    return _answer_of(value)


def check_fault(fault: Any) -> None:
    """Refuse a word that is not in `FAULTS`. Raises: ValueError."""
    if fault not in FAULTS:
        raise ValueError(f"Unknown fault {fault!r}; known are {', '.join(FAULTS)}.")


def check_answer(value: Any) -> None:
    """Refuse what `make_answer` refuses. A function is not called. Raises: TypeError."""
    if not callable(value):
        _answer_of(value)


def _answer_of(value: Any) -> Answer:
    if isinstance(value, Answer):
        return value
    if isinstance(value, str):
        return Answer(value)
    if hasattr(value, "model_dump_json"):
        return Answer(value.model_dump_json())
    if value is not None:
        with suppress(TypeError, ValueError):
            return Answer(json.dumps(value))
    raise TypeError(
        "An answer is a text, a mapping for JSON, an Answer, a function that returns one of these, "
        f"or a list of these, not {value!r}."
    )


def refusal_of(fault: str) -> RemoteError | None:
    """Return the error of a request that the remote refuses or does not answer."""
    refusal = _REFUSALS.get(fault)
    return refusal() if refusal else None
