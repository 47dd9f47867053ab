"""Streams for Python: begin a stream or attach to one, iterate its chunks, then read its row.

The async functions share everything but `await`. Invariant: closing a session stops no pump.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator, Mapping
from contextlib import aclosing, closing
from functools import partial
from typing import Any, Self, TypeVar, Unpack, overload

from creatify_textgen.exceptions import RequestError
from creatify_textgen.intake import expect_generation
from creatify_textgen.models import Generation
from creatify_textgen.remote import Chunk
from creatify_textgen.schemas import PartialAnswer
from creatify_textgen.streams import database
from creatify_textgen.streams.begin import begin_stream
from creatify_textgen.streams.follow import follow, follow_async
from creatify_textgen.streams.hub import CHUNK, ERROR, START, Position
from creatify_textgen.streams.reader_plan import Batch
from creatify_textgen.streams.transcript import Transcript, chunk_of, transcripts_here
from creatify_textgen.types import Messages, RequestOptions

__all__ = [
    "AsyncGenerationStream",
    "GenerationStream",
    "aattach",
    "astream",
    "attach",
    "follow_begun",
    "stream",
]

T = TypeVar("T")


class StreamOptions(RequestOptions, total=False):
    """Options of `stream` and `astream`, for type checkers."""

    idempotency_key: str | None


def stream(messages: Messages, **options: Unpack[StreamOptions]) -> GenerationStream:
    """Begin a generation and return its chunks as they come; see `GenerationStream`.

    Takes and raises the same as `begin_stream`. In a TestCase, whose transaction is never
    committed, it raises RuntimeError unless `creatify_stub` is used.
    """
    return follow_begun(begin_stream(messages, **options))


def follow_begun(generation: Generation) -> GenerationStream:
    """Return the chunks of a stream that this thread has just begun; raises as `stream` does."""
    # Not in `begin_stream`: a TestCase may begin a stream, but a reader would wait in vain.
    database.refuse_uncommitted(generation)
    return GenerationStream(generation)


def attach(generation: Generation, *, after: Position | str | None = None) -> GenerationStream:
    """Follow a generation, or read its answer again, beginning after a session's position.

    Without `after` it begins with the first chunk. Raises: RequestError for a wrong `after`.
    """
    expect_generation(generation)
    return GenerationStream(generation, after=_position(after))


async def astream(messages: Messages, **options: Unpack[StreamOptions]) -> AsyncGenerationStream:
    """As `stream`, for a coroutine."""
    # In a thread of the pool, whose connection is in no transaction, so nothing is refused here.
    generation = await database.run_async(partial(begin_stream, messages, **options))
    return AsyncGenerationStream(generation)


async def aattach(
    generation: Generation, *, after: Position | str | None = None
) -> AsyncGenerationStream:
    """As `attach`, for a coroutine."""
    expect_generation(generation)
    return AsyncGenerationStream(generation, after=_position(after))


class _Session:
    """What both kinds of stream have in common."""

    def __init__(self, generation: Generation, *, after: Position = START) -> None:
        self.generation = generation
        """The row as it was at the beginning. After the last chunk it is the row as it is then."""
        self.position = after
        """The place of this session; `attach(generation, after=position)` continues from here."""
        self.error_code = ""
        """Why the answer is missing or incomplete, as in the error frame; otherwise empty."""
        self.error_message = ""
        self._texts: list[str] = []
        self._transcript: Transcript | None = None

    @property
    def text(self) -> str:
        """The answer as far as this session has read it. After `attach`, it begins at `after`."""
        return "".join(self._texts)

    def _chunks_of(self, batch: Batch) -> Iterator[Chunk]:
        """Yield the chunks of a batch. A pump in this process has parsed them already."""
        parsed = self._parsed_here()
        for frame in batch:
            # Before the yield: a caller that leaves the loop may attach again at this position.
            self.position = frame.end
            if frame.event == CHUNK:
                # A frame from the row has the number of another frame, and its own text.
                known = None if frame.is_from_row else parsed.get(frame.number)
                # What cannot be read has no chunk, but the position counts it.
                if chunk := known or chunk_of(frame):
                    self._texts.append(chunk.text)
                    yield chunk
            elif frame.event == ERROR:
                failure = json.loads(frame.data)
                self.error_code, self.error_message = failure["code"], failure["message"]

    def _parsed_here(self) -> Mapping[int, Chunk]:
        if self._transcript is None:
            # The registry is weak, so this reference keeps the chunks after the pump has ended.
            self._transcript = transcripts_here().get(self.generation.pk)
            if self._transcript is None:
                return {}
        # Chunks are kept from here on: a pump without a session in its process keeps none.
        if self._transcript.recent is None:
            self._transcript.recent = {}
        return self._transcript.recent


class GenerationStream(_Session):
    """Iterates the chunks of a generation once. Afterwards `generation` is the finished row.

    If the generation fails, the iteration ends; see `generation.status` and `error_code`.
    Leaving early, with `close()` or at the end of a `with` block, stops only the reading.

    Iterating raises: Generation.DoesNotExist if the row was deleted; django.db.Error after the last
    chunk, if the database does not answer then.
    """

    def __init__(self, generation: Generation, *, after: Position = START) -> None:
        super().__init__(generation, after=after)
        self._chunks = self._read()

    def __iter__(self) -> Generator[Chunk, None, None]:
        return self._chunks

    def __next__(self) -> Chunk:
        return next(self._chunks)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def until_done(self) -> Generation:
        """Read the rest, and return the row as it is then; the answer is in `text`."""
        for _ in self._chunks:
            pass
        return self.generation

    @overload
    def partials(self, shape: type[T]) -> Iterator[T]: ...
    @overload
    def partials(self, shape: Any = ...) -> Iterator[Any]: ...
    def partials(self, shape: Any = Any) -> Iterator[Any]:
        """Yield the JSON answer as far as it has arrived, each time that fits this type.

        `shape` is as for `generation.parsed`, which returns the last value. The other values may be
        incomplete at their end: a text is shorter, a list has fewer items.

        Raises: AnswerError at the end, as `parsed`; ImproperlyConfigured without pydantic.
        """
        answer = PartialAnswer(shape)
        for _ in self._chunks:
            yield from answer.read(self.text)
        # The last value is from the row: `parsed` also checks that the answer is whole.
        yield from answer.changed(self.generation.parsed(shape))

    def close(self) -> None:
        """Stop reading. The generation goes on."""
        self._chunks.close()

    def _read(self) -> Generator[Chunk, None, None]:
        with closing(follow(self.generation.pk, after=self.position)) as batches:
            for batch in batches:
                yield from self._chunks_of(batch)
        # A result is written before its end frame is published, so the row has it and its cost.
        self.generation = database.run(self.generation.reloaded)


class AsyncGenerationStream(_Session):
    """As `GenerationStream`, for `async for` and `async with`."""

    def __init__(self, generation: Generation, *, after: Position = START) -> None:
        super().__init__(generation, after=after)
        self._chunks = self._read()

    def __aiter__(self) -> AsyncGenerator[Chunk, None]:
        return self._chunks

    async def __anext__(self) -> Chunk:
        return await anext(self._chunks)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.aclose()

    async def until_done(self) -> Generation:
        """Read the rest, and return the row as it is then; the answer is in `text`."""
        async for _ in self._chunks:
            pass
        return self.generation

    @overload
    def partials(self, shape: type[T]) -> AsyncIterator[T]: ...
    @overload
    def partials(self, shape: Any = ...) -> AsyncIterator[Any]: ...
    async def partials(self, shape: Any = Any) -> AsyncIterator[Any]:
        """As `GenerationStream.partials`, for `async for`."""
        answer = PartialAnswer(shape)
        async for _ in self._chunks:
            for value in answer.read(self.text):
                yield value
        for value in answer.changed(self.generation.parsed(shape)):
            yield value

    async def aclose(self) -> None:
        """Stop reading. The generation goes on."""
        await self._chunks.aclose()

    async def _read(self) -> AsyncGenerator[Chunk, None]:
        async with aclosing(follow_async(self.generation.pk, after=self.position)) as batches:
            async for batch in batches:
                for chunk in self._chunks_of(batch):
                    yield chunk
        self.generation = await database.run_async(self.generation.reloaded)


def _position(written: Position | str | None) -> Position:
    if written is None:
        return START
    if isinstance(written, Position):
        return written
    try:
        return Position.parse(written)
    except ValueError:
        text = "is not a position of a stream"
        raise RequestError(f"after {text}", errors={"after": [text]}) from None
