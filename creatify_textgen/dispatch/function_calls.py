"""Function calls and their results in the form that the remote takes. Pure.

Gemini 3 wants the signature of each step's first call back, and from 3.5 on the id of each call in
its result (contract, section 9). Creatify documents neither field, so it may refuse or drop them.
Calls and results can then be sent as plain text. What the caller wrote stays on the row as it is.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any

from creatify_textgen.exceptions import RemoteError
from creatify_textgen.remote.catalog import wants_signatures
from creatify_textgen.remote.refusals import CALL_REFUSALS

__all__ = ["PLACEHOLDER", "as_text", "completed", "has_calls", "is_call_refusal"]

PLACEHOLDER = "skip_thought_signature_validator"
"""Google's own value for a call whose signature nobody knows."""

Message = Mapping[str, Any]


def has_calls(messages: Iterable[Message]) -> bool:
    """Whether a message calls a function or has the result of one."""
    return any("function_call" in each or "function_response" in each for each in messages)


def is_call_refusal(error: Exception) -> bool:
    """Whether the remote refused a request, uncharged, because a field of a call is missing."""
    if not isinstance(error, RemoteError) or error.accepted_as:
        return False
    return error.status == 400 and error.code in CALL_REFUSALS


def completed(messages: Sequence[Message], *, model_name: str, today: date) -> list[Message]:
    """Return the messages with the fields that the model needs and the caller left out.

    The first call of a step gets `PLACEHOLDER` if it has no signature, and a result without an id
    gets the one of its call.
    """
    signed = _signed(messages) if wants_signatures(model_name, today=today) else messages
    return _with_ids(signed)


def as_text(messages: Iterable[Message]) -> list[Message]:
    """Return the messages with each call and each result as a sentence of text."""
    return [_in_words(message) for message in messages]


def _signed(messages: Sequence[Message]) -> list[Message]:
    signed: list[Message] = []
    is_within_step = False
    for message in messages:
        call = message.get("function_call")
        # Gemini signs the first of parallel calls only (contract, section 9), so the calls after it
        # are complete without a signature.
        if call and not is_within_step and not call.get("thought_signature"):
            message = {**message, "function_call": {**call, "thought_signature": PLACEHOLDER}}
        is_within_step = bool(call)
        signed.append(message)
    return signed


def _with_ids(messages: Sequence[Message]) -> list[Message]:
    waiting: list[Mapping[str, Any]] = []
    complete: list[Message] = []
    for message in messages:
        if call := message.get("function_call"):
            waiting.append(call)
        elif response := message.get("function_response"):
            # A result names its function and not its call. So results of one function answer its
            # calls in their order, and an id removes its call from those that wait.
            call_id = response.get("id") or _id_of(response, waiting)
            if call_id:
                waiting = [call for call in waiting if call.get("id") != call_id]
                message = {**message, "function_response": {**response, "id": call_id}}
        complete.append(message)
    return complete


def _id_of(response: Mapping[str, Any], waiting: Iterable[Mapping[str, Any]]) -> str | None:
    """Return the id of the first call that waits for a result of this function."""
    return next((call.get("id") for call in waiting if call["name"] == response["name"]), None)


def _in_words(message: Message) -> Message:
    # English in brackets: the model reads it, in whatever language it writes.
    sentences = []
    if call := message.get("function_call"):
        sentences.append(f"[I called the function {call['name']} with {_json(call['args'])}]")
    if response := message.get("function_response"):
        returned = _json(response["response"])
        sentences.append(f"[The function {response['name']} returned {returned}]")
    if not sentences:
        return message
    content = message.get("content") or []
    before = [{"type": "text", "text": content}] if isinstance(content, str) else content
    parts = [*before, *({"type": "text", "text": sentence} for sentence in sentences)]
    return {"role": message["role"], "content": parts if before else sentences[0]}


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
