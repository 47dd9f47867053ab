"""What a whole stream must be, read block by block.

Pure: bytes in, chunks out. Invariant: only a `creatify` object makes a stream a success; every
other end raises `StreamError` after all that came before it was yielded (section 6).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from creatify_textgen.exceptions import ContractError, StreamError
from creatify_textgen.remote.chunks import Chunk, ChunkFailure, parse_chunk
from creatify_textgen.remote.contract import Receipt
from creatify_textgen.remote.sse import DEFAULT_EVENT_CAP, Event, EventReader

__all__ = ["ChunkReader", "read_chunks"]

_DONE = "[DONE]"


class ChunkReader:
    """Reads the chunks of one stream, block by block."""

    def __init__(self, *, cap: int = DEFAULT_EVENT_CAP) -> None:
        self._events = EventReader(cap=cap)
        self.receipt: Receipt | None = None
        """The last one seen, or None before the end."""
        self.is_ending = False
        """Whether no more is to be expected: the answer is whole and paid for, or has failed."""
        self._failure: StreamError | None = None

    def read(self, block: bytes) -> Iterator[Chunk]:
        """Yield the chunks that are whole with this block.

        Behind a chunk with an `error`, or an event that cannot be read, comes only what has a
        receipt. Raises: `StreamError` with code `stream_limit`.
        """
        return self._take(self._events.read(block))

    def end(self) -> Iterator[Chunk]:
        """Yield what a cut stream's last lines say of its end.

        Raises: `StreamError` for every end but that of a stream with a receipt and no fault; its
        code is `stream_interrupted`, `unreadable_answer` or the remote's own word.
        """
        yield from self._take(self._events.end())
        if self._failure is not None:
            raise self._failure
        if self.receipt is None:
            raise StreamError("The stream ended without its creatify object.")

    def _take(self, events: Iterator[Event]) -> Iterator[Chunk]:
        for event in events:
            try:
                chunk = _chunk_of(event)
            except ContractError as error:
                # The receipt may still come: what was paid for is not to be lost to one event.
                self._failure = self._failure or StreamError(str(error), code=error.code)
                continue
            if chunk is None:
                continue
            if receipt := chunk.receipt:
                self.receipt = receipt
                self.is_ending = self.is_ending or _is_last(chunk, receipt)
            elif self._failure is not None:
                continue
            yield chunk
            if failure := chunk.error:
                self._fail(failure)

    def _fail(self, failure: ChunkFailure) -> None:
        message = f"The remote reported {failure.code} inside the stream."
        self._failure = StreamError(message, code=failure.code)
        self.is_ending = True


def read_chunks(blocks: Iterable[bytes], *, cap: int = DEFAULT_EVENT_CAP) -> Iterator[Chunk]:
    """Yield the chunks of a stream's bytes, to its end and not beyond an error in it.

    Raises: `StreamError` for every end but that after a receipt; see `ChunkReader`.
    """
    reader = ChunkReader(cap=cap)
    for block in blocks:
        yield from reader.read(block)
    yield from reader.end()


def _is_last(chunk: Chunk, receipt: Receipt) -> bool:
    """Whether a receipt ends its stream: an early one would not know the cost or the finish."""
    return bool(receipt.credits_used) and (chunk.has_finished or not chunk.has_candidates)


def _chunk_of(event: Event) -> Chunk | None:
    try:
        chunk = parse_chunk(event.data, event_name=event.name)
    except ContractError:
        if event.bare or not event.complete or event.data.strip() in ("", _DONE):
            return None
        raise
    # What a cut event seems to say is not what was sent, unless it says that it is the end.
    if (event.complete and not event.bare) or chunk.receipt or chunk.error:
        return chunk
    return None
