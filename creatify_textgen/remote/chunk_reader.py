"""Reads a stream block by block, and decides whether it was complete.

Pure: bytes in, chunks out. Invariant: only a `creatify` object means success. Every other end
raises `StreamError` after all earlier chunks were yielded (section 6).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from creatify_textgen.exceptions import ContractError, StreamError
from creatify_textgen.remote.chunks import Chunk, ChunkFailure, parse_chunk, text_chunk
from creatify_textgen.remote.contract import Receipt
from creatify_textgen.remote.receipts import latest_receipt
from creatify_textgen.remote.redaction import of_answers
from creatify_textgen.remote.split_secrets import SplitSecrets
from creatify_textgen.remote.sse import DEFAULT_EVENT_CAP, Event, EventReader

__all__ = ["ChunkReader", "read_chunks"]

# Far above what a model writes today (65,536 tokens are about 300,000 characters). A longer stream
# is an error of the remote. It would fill the memory of the pump and of every reader. What is above
# the limit is read and dropped up to the receipt, because it was paid for.
MAX_CHARACTERS = 1024 * 1024
MAX_JSON_CHARACTERS = 64 * 1024 * 1024
"""Of all events together: also for what is not an answer, such as unknown fields."""
MAX_EVENTS = 500_000
LIMIT = "stream_limit"

_DONE = "[DONE]"


class ChunkReader:
    """Reads the chunks of one stream, block by block."""

    def __init__(self, *, cap: int = DEFAULT_EVENT_CAP, secrets: Iterable[str] = ()) -> None:
        self._events = EventReader(cap=cap)
        self._secrets = of_answers(secrets)
        self._split = {kind: SplitSecrets(self._secrets) for kind in (False, True)}
        """Of the answer (False) and of the thoughts (True)."""
        self.receipt: Receipt | None = None
        """The one that counts of those seen, or None before the first."""
        self.is_ending = False
        """Whether the stream should end now: the receipt has arrived, or an error."""
        self._failure: StreamError | None = None
        self._event_count = 0
        self._characters = 0
        """Characters of the answer (text, thoughts and calls) after the first `MAX_CHARACTERS` of
        its JSON."""
        self._json_characters = 0
        self._halves: dict[bool, str] = {}
        """Half a character at the end of the answer (False) or the thoughts (True) so far."""

    def read(self, block: bytes) -> Iterator[Chunk]:
        """Yield the chunks that are complete with this block.

        After a chunk with an `error`, an event that cannot be read, or the longest answer, only a
        chunk with a receipt is yielded. Raises: `StreamError` with code `stream_limit` if a stream
        goes on for too long, after all earlier chunks.
        """
        return self._take(self._events.read(block))

    def end(self) -> Iterator[Chunk]:
        """Yield the chunks in the last lines, if the stream ended without a blank line.

        Raises: `StreamError`, unless the stream had a receipt and no error. Its code is
        `stream_interrupted`, `stream_limit`, `unreadable_answer` or the remote's own word.
        """
        yield from self._take(self._events.end())
        yield from self._held_back()
        if self._failure is not None:
            raise self._failure
        if self.receipt is None or self.receipt.is_early:
            raise StreamError("The stream ended without its creatify object.")

    def _take(self, events: Iterator[Event]) -> Iterator[Chunk]:
        for event in events:
            self._event_count += 1
            if self._event_count > MAX_EVENTS:
                raise StreamError(f"The stream has more than {MAX_EVENTS} events.", code=LIMIT)
            try:
                chunk = _chunk_of(event)
            except ContractError as error:
                # Reading continues, because the receipt may still come, and with it the cost.
                self._failure = self._failure or StreamError(str(error), code=error.code)
                continue
            if chunk is not None:
                self._count_json(chunk)
                if self.receipt is not None:
                    self.receipt = latest_receipt(self.receipt, chunk)
                yield from self._accept(chunk)

    def _accept(self, chunk: Chunk) -> Sequence[Chunk]:
        """Return the chunks to give out: this one, and what was held back before it.

        A stream has thousands of chunks, so what few of them need is decided by a search.
        """
        if self._halves or "\\u" in chunk.raw:
            chunk = chunk.joined(self._halves)
        if self._secrets:
            chunk = chunk.redacted(self._secrets)
        if not chunk.is_plain:
            if not self._note_end(chunk):
                return ()
        elif self._failure is not None:
            return ()
        held = tuple(self._held_back(before=chunk)) if self.is_ending else ()
        if self._secrets:
            chunk = self._without_split_secrets(chunk)
        # An answer is never longer than its JSON, whose length is known: most streams end before
        # anything else has to be counted. A chunk with a receipt is given out however long it is.
        if self._json_characters > MAX_CHARACTERS and chunk.is_plain and self._is_too_long(chunk):
            text = f"The answer is above {MAX_CHARACTERS} characters."
            self._failure = StreamError(text, code=LIMIT)
            return held
        return (*held, chunk)

    def _note_end(self, chunk: Chunk) -> bool:
        """Note a receipt or an error. Return whether the chunk is to be given out."""
        receipt = chunk.receipt
        if receipt is not None:
            self.receipt = latest_receipt(self.receipt, chunk)
            self.is_ending = self.is_ending or _is_last(chunk, receipt)
        elif self._failure is not None:
            return False
        if failure := chunk.error:
            self._fail(failure)
        return True

    def _without_split_secrets(self, chunk: Chunk) -> Chunk:
        text, thoughts = self._split[False], self._split[True]
        has_thoughts = "thought" in chunk.raw
        if text.is_harmless(chunk.text) and (
            not has_thoughts or thoughts.is_harmless(chunk.thoughts)
        ):
            text.skip(chunk.text)
            if has_thoughts:
                thoughts.skip(chunk.thoughts)
            return chunk

        def read(piece: str, *, is_thought: bool) -> str:
            split = self._split[is_thought]
            return split.read(piece) + (split.rest() if self.is_ending else "")

        return chunk.rewritten(read)

    def _held_back(self, *, before: Chunk | None = None) -> Iterator[Chunk]:
        """Yield what only looked like the beginning of a secret, if no text goes on from it."""
        for is_thought, split in self._split.items():
            follows = before and (before.thoughts if is_thought else before.text)
            if not follows and (rest := split.rest()):
                yield text_chunk(rest, is_thought=is_thought)

    def _count_json(self, chunk: Chunk) -> None:
        self._json_characters += len(chunk.raw)
        if self._json_characters > MAX_JSON_CHARACTERS:
            text = f"The stream is above {MAX_JSON_CHARACTERS} characters of JSON."
            raise StreamError(text, code=LIMIT)

    def _is_too_long(self, chunk: Chunk) -> bool:
        raw = chunk.raw
        count = len(chunk.text)
        if "unction" in raw and chunk.function_calls:
            # Calls are counted as JSON text, which is seldom much longer than their content.
            count = len(raw)
        if "thought" in raw:
            count += len(chunk.thoughts)
        self._characters += count
        return self._characters > MAX_CHARACTERS

    def _fail(self, failure: ChunkFailure) -> None:
        message = f"The remote reported {failure.code} inside the stream."
        self._failure = StreamError(message, code=failure.code)
        self.is_ending = True


def read_chunks(blocks: Iterable[bytes], *, cap: int = DEFAULT_EVENT_CAP) -> Iterator[Chunk]:
    """Yield the chunks of a stream's bytes up to its end, or up to an error in it.

    Raises: `StreamError` for every end without a receipt; see `ChunkReader`.
    """
    reader = ChunkReader(cap=cap)
    for block in blocks:
        yield from reader.read(block)
    yield from reader.end()


def _is_last(chunk: Chunk, receipt: Receipt) -> bool:
    """Whether this receipt ends the stream. An early one does not have the final cost."""
    return bool(receipt.credits_used) and (chunk.has_finished or not chunk.has_candidates)


def _chunk_of(event: Event) -> Chunk | None:
    try:
        chunk = parse_chunk(event.data, event_name=event.name)
    except ContractError:
        # An event with a name, such as `ping`, is not a chunk from Gemini.
        is_other = event.name != "message"
        if is_other or event.bare or not event.complete or event.data.strip() in ("", _DONE):
            return None
        raise
    # A cut event is dropped, because it may be misread, unless it has a receipt or an error.
    if (event.complete and not event.bare) or chunk.receipt or chunk.error:
        return chunk
    return None
