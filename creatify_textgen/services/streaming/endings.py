"""Frames that we write ourselves: the rest of an answer from its row, an error, the end. Pure.

A rest has the shape of a remote chunk, so that a reader needs no second way to read.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Any

from creatify_textgen.exceptions import StreamError
from creatify_textgen.hub import END, ERROR, Frame, Position, chunk_frame, word_frame
from creatify_textgen.models import Generation
from creatify_textgen.states import Mode, Status

__all__ = ["TAKE_UP_LIMIT", "bridge", "broken_off", "ending", "error_frame", "rest"]

TAKE_UP_LIMIT = timedelta(seconds=15)
"""How long a stream may wait for a pump before it is called off."""
BROKEN_OFF = "The stream broke off; what the remote has made of it is looked up."
EXPIRED = "The remote has not told how it ended in time; it is still taken in if it comes."

_UNDERSCORE = re.compile(r"_([a-z])")


def rest(generation: Generation, after: Position) -> list[Frame]:
    """Return what a reader at this position still lacks of a generation that is settled.

    That is a final one, or an expired one: it has ended as far as anybody waits for it.
    """
    code, message = _failure(generation)
    if generation.status == Status.EXPIRED:
        frames = bridge(generation, after)
        here = frames[-1].end if frames else after
        return [*frames, *ending(generation, here, code=code, message=message)]
    here = _whole(generation, after)
    frames = []
    if generation.status == Status.DONE or here != after:
        frames.append(chunk_frame(after, here, _last_chunk(generation, after)))
    return [*frames, *ending(generation, here, code=code, message=message)]


def bridge(generation: Generation, after: Position) -> list[Frame]:
    """Return what the row of an unfinished generation has beyond this position, if anything.

    Its frame keeps the number of the last one: which frames it stands for is told by the text.
    """
    here = _whole(generation, after)
    if here == after:
        return []
    chunk = {"candidates": [_candidate(_parts(generation, after))]}
    return [chunk_frame(after, here, _compact(chunk))]


def broken_off(generation: Generation, after: Position) -> list[Frame]:
    """Return the end of a stream that nobody pumps any more, while nobody knows its outcome."""
    return ending(generation, after, code=StreamError.code, message=BROKEN_OFF)


def ending(
    generation: Generation,
    after: Position,
    *,
    code: str = "",
    message: str = "",
    retry_after: float | None = None,
) -> list[Frame]:
    """Return the end frame, and the error frame before it where there is a code.

    `retry_after` is how many seconds whoever asks again should wait.
    """
    frames = []
    if code:
        frames = [error_frame(after, code=code, message=message, retry_after=retry_after)]
    here = frames[-1].end if frames else after
    payload = {
        "id": str(generation.pk),
        "status": str(generation.status),
        "credits_used": _amount(generation.credits_used),
        "error_code": generation.error_code or code,
        "partial": generation.partial,
    }
    is_last = generation.is_final or generation.status == Status.EXPIRED
    return [*frames, word_frame(here, END, payload, is_last=is_last)]


def error_frame(
    after: Position, *, code: str, message: str, retry_after: float | None = None
) -> Frame:
    failure: dict[str, Any] = {"code": code, "message": message}
    if retry_after is not None:
        failure["retry_after"] = math.ceil(retry_after)
    return word_frame(after, ERROR, failure)


def _failure(generation: Generation) -> tuple[str, str]:
    if generation.status == Status.CANCELLED:
        if _was_not_taken_up(generation):
            return "not_taken_up", "No worker took the stream up in time; nothing was sent."
        return "cancelled", "The generation was cancelled before anything was sent."
    if generation.status == Status.FAILED:
        reason = generation.content.failed_reason or "The generation failed."
        return generation.error_code or "remote_failed", reason
    if generation.status == Status.EXPIRED:
        return str(Status.EXPIRED), EXPIRED
    return "", ""


def _was_not_taken_up(generation: Generation) -> bool:
    if generation.mode != Mode.STREAM or generation.finished_at is None:
        return False
    return generation.finished_at - generation.created_at >= TAKE_UP_LIMIT


def _whole(generation: Generation, after: Position) -> Position:
    content = generation.content
    return Position(
        after.number,
        max(after.text, len(content.response_text)),
        max(after.thoughts, len(content.response_thoughts)),
        max(after.calls, len(content.response_function_calls)),
    )


def _last_chunk(generation: Generation, after: Position) -> str:
    content = generation.content
    candidate = _candidate(_parts(generation, after))
    if generation.finish_reason:
        candidate["finishReason"] = generation.finish_reason
    if content.citations:
        candidate["citationMetadata"] = {"citations": content.citations}
    chunk: dict[str, Any] = {"candidates": [candidate]}
    if content.usage:
        chunk["usageMetadata"] = _camel_keys(content.usage)
    if generation.model_version:
        chunk["modelVersion"] = generation.model_version
    return _with_receipt(_compact(chunk), generation)


def _with_receipt(chunk: str, generation: Generation) -> str:
    if not generation.remote_id:
        return chunk
    amount = _amount(generation.credits_used) or "null"
    # By hand: no JSON encoder writes a Decimal as the number that it is.
    receipt = f'{{"id":{json.dumps(generation.remote_id)},"credits_used":{amount}}}'
    return f'{chunk[:-1]},"creatify":{receipt}}}'


def _amount(used: Decimal | None) -> str | None:
    return None if used is None else format(used.normalize(), "f")


def _candidate(parts: list[dict[str, Any]]) -> dict[str, Any]:
    return {"content": {"role": "model", "parts": parts}, "index": 0}


def _parts(generation: Generation, after: Position) -> list[dict[str, Any]]:
    content = generation.content
    parts: list[dict[str, Any]] = []
    if thoughts := content.response_thoughts[after.thoughts :]:
        parts.append({"text": thoughts, "thought": True})
    if text := content.response_text[after.text :]:
        parts.append({"text": text})
    calls = content.response_function_calls[after.calls :]
    return [*parts, *({"functionCall": call} for call in calls)]


def _camel_keys(value: Any) -> Any:
    if isinstance(value, list):
        return [_camel_keys(item) for item in value]
    if not isinstance(value, Mapping):
        return value
    return {
        _UNDERSCORE.sub(lambda match: match[1].upper(), key): _camel_keys(item)
        for key, item in value.items()
    }


def _compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
