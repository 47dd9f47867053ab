"""Reads the chunks of one connection, which any thread may close.

`chunk_reader` reads what they mean, and this module decides when to stop. Invariant: `close` closes
the connection, and after a receipt an error of the connection no longer matters.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Self

import requests

from creatify_textgen.exceptions import RemoteError, StreamError
from creatify_textgen.remote import transport
from creatify_textgen.remote.acceptance import accepted_id
from creatify_textgen.remote.chunk_reader import LIMIT, ChunkReader
from creatify_textgen.remote.chunks import Chunk
from creatify_textgen.remote.contract import Receipt
from creatify_textgen.remote.observation import Observation
from creatify_textgen.remote.plain_answers import PlainAnswer

LINGER_SECONDS = 2.0
"""How long reading continues after the receipt. It is in the last chunk, but more may follow."""
LONGEST_STREAM_SECONDS = 3600.0
"""The limit for a whole answer. The longest real answers take some minutes."""


class ChunkStream:
    """Iterates the chunks of a stream once, in one thread. Use it in a `with` block.

    It ends normally only after the remote's receipt. Raises: `StreamError` for every other end,
    with code `stream_interrupted` (cut, silent, closed here, unfinished), `stream_limit`,
    `unreadable_answer`, or the remote's own word for an error. The chunk with that error, and a
    receipt after it, are yielded first.
    """

    def __init__(
        self,
        session: requests.Session,
        response: requests.Response,
        *,
        line: transport.WatchedSocket,
        cap: int,
        plain_cap: int,
        secrets: Iterable[str] = (),
        observation: Observation,
    ) -> None:
        self._session = session
        self._observation = observation
        self._response = response
        self._line = line
        # The head of the answer is here, so the deadline of the send was met. This one is longer.
        line.until = time.monotonic() + LONGEST_STREAM_SECONDS
        self._reader = ChunkReader(cap=cap, secrets=secrets)
        self._plain = PlainAnswer(cap=plain_cap)
        self._chunks = self._read()
        # Held while a chunk is read, so that no other thread closes the response meanwhile.
        self._reading = threading.Lock()
        self.before_wait: Callable[[], None] = _nothing
        """Called in the reading thread when everything that has arrived was read."""

    @property
    def receipt(self) -> Receipt | None:
        """The last receipt seen, or None before the end."""
        return self._reader.receipt

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Chunk:
        with self._reading:
            try:
                chunk = next(self._chunks)
            except StopIteration:
                self._observation.end()
                raise
            except BaseException as error:
                self._observation.end(error)
                raise
            self._observation.take(chunk)
            return chunk

    def close(self) -> None:
        """Close the connection and wake a waiting reader. Any thread may call it, also twice."""
        self._line.cut()
        # A thread that is reading gets an error or the end, and closes the rest itself.
        if self._reading.acquire(blocking=False):
            try:
                self._release()
            finally:
                self._reading.release()

    def _read(self) -> Iterator[Chunk]:
        failure: RemoteError | None = None
        until = math.inf
        try:
            blocks = transport.read_blocks(self._response, line=self._line)
            for block in self._plain.as_events(blocks):
                yield from self._reader.read(block)
                self.before_wait()
                # The receipt may come before the end: a later one may name the final cost.
                if self._reader.is_ending and until == math.inf:
                    until = time.monotonic() + LINGER_SECONDS
                    self._line.wait = LINGER_SECONDS
                if time.monotonic() > until:
                    break
        except RemoteError as error:
            failure = error
        yield from self._end(failure)

    def _end(self, failure: RemoteError | None) -> Iterator[Chunk]:
        """Yield the chunks in the last lines, then raise the error that the end means, if any."""
        try:
            yield from self._reader.end()
        except StreamError as error:
            ended = self._explained(error, failure)
        else:
            return
        if self.receipt is None:
            head = self._response.headers
            ended.accepted_as = self._plain.accepted_as or accepted_id(
                b"", head, url=self._response.url
            )
        raise ended

    def _explained(self, error: StreamError, failure: RemoteError | None) -> StreamError:
        # An error that the stream reports says more than the connection that ended after it.
        if failure is None or error.code != StreamError.code:
            return error
        if self._line.is_over:
            message = f"The stream took longer than {LONGEST_STREAM_SECONDS:.0f} s."
            return StreamError(message, code=LIMIT)
        what = "was closed here" if self._line.is_cut else f"broke off. {failure}"
        return StreamError(f"The stream {what}")

    def _release(self) -> None:
        self._observation.end()
        self._response.close()
        self._session.close()


def _nothing() -> None:
    pass
