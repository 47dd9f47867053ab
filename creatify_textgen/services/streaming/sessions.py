"""Streams for Python: begin one or attach to one, iterate its chunks, end with its row.

The async twins share all but the `await`. Invariant: closing a session never stops the pump.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Generator, Iterator, Mapping
from contextlib import aclosing, closing
from functools import partial
from types import TracebackType
from typing import Any, Self, TypedDict, Unpack

from django.db import transaction
from django.utils import timezone

from creatify_textgen import enqueue
from creatify_textgen.exceptions import ContractError, RequestError
from creatify_textgen.hub import CHUNK, ERROR, START, Frame, Position
from creatify_textgen.models import Generation
from creatify_textgen.remote import Chunk, parse_chunk
from creatify_textgen.services.intake import accept
from creatify_textgen.services.intents import save_intent
from creatify_textgen.services.streaming import rows
from creatify_textgen.services.streaming.endings import TAKE_UP_LIMIT
from creatify_textgen.services.streaming.following import follow, follow_async
from creatify_textgen.services.streaming.reading import Batch
from creatify_textgen.services.streaming.transcript import Transcript, transcripts_here
from creatify_textgen.states import Mode

__all__ = [
    "AsyncGenerationStream",
    "GenerationStream",
    "aattach",
    "astream",
    "attach",
    "begin_or_repeat",
    "begin_stream",
    "stream",
]


class RequestOptions(TypedDict, total=False):
    """What may be asked for beside the messages; as for `submit`."""

    model_name: str | None
    system_instruction: str
    config: Mapping[str, Any] | None
    tools: Any
    tool_config: Mapping[str, Any] | None
    owner: Any
    account: str
    metadata: Mapping[str, Any] | None


class StreamOptions(RequestOptions, total=False):
    idempotency_key: str | None


def begin_stream(
    messages: Any, *, idempotency_key: str | None = None, **options: Unpack[RequestOptions]
) -> Generation:
    """Save a generation that is streamed and have a pump take it up; returns at once.

    Raises: RequestError, and then nothing was saved; RuntimeError inside a transaction, where
    no pump could see the row before its reader has given up.
    """
    generation, _ = begin_or_repeat(messages, idempotency_key=idempotency_key, **options)
    return generation


def begin_or_repeat(
    messages: Any, *, idempotency_key: str | None = None, **options: Unpack[RequestOptions]
) -> tuple[Generation, bool]:
    """As `begin_stream`, and return whether it is new or what its key has stood for already."""
    _refuse_transaction()
    intake = accept(messages, **options)
    now = timezone.now()
    # In no transaction but its own, which begins with the INSERT: SQLite would refuse to lock
    # what was read in it before, and MariaDB would not show the row of whoever was faster.
    generation, is_new = save_intent(
        intake,
        mode=Mode.STREAM,
        now=now,
        next_check_at=now + TAKE_UP_LIMIT,
        idempotency_key=idempotency_key,
    )
    if is_new:
        enqueue.stream(generation.pk)
    return generation, is_new


def stream(messages: Any, **options: Unpack[StreamOptions]) -> GenerationStream:
    """Begin a generation and return its chunks as they come; see `GenerationStream`.

    Takes and raises what `begin_stream` does.
    """
    return GenerationStream(begin_stream(messages, **options))


def attach(generation: Generation, *, after: Position | str | None = None) -> GenerationStream:
    """Follow a generation, or hear again what it said, behind a position told by a session.

    Raises: RequestError where `after` is no position.
    """
    return GenerationStream(generation, after=_position(after))


async def astream(messages: Any, **options: Unpack[StreamOptions]) -> AsyncGenerationStream:
    """As `stream`, for a coroutine."""
    generation = await rows.run_async(partial(begin_stream, messages, **options))
    return AsyncGenerationStream(generation)


async def aattach(
    generation: Generation, *, after: Position | str | None = None
) -> AsyncGenerationStream:
    """As `attach`, for a coroutine."""
    return AsyncGenerationStream(generation, after=_position(after))


class _Session:
    """What both kinds of stream know of themselves."""

    def __init__(self, generation: Generation, *, after: Position = START) -> None:
        self.generation = generation
        """The row: as it was at the beginning, and after the last chunk as it is then."""
        self.position = after
        """Where this session is; `attach(generation, after=position)` goes on from here."""
        self.error_code = ""
        """Why there is no (whole) answer, as in the error frame; empty where all is well."""
        self.error_message = ""
        self._transcript: Transcript | None = None

    def _chunks_of(self, batch: Batch) -> Iterator[Chunk]:
        """Yield a batch's chunks; where the pump is in this process, those that it has parsed."""
        parsed = self._parsed_here()
        for frame in batch:
            self.position = frame.end
            if frame.event == CHUNK:
                known = None if frame.is_from_row else parsed.get(frame.number)
                chunk = known or _read(frame)
                if chunk is not None:
                    yield chunk
            elif frame.event == ERROR:
                failure = json.loads(frame.data)
                self.error_code, self.error_message = failure["code"], failure["message"]

    def _parsed_here(self) -> Mapping[int, Chunk]:
        if self._transcript is None:
            self._transcript = transcripts_here.get(self.generation.pk)
            if self._transcript is None:
                return {}
        if self._transcript.recent is None:
            self._transcript.recent = {}
        return self._transcript.recent


class GenerationStream(_Session):
    """Iterates the chunks of a generation once; the finished row is then in `generation`.

    A generation that fails ends the iteration, and `generation.status` and `error_code` say so.
    Leaving early, with `close()` or the end of a `with` block, stops only the reading.
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

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop reading. The generation goes on."""
        self._chunks.close()

    def _read(self) -> Generator[Chunk, None, None]:
        with closing(follow(self.generation.pk, after=self.position)) as batches:
            for batch in batches:
                yield from self._chunks_of(batch)
        self.generation = rows.run(partial(_reload, self.generation))


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

    async def __aexit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Stop reading. The generation goes on."""
        await self._chunks.aclose()

    async def _read(self) -> AsyncGenerator[Chunk, None]:
        async with aclosing(follow_async(self.generation.pk, after=self.position)) as batches:
            async for batch in batches:
                for chunk in self._chunks_of(batch):
                    yield chunk
        self.generation = await rows.run_async(partial(_reload, self.generation))


def _refuse_transaction() -> None:
    if transaction.get_connection().in_atomic_block:
        # Raises, but not in the transaction of a TestCase.
        with transaction.atomic(durable=True, savepoint=False):
            pass


def _read(frame: Frame) -> Chunk | None:
    """Return the frame's chunk, or None where the remote wrote what is none."""
    try:
        return parse_chunk(frame.data)
    except ContractError:
        return None


def _reload(generation: Generation) -> Generation:
    return Generation.objects.select_related("content").get(pk=generation.pk)


def _position(written: Position | str | None) -> Position:
    if written is None:
        return START
    if isinstance(written, Position):
        return written
    try:
        return Position.parse(written)
    except ValueError:
        text = "is not a position told by a stream"
        raise RequestError(f"after {text}", errors={"after": [text]}) from None
