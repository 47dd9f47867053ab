"""Makes the frames that the remote did not send: text from the row, errors and ends. Pure.

Text from the row has the form of a remote chunk, so a client reads only one form.
"""

from __future__ import annotations

import json
import math
import re
import uuid
from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Any

from creatify_textgen.exceptions import StreamError
from creatify_textgen.models import Generation, credits_text
from creatify_textgen.states import Mode, Status
from creatify_textgen.streams.hub import END, ERROR, Frame, Position, chunk_frame, word_frame

__all__ = [
    "PICKUP_LIMIT",
    "STOPPED",
    "bridge",
    "broken_off",
    "ending",
    "error_frame",
    "no_database",
    "rest",
    "stopped",
]

PICKUP_LIMIT = timedelta(seconds=15)
"""How long a stream may wait for a pump before it is cancelled. Shorter than the time for which the
view of a new stream waits for its first frame, so that the client receives a 503."""
BROKEN_OFF = "The stream broke off; this site is asking the remote for its result."
STOPPED = "stopped"
"""The `error_code` of a stream that somebody stopped before its end."""
CANCELLED = "The generation was cancelled before anything was sent."
NO_DATABASE = "The database of this site does not answer; attach again in a moment."
RETRY_SECONDS = 5
"""The `retry_after` that a client receives if the database is down."""
EXPIRED = "The remote sent no result in time. A result that comes later is still saved."
REMOVED = "The answer is not stored, or was removed; its beginning cannot be sent again."

_UNDERSCORE = re.compile(r"_([a-z])")


def rest(generation: Generation, after: Position) -> list[Frame]:
    """Return the frames that a reader at this position lacks, up to the end frame.

    The generation is final or expired: its row has everything that was received.
    """
    code, message = _failure(generation)
    if generation.status == Status.EXPIRED:
        # No last chunk is made: the generation may still become done, and then has a receipt.
        frames = bridge(generation, after)
        here = frames[-1].end if frames else after
        return [*frames, *ending(generation, here, code=code, message=message)]
    here = _whole(generation, after)
    if generation.status == Status.DONE:
        here = here._replace(number=_last_number(generation, after))
        if here != after and generation.content_removed_at is not None:
            return ending(generation, after, code="content_removed", message=REMOVED)
    frames = []
    if here != after:
        # A frame from the row has the same number before and after it (`Frame.is_from_row`): it
        # stands for all frames that were lost.
        before = after._replace(number=here.number)
        frames.append(chunk_frame(before, here, _last_chunk(generation, after)))
    return [*frames, *ending(generation, here, code=code, message=message)]


def bridge(generation: Generation, after: Position) -> list[Frame]:
    """Return the text that the row of an unfinished generation has after this position.

    The list is empty if there is none. The frame keeps the number of the reader's last frame,
    because nobody knows how many frames had this text.
    """
    here = _whole(generation, after)
    if here == after:
        return []
    chunk = {"candidates": [_candidate(_parts(generation, after))]}
    return [chunk_frame(after, here, _compact(chunk))]


def broken_off(generation: Generation, after: Position) -> list[Frame]:
    """Return the end of a stream whose pump is gone and whose result is not known yet."""
    return ending(generation, after, code=StreamError.code, message=BROKEN_OFF)


def stopped(generation_id: uuid.UUID, after: Position) -> list[Frame]:
    """Return the end of a stream that was stopped, while the pump still waits for its cost."""
    # The frame has the id `end`, although the status is not final: a reader that has it need not
    # return, because no more text follows. The row has the cost later.
    payload = {
        "id": str(generation_id),
        "status": str(Status.RUNNING),
        "credits_used": None,
        "error_code": STOPPED,
        "partial": True,
    }
    return [word_frame(after, END, payload)]


def no_database(after: Position) -> Frame:
    """Return the error frame of a reader whose row cannot be read.

    No end frame follows it, because the stream may still be running.
    """
    return error_frame(
        after, code="database_unavailable", message=NO_DATABASE, retry_after=RETRY_SECONDS
    )


def ending(
    generation: Generation,
    after: Position,
    *,
    code: str = "",
    message: str = "",
    retry_after: float | None = None,
) -> list[Frame]:
    """Return the end frame, after an error frame if there is a code.

    The data of the end frame is `{"id": …, "status": "done", "credits_used": "0.0005",
    "error_code": "", "partial": false}`. `retry_after` is the number of seconds that a client
    should wait before it asks again.
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
    """Return an error frame with `{"code": …, "message": …}`, and `retry_after` if it is known."""
    failure: dict[str, Any] = {"code": code, "message": message}
    if retry_after is not None:
        # Whole seconds, as in the header Retry-After (RFC 9110, 10.2.3); never too early.
        failure["retry_after"] = math.ceil(retry_after)
    return word_frame(after, ERROR, failure)


def _failure(generation: Generation) -> tuple[str, str]:
    if generation.status == Status.CANCELLED:
        reason = generation.content.failed_reason or CANCELLED
        return generation.error_code or "cancelled", reason
    if generation.status == Status.FAILED:
        reason = generation.content.failed_reason or "The generation failed."
        return generation.error_code or "remote_failed", reason
    if generation.status == Status.EXPIRED:
        return str(Status.EXPIRED), EXPIRED
    return "", ""


def _last_number(generation: Generation, after: Position) -> int:
    """Return the number of the stream's last chunk, which says what the generation cost.

    The length of the text does not show whether a reader has this chunk, because the chunk may
    have no text. A reader that has it must not receive it again: a client that adds up costs
    would count it twice.
    """
    if generation.last_frame is not None:
        return max(generation.last_frame, after.number)
    if generation.mode != Mode.STREAM:
        return max(1, after.number)  # Not a stream: its whole answer is sent as one chunk.
    return after.number + 1  # The pump died before it saved the number.


def _whole(generation: Generation, after: Position) -> Position:
    content = generation.content
    # Never back: a row may lag behind the frames by a second, and a removed content is empty.
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
        # The row has snake_case names, and clients of a stream expect Gemini's.
        chunk["usageMetadata"] = _camel_keys(content.usage)
    if generation.model_version:
        chunk["modelVersion"] = generation.model_version
    return _with_receipt(_compact(chunk), generation)


def _with_receipt(chunk: str, generation: Generation) -> str:
    if not generation.remote_id:
        return chunk
    amount = _amount(generation.credits_used) or "null"
    # Written by hand, because json.dumps cannot write a Decimal as an exact number.
    receipt = f'{{"id":{json.dumps(generation.remote_id)},"credits_used":{amount}}}'
    return f'{chunk[:-1]},"creatify":{receipt}}}'


def _amount(used: Decimal | None) -> str | None:
    return None if used is None else credits_text(used)


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
    return [*parts, *map(_call_part, calls)]


def _call_part(call: Mapping[str, Any]) -> dict[str, Any]:
    """Return a part as Gemini writes it: the signature is beside the call."""
    part: dict[str, Any] = {"functionCall": dict(call)}
    if signature := part["functionCall"].pop("thought_signature", ""):
        part["thoughtSignature"] = signature
    return part


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
