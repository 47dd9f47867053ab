"""A stream while it is read: the chunks of one connection, which any thread may close.

What the chunks mean is in `chunks`; here is only when to stop reading. Invariant: the connection
is given up at every end, and a receipt makes it a good end whatever the connection does then.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Self

import requests

from creatify_textgen.exceptions import RemoteError, StreamError
from creatify_textgen.remote import transport
from creatify_textgen.remote.chunk_reader import ChunkReader
from creatify_textgen.remote.chunks import Chunk
from creatify_textgen.remote.contract import Receipt

# The receipt is in the last chunk, but whether that is the last event nobody has promised.
LINGER_SECONDS = 2.0


class ChunkStream:
    """Iterates the chunks of a stream once, in one thread.

    Ends normally only after the remote's receipt. Raises: `StreamError` for every other end:
    `stream_interrupted` (cut, silent, closed here, unfinished), `stream_limit`,
    `unreadable_answer`, or the remote's own word after the chunk whose `error` it is, and after
    what may follow that: a receipt.
    """

    def __init__(
        self,
        session: requests.Session,
        response: requests.Response,
        *,
        line: transport.Line,
        cap: int,
    ) -> None:
        self._session = session
        self._response = response
        self._line = line
        self._reader = ChunkReader(cap=cap)
        self._chunks = self._read()
        self._reading = threading.Lock()
        self.before_wait: Callable[[], None] = _nothing
        """Called in the reading thread when all that has arrived was read."""

    @property
    def receipt(self) -> Receipt | None:
        """The last receipt seen, or None before the end."""
        return self._reader.receipt

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Chunk:
        with self._reading:
            try:
                return next(self._chunks)
            except BaseException:
                self._release()
                raise

    def close(self) -> None:
        """Give the connection up. Any thread may call it, twice too; a waiting reader wakes."""
        self._line.cut()
        if self._reading.acquire(blocking=False):
            try:
                self._release()
            finally:
                self._reading.release()

    def _read(self) -> Iterator[Chunk]:
        failure: RemoteError | None = None
        until = math.inf
        try:
            for block in transport.read_blocks(self._response, line=self._line):
                yield from self._reader.read(block)
                self.before_wait()
                if self._reader.is_ending and until == math.inf:
                    until = time.monotonic() + LINGER_SECONDS
                    self._line.set_timeout(LINGER_SECONDS)
                if time.monotonic() > until:
                    break
        except RemoteError as error:
            failure = error
        yield from self._end(failure)

    def _end(self, failure: RemoteError | None) -> Iterator[Chunk]:
        """Yield what the last lines say, and raise what the end means."""
        try:
            yield from self._reader.end()
        except StreamError as error:
            if failure is None or error.code != StreamError.code:
                raise
            what = "was closed here" if self._line.is_cut else f"broke off. {failure}"
            raise StreamError(f"The stream {what}") from None

    def _release(self) -> None:
        self._response.close()
        self._session.close()


def _nothing() -> None:
    pass
