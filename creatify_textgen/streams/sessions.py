"""Streams for Python: begin or attach to a stream, iterate its chunks, then read its row.

The async functions share everything but `await`. Invariant: closing a session stops no pump.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator, Mapping
from contextlib import aclosing, closing
from datetime import timedelta
from functools import partial
from typing import Any, Self, TypeVar, Unpack, overload

from creatify_textgen import clock, databases, enqueue
from creatify_textgen.dispatch.intents import Link, accept_request, save_intent
from creatify_textgen.exceptions import RequestError
from creatify_textgen.intake import Intake, expect_generation
from creatify_textgen.models import Generation
from creatify_textgen.remote import Chunk
from creatify_textgen.schemas import PartialAnswer
from creatify_textgen.states import Mode
from creatify_textgen.streams import database
from creatify_textgen.streams.follow import follow, follow_async
from creatify_textgen.streams.hub import CHUNK, ERROR, START, Position
from creatify_textgen.streams.own_frames import PICKUP_LIMIT
from creatify_textgen.streams.reader_plan import Batch
from creatify_textgen.streams.transcript import Transcript, chunk_of, transcripts_here
from creatify_textgen.types import Messages, RequestOptions

__all__ = [
    "AsyncGenerationStream",
    "GenerationStream",
    "aattach",
    "astream",
    "attach",
    "get_or_begin_stream",
    "begin_stream",
    "stream",
]


T = TypeVar("T")


class StreamOptions(RequestOptions, total=False):
    idempotency_key: str | None


def begin_stream(
    messages: Messages, *, idempotency_key: str | None = None, **options: Unpack[RequestOptions]
) -> Generation:
    """Save a generation and start a pump for it; returns at once.

    Raises: RequestError, and then nothing was saved; RuntimeError inside a transaction, because
    no pump can see the row before the transaction ends.
    """
    generation, _ = get_or_begin_stream(messages, idempotency_key=idempotency_key, **options)
    return generation


def get_or_begin_stream(
    messages: Messages, *, idempotency_key: str | None = None, **options: Unpack[RequestOptions]
) -> tuple[Generation, bool]:
    """Do the same as `begin_stream`, and return also whether the generation is new.

    It is not new if the idempotency key was used before.
    """
    databases.refuse_transaction("stream")
    return begin_accepted(accept_request(messages, **options), idempotency_key=idempotency_key)


def begin_accepted(
    intake: Intake, *, idempotency_key: str | None = None, link: Link | None = None
) -> tuple[Generation, bool]:
    """The same for a request that was accepted; `link` as for `save_intent`."""
    generation, is_new = save_stream(intake, idempotency_key=idempotency_key, link=link)
    if is_new:
        enqueue.stream(generation.pk)
    return generation, is_new


def save_stream(
    intake: Intake, *, pickup_limit: timedelta = PICKUP_LIMIT, **options: Any
) -> tuple[Generation, bool]:
    """Do the same as `begin_accepted`, for a caller that calls `pump_stream` itself."""
    now = clock.now()
    # The transaction must begin with the INSERT. After a read, SQLite would refuse the lock, and
    # MariaDB would not show a row that another request has just saved with the same key.
    return save_intent(
        intake,
        mode=Mode.STREAM,
        now=now,
        due_at=now + pickup_limit,
        **options,
    )


def stream(messages: Messages, **options: Unpack[StreamOptions]) -> GenerationStream:
    """Begin a generation and return its chunks as they come; see `GenerationStream`.

    Takes and raises the same as `begin_stream`. In a TestCase, whose transaction is never
    committed, it raises RuntimeError unless `creatify_stub` is used.
    """
    return follow_begun(begin_stream(messages, **options))


def follow_begun(generation: Generation) -> GenerationStream:
    """Return the chunks of a stream that this thread has just begun; raises as `stream` does."""
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
        """The row as it was at the beginning; after the last chunk it is read again."""
        self.position = after
        """The place of this session; `attach(generation, after=position)` continues from here."""
        self.error_code = ""
        """Why the answer is missing or not whole, as in the error frame; else empty."""
        self.error_message = ""
        self._texts: list[str] = []
        self._transcript: Transcript | None = None

    @property
    def text(self) -> str:
        """The answer as far as this session has read it, from its position at the beginning on."""
        return "".join(self._texts)

    def _chunks_of(self, batch: Batch) -> Iterator[Chunk]:
        """Yield the chunks of a batch. A pump in this process has parsed them already."""
        parsed = self._parsed_here()
        for frame in batch:
            self.position = frame.end
            if frame.event == CHUNK:
                known = None if frame.is_from_row else parsed.get(frame.number)
                if chunk := known or chunk_of(frame):
                    self._texts.append(chunk.text)
                    yield chunk
            elif frame.event == ERROR:
                failure = json.loads(frame.data)
                self.error_code, self.error_message = failure["code"], failure["message"]

    def _parsed_here(self) -> Mapping[int, Chunk]:
        if self._transcript is None:
            self._transcript = transcripts_here().get(self.generation.pk)
            if self._transcript is None:
                return {}
        if self._transcript.recent is None:
            self._transcript.recent = {}
        return self._transcript.recent


class GenerationStream(_Session):
    """Iterates the chunks of a generation once. Afterwards `generation` is the finished row.

    If the generation fails, the iteration ends; see `generation.status` and `error_code`.
    Leaving early, with `close()` or at the end of a `with` block, stops only the reading.
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
        """Yield the JSON answer as far as it has arrived, whenever that fits this type.

        `shape` is as for `generation.parsed`, which gives the last value. The end of the others may
        be incomplete: a text is shorter, a list has fewer items.

        Raises: AnswerError at the end, as `parsed`; ImproperlyConfigured without pydantic.
        """
        answer = PartialAnswer(shape)
        for _ in self._chunks:
            yield from answer.read(self.text)
        yield from answer.changed(self.generation.parsed(shape))

    def close(self) -> None:
        """Stop reading. The generation goes on."""
        self._chunks.close()

    def _read(self) -> Generator[Chunk, None, None]:
        with closing(follow(self.generation.pk, after=self.position)) as batches:
            for batch in batches:
                yield from self._chunks_of(batch)
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
