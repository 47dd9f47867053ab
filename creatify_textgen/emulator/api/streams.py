"""A generation's stream as bytes, with the stream faults of the contract's section 10.

Pure. Every event is rendered before the HTTP server sends the first one.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from creatify_textgen.emulator.faults.clock import remote_time
from creatify_textgen.emulator.faults.switches import Settings
from creatify_textgen.emulator.http.exchange import dump_json
from creatify_textgen.emulator.model.answers import credits_for
from creatify_textgen.emulator.model.function_calls import SIGNATURE

from .chunks import ChunkWriter, call_part, text_part
from .state import RemoteGeneration

__all__ = ["ERROR_FAULTS", "RenderedStream", "ping_event", "render_stream"]

WORDS_A_CHUNK = 3
# So small that each event is cut several times, also within a character or a line end.
DRIP_SIZE = 16
# Stands for the text in a template. No other field of a chunk has this value.
MARK = "\x00text\x00"
BLOCK_REASON = "PROHIBITED_CONTENT"
SAFETY_RATINGS = [
    {"category": "HARM_CATEGORY_DANGEROUS_CONTENT", "probability": "HIGH", "blocked": True}
]
WITHOUT_END = frozenset({"cut_without_creatify"})


@dataclass(frozen=True, slots=True)
class RenderedStream:
    """What the HTTP server sends."""

    events: list[bytes]
    interval: float
    ending: str


def render_stream(generation: RemoteGeneration) -> RenderedStream:
    """Return the whole stream of a generation, by the switches it was created under."""
    settings = generation.settings
    events = list(_events(generation))
    if settings.stream_fault == "drip":
        pieces = [
            event[start : start + DRIP_SIZE]
            for event in events
            for start in range(0, len(event), DRIP_SIZE)
        ]
        # The whole stream takes as long as without the fault.
        interval = settings.chunk_interval * len(events) / len(pieces)
        return RenderedStream(pieces, interval, "complete")
    events, ending = FAULTS[settings.stream_fault](events, settings)
    return RenderedStream(events, settings.chunk_interval, ending)


def ping_event(settings: Settings, *, now: Callable[[], datetime]) -> bytes:
    """Return the comment that sse-starlette sends to keep a connection alive."""
    shown = remote_time(now(), settings=settings)
    return f": ping - {shown}".encode() + _line_end(settings) * 2


def _events(generation: RemoteGeneration) -> Iterator[bytes]:
    """Yield the events of a stream without a fault."""
    settings = generation.settings
    writer = ChunkWriter(generation)
    *middle, last = _contents(generation, writer=writer)
    for content in middle:
        yield content if isinstance(content, bytes) else _event(content, settings=settings)
    # The last chunk has its finish reason and looks complete: only the receipt is missing.
    if settings.stream_fault in WITHOUT_END:
        yield _event(last, settings=settings)
        return
    failed = generation.forced_failure and not settings.failed_charged
    cost = 0 if failed else credits_for(generation.answer.usage)
    creatify = {"creatify": {"id": generation.id, "credits_used": cost}}
    # "The final SSE chunk includes a creatify object" may mean either (contract, section 6.3).
    if settings.stream_creatify == "merged":
        yield _event({**last, **creatify}, settings=settings)
    else:
        yield _event(last, settings=settings)
        yield _event(creatify, settings=settings)


def _contents(generation: RemoteGeneration, *, writer: ChunkWriter) -> Iterator[Any]:
    """Yield chunks, as dictionaries or rendered already; the last one is a dictionary."""
    settings, answer = generation.settings, generation.answer
    content = settings.stream_content
    # A blocked prompt has one chunk and no candidates (contract, section 6.5).
    if content == "prompt_block":
        yield writer.blocked(BLOCK_REASON)
        return
    if content == "thoughts":
        yield writer.chunk([text_part("Thinking about the question.", thought=True)])
    pieces = list(_pieces(answer.text, count=settings.chunk_count))
    if content == "safety":
        yield from _texts(pieces[: len(pieces) // 2 or 1], writer=writer, settings=settings)
        yield writer.chunk(
            None, finish_reason="SAFETY", final=True, bare=True, safetyRatings=SAFETY_RATINGS
        )
        return
    if content == "no_content":
        yield writer.chunk(None)
    # Usually the last piece of text is in the chunk with the finish reason.
    held = 0 if content in ("signature_only", "no_content") or answer.function_calls else 1
    yield from _texts(pieces[: len(pieces) - held], writer=writer, settings=settings)
    yield _last(pieces[-1:], generation=generation, writer=writer)


def _last(
    pieces: list[str], *, generation: RemoteGeneration, writer: ChunkWriter
) -> dict[str, Any]:
    answer, content = generation.answer, generation.settings.stream_content
    reason = answer.finish_reason
    if answer.function_calls:
        calls = [call_part(call) for call in answer.function_calls]
        return writer.chunk(calls, finish_reason=reason, final=True)
    # As the recorded stream of Vertex ends (contract, section 6.3).
    if content == "signature_only":
        part = text_part("", thoughtSignature=SIGNATURE)
        return writer.chunk([part], finish_reason=reason, final=True)
    if content == "no_content":
        return writer.chunk(None, finish_reason=reason, final=True, bare=True)
    return writer.chunk([text_part(piece) for piece in pieces], finish_reason=reason, final=True)


def _texts(pieces: list[str], *, writer: ChunkWriter, settings: Settings) -> Iterator[bytes]:
    """Render chunks that differ only in their text: one template, filled in."""
    reason = "STOP" if settings.stream_content == "finish_each" else ""
    template = _event(writer.chunk([text_part(MARK)], finish_reason=reason), settings=settings)
    before, after = template.split(dump_json(MARK))
    for piece in pieces:
        yield before + dump_json(piece) + after


def _pieces(text: str, *, count: int) -> Iterator[str]:
    """Cut a text between its words. Joined, the pieces are the text."""
    if count:
        bounds = [len(text) * index // count for index in range(count + 1)]
        yield from (text[low:high] for low, high in itertools.pairwise(bounds))
        return
    words = text.split(" ")
    for start in range(0, len(words), WORDS_A_CHUNK):
        piece = " ".join(words[start : start + WORDS_A_CHUNK])
        yield piece if start + WORDS_A_CHUNK >= len(words) else piece + " "


def _line_end(settings: Settings) -> bytes:
    return b"\r\n" if settings.stream_separator == "crlf" else b"\n"


def _event(value: Any, *, settings: Settings, name: str = "") -> bytes:
    end = _line_end(settings)
    content = value if isinstance(value, bytes) else dump_json(value)
    opening = b"event: " + name.encode() + end if name else b""
    return opening + b"data: " + content + end * 2


def _gemini_error(settings: Settings) -> dict[str, Any]:
    return {"error": {"code": 503, "message": settings.failed_reason, "status": "UNAVAILABLE"}}


def _half(events: list[bytes]) -> list[bytes]:
    # Never all of them: a fault half-way must come before the receipt.
    return events[: max(1, len(events) // 2)] if len(events) > 1 else []


Faulty = tuple[list[bytes], str]


def _no_fault(events: list[bytes], settings: Settings) -> Faulty:
    return events, "complete"


def _error_event(events: list[bytes], settings: Settings) -> Faulty:
    return [*_half(events), _event(_gemini_error(settings), settings=settings)], "complete"


def _error_text_event(events: list[bytes], settings: Settings) -> Faulty:
    error = {"error": settings.failed_reason}
    return [*_half(events), _event(error, settings=settings)], "complete"


def _named_error_event(events: list[bytes], settings: Settings) -> Faulty:
    error = {"error": settings.failed_reason}
    return [*_half(events), _event(error, settings=settings, name="error")], "complete"


def _raw_json_tail(events: list[bytes], settings: Settings) -> Faulty:
    # Without `data:`, as Gemini ends a broken stream; Google's SDK has code for it (section 6.6).
    tail = json.dumps(_gemini_error(settings), indent=2, ensure_ascii=False).encode()
    return [*_half(events), tail + b"\n"], "complete"


def _cut_mid_event(events: list[bytes], settings: Settings) -> Faulty:
    kept = _half(events)
    cut = events[len(kept)]
    return [*kept, cut[: len(cut) // 2]], settings.stream_cut


def _cut_without_creatify(events: list[bytes], settings: Settings) -> Faulty:
    return events, settings.stream_cut


def _silence(events: list[bytes], settings: Settings) -> Faulty:
    return _half(events), "hang"


def _empty_body(events: list[bytes], settings: Settings) -> Faulty:
    return [], "complete"


def _done_marker(events: list[bytes], settings: Settings) -> Faulty:
    # OpenAI's streams end so, and gateways add it. Gemini sends none (contract, section 6.2).
    return [*events, _event(b"[DONE]", settings=settings)], "complete"


FAULTS: dict[str, Callable[[list[bytes], Settings], Faulty]] = {
    "none": _no_fault,
    "error_event": _error_event,
    "error_text_event": _error_text_event,
    "raw_json_tail": _raw_json_tail,
    "named_error_event": _named_error_event,
    "cut_mid_event": _cut_mid_event,
    "cut_without_creatify": _cut_without_creatify,
    "silence": _silence,
    "empty_body": _empty_body,
    "done_marker": _done_marker,
}
ERROR_FAULTS = frozenset({"error_event", "error_text_event", "raw_json_tail", "named_error_event"})
