"""Collects what a pump has received so far, chunk by chunk. Pure: no clock, no rows.

Invariant: one thread adds. Another may call `spoken()` at any time and gets the state between two
chunks, without a lock.
"""

from __future__ import annotations

import uuid
from typing import Any
from weakref import WeakValueDictionary

from creatify_textgen.exceptions import ContractError
from creatify_textgen.lifecycle import Outcome
from creatify_textgen.per_process import per_process
from creatify_textgen.remote import Chunk, ChunkFailure, Receipt, latest_receipt, parse_chunk
from creatify_textgen.streams.hub import START, Frame, Position, chunk_frame

__all__ = ["Transcript", "chunk_of", "transcripts_here"]

OWN_FRAMES = 2
"""The error frame and the end frame that may follow the last chunk of a stream that broke off."""
RECENT = 2048
"""Parsed chunks kept for a session in this process, which would parse them again otherwise."""
RECENT_CHARACTERS = 1024 * 1024
"""The most characters of JSON in these chunks: a hostile remote may send few and large ones."""
MOST_CITED_CHARACTERS = 512 * 1024
"""The most characters of JSON in chunks with citations. Later citations are not kept."""


@per_process
def transcripts_here() -> WeakValueDictionary[uuid.UUID, Transcript]:
    """Return the transcripts of the pumps in this process, by generation."""
    # Weak, so a transcript goes with its pump and its sessions, however the pump ends.
    return WeakValueDictionary()


def chunk_of(frame: Frame) -> Chunk | None:
    """Return the chunk of a frame, or None if the remote sent something that cannot be read."""
    try:
        return parse_chunk(frame.data)
    except ContractError:
        return None


class Transcript:
    def __init__(self) -> None:
        self.position = START
        self.block_reason = ""
        self.finish_reason = ""
        self.message = ""
        """The remote's explanation of the finish or the block."""
        self.receipt: Receipt | None = None
        self.failure: ChunkFailure | None = None
        """The error that the remote reported inside the stream."""
        self.is_stopped = False
        """Whether somebody stopped it: later chunks become neither text nor frames."""
        self.recent: dict[int, Chunk] | None = None
        """The last chunks by number, once somebody wants them."""
        self._spoken: list[tuple[str, str]] = []
        self._calls: list[dict[str, Any]] = []
        self._counting: Chunk | None = None
        """The last chunk with token counts; they are cumulative, so the others don't matter."""
        self._model_version = ""
        self._citations: list[dict[str, Any]] = []
        self._cited_characters = 0
        self._recent_characters = 0

    def add(self, chunk: Chunk) -> Frame:
        """Add a chunk and return its frame."""
        # A chunk costs microseconds, and most properties are absent. Searching its text for their
        # names is cheaper than walking through its structure.
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
            self._keep_recent(self.recent, number, chunk)
        return chunk_frame(start, end, raw)

    def _keep_recent(self, recent: dict[int, Chunk], number: int, chunk: Chunk) -> None:
        recent[number] = chunk
        self._recent_characters += len(chunk.raw)
        while len(recent) > RECENT or self._recent_characters > RECENT_CHARACTERS:
            oldest = recent.pop(next(iter(recent)))
            self._recent_characters -= len(oldest.raw)

    def drain(self, chunk: Chunk) -> None:
        """Take from a chunk after the stop only what it says of the end and the cost."""
        self._take_particulars(chunk, chunk.raw)

    def _advance(self, text: int, thoughts: int, calls: int) -> Position:
        number, all_text, all_thoughts, all_calls = self.position
        self.position = Position(
            number + 1, all_text + text, all_thoughts + thoughts, all_calls + calls
        )
        return self.position

    def spoken(self) -> tuple[str, str]:
        """Return the text of the answer so far, and the thoughts apart from it."""
        # A copy, which the interpreter makes in one step: the pump may append meanwhile.
        pieces = self._spoken[:]
        text = "".join([text for text, _ in pieces])
        thoughts = "".join([thoughts for _, thoughts in pieces])
        # The pieces are joined once, because this is called every second. New pieces come after
        # the joined text.
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
        """Return everything that was received, for the row."""
        text, thoughts = self.spoken()
        return Outcome(
            remote_id=self.receipt.id if self.receipt else None,
            remote_id_as_sent=self.receipt.id_as_sent if self.receipt else None,
            credits_used=self.receipt.credits_used if self.receipt else None,
            error_code=error_code,
            finish_reason=self.finish_reason[:64],
            model_version=self._model_version[:255],
            last_frame=self._last_frame,
            partial=partial,
            response_text=text,
            response_thoughts=thoughts,
            response_function_calls=self._calls,
            failed_reason=failed_reason,
            usage=self._counting.usage if self._counting else None,
            citations=self._citations,
        )

    @property
    def _last_frame(self) -> int:
        """The number of the last chunk. Without a receipt, that of the frame that may be made from
        the row later: it follows the error frame and the end frame that readers have by then."""
        here = self.position.number
        is_whole = self.receipt is not None and not self.receipt.is_early
        return here if is_whole else here + OWN_FRAMES + 1

    def _take_particulars(self, chunk: Chunk, raw: str) -> None:
        # Within a text the quote would be escaped, so this finds only names.
        if 'TokenCount":' in raw or 'token_count":' in raw:
            self._counting = chunk
        if "itation" in raw and self._cited_characters < MOST_CITED_CHARACTERS:
            self._citations += (cited := chunk.citations)
            self._cited_characters += len(raw) if cited else 0
        if "inish" in raw:
            self.finish_reason = chunk.finish_reason or self.finish_reason
            self.message = chunk.finish_message or self.message
        if "lock" in raw:
            self.block_reason = chunk.block_reason or self.block_reason
            self.message = chunk.block_message or self.message
        # It is in every chunk and nearly always the same, so it is read only if it has changed.
        if not self._model_version or f'"{self._model_version}"' not in raw:
            self._model_version = chunk.model_version or self._model_version
        # Also after a receipt: a chunk of the answer that follows it makes it an early one.
        if self.receipt is not None or "creatify" in raw:
            self.receipt = latest_receipt(self.receipt, chunk)
        self.failure = chunk.error or self.failure
