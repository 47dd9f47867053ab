"""What a pump has heard so far, chunk by chunk. Pure: no clock, no rows.

One thread adds, one other may read `spoken()` at any time and gets a state between two chunks.
"""

from __future__ import annotations

import uuid
from typing import Any
from weakref import WeakValueDictionary

from creatify_textgen.hub import START, Frame, Position, chunk_frame
from creatify_textgen.lifecycle import Outcome
from creatify_textgen.remote import Chunk, ChunkFailure, Receipt

__all__ = ["Transcript", "transcripts_here"]

RECENT = 2048
"""Parsed chunks kept for a session in this process, which would parse them again otherwise."""

transcripts_here: WeakValueDictionary[uuid.UUID, Transcript] = WeakValueDictionary()
"""Those of the pumps in this process, by generation."""


class Transcript:
    def __init__(self) -> None:
        self.position = START
        self.block_reason = ""
        self.finish_reason = ""
        self.receipt: Receipt | None = None
        self.failure: ChunkFailure | None = None
        """The error that the remote reported inside the stream."""
        self.recent: dict[int, Chunk] | None = None
        """The last chunks by number, once somebody wants them."""
        self._spoken: list[tuple[str, str]] = []
        self._calls: list[dict[str, Any]] = []
        self._counting: Chunk | None = None
        """The last chunk with token counts; they are cumulative, so the others don't matter."""
        self._model_version = ""
        self._citations: list[dict[str, Any]] = []

    def add(self, chunk: Chunk) -> Frame:
        """Take a chunk in and return its frame."""
        # A chunk costs microseconds, and most properties are absent: a look into its text for
        # their names is cheaper than a way through its structure.
        raw = chunk.raw
        text = chunk.text
        thoughts = chunk.thoughts if "thought" in raw else ""
        calls = chunk.function_calls if "unction" in raw else []
        if text or thoughts:
            self._spoken.append((text, thoughts))
        self._calls += calls
        self._take_particulars(chunk, raw)
        start = self.position
        number, *_ = end = self._advance(len(text), len(thoughts), len(calls))
        if self.recent is not None:
            self.recent[number] = chunk
            self.recent.pop(number - RECENT, None)
        return chunk_frame(start, end, raw)

    def _advance(self, text: int, thoughts: int, calls: int) -> Position:
        number, all_text, all_thoughts, all_calls = self.position
        self.position = Position(
            number + 1, all_text + text, all_thoughts + thoughts, all_calls + calls
        )
        return self.position

    def spoken(self) -> tuple[str, str]:
        """Return the text of the answer so far, and the thoughts apart from it."""
        pieces = self._spoken[:]
        text = "".join([text for text, _ in pieces])
        thoughts = "".join([thoughts for _, thoughts in pieces])
        # Joined once: a long stream is asked every second. What was added since stays behind it.
        self._spoken[: len(pieces)] = [(text, thoughts)]
        return text, thoughts

    @property
    def is_empty(self) -> bool:
        return not self.position.number

    @property
    def has_answer(self) -> bool:
        """Whether there is anything for a reader: text, thoughts or a call of a function."""
        return any(self.position[1:])

    def progress(self) -> Outcome:
        """Return the text so far, for the row."""
        text, thoughts = self.spoken()
        return Outcome(
            partial=bool(text or thoughts), response_text=text, response_thoughts=thoughts
        )

    def outcome(self, *, error_code: str, failed_reason: str = "", partial: bool) -> Outcome:
        """Return all that was heard, for the row."""
        text, thoughts = self.spoken()
        return Outcome(
            remote_id=self.receipt.id if self.receipt else None,
            credits_used=self.receipt.credits_used if self.receipt else None,
            error_code=error_code,
            finish_reason=self.finish_reason[:64],
            model_version=self._model_version[:255],
            partial=partial,
            response_text=text,
            response_thoughts=thoughts,
            response_function_calls=self._calls,
            failed_reason=failed_reason,
            usage=self._counting.usage if self._counting else None,
            citations=self._citations,
        )

    def _take_particulars(self, chunk: Chunk, raw: str) -> None:
        # Within a text the quote would be escaped.
        if 'TokenCount":' in raw or 'token_count":' in raw:
            self._counting = chunk
        if "itation" in raw:
            self._citations += chunk.citations
        if "inish" in raw:
            self.finish_reason = chunk.finish_reason or self.finish_reason
        if "lock" in raw:
            self.block_reason = chunk.block_reason or self.block_reason
        if not self._model_version or f'"{self._model_version}"' not in raw:
            self._model_version = chunk.model_version or self._model_version
        if "creatify" in raw:
            self.receipt = chunk.receipt or self.receipt
        self.failure = chunk.error or self.failure
