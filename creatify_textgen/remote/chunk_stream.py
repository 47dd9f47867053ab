"""A stream while it is read: the chunks of one connection, which any thread may close.

What the chunks mean is in `chunks`; here is only when to stop reading. Invariant: the connection
is given up at every end, and a receipt makes it a good end whatever the connection does then.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Self

import requests

from creatify_textgen.exceptions import RemoteError, StreamError
from creatify_textgen.remote import transport
from creatify_textgen.remote.chunks import Chunk, read_chunks
from creatify_textgen.remote.contract import Receipt

# The receipt is in the last chunk, but whether that is the last event nobody has promised.
LINGER_SECONDS = 2.0


class ChunkStream:
    """Iterates the chunks of a stream once, in one thread.

    Ends normally only after the remote's receipt. Raises: `StreamError` for every other end:
    `stream_interrupted` (cut, silent, closed here, unfinished), `stream_limit`,
    `unreadable_answer`, or the remote's own word after the chunk whose `error` it is.
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
        self._blocks = transport.read_blocks(response, line=line)
        self._chunks = read_chunks(self._read(), cap=cap)
        self._reading = threading.Lock()
        self._linger_until: float | None = None
        self.receipt: Receipt | None = None
        """The last receipt seen, or None before the end."""
        self.before_wait: Callable[[], None] = _nothing
        """Called in the reading thread when all that has arrived was read."""

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
                chunk = next(self._chunks)
            except BaseException:
                self._release()
                raise
            if receipt := chunk.receipt:
                self.receipt = receipt
                self._linger()
            return chunk

    def close(self) -> None:
        """Give the connection up. Any thread may call it, twice too; a waiting reader wakes."""
        self._line.cut()
        if self._reading.acquire(blocking=False):
            try:
                self._release()
            finally:
                self._reading.release()

    def _read(self) -> Iterator[bytes]:
        try:
            for block in self._blocks:
                yield block
                self.before_wait()
                if self._linger_until is not None and time.monotonic() > self._linger_until:
                    return
        except RemoteError as error:
            if self.receipt is None:
                what = "was closed here" if self._line.is_cut else f"broke off. {error}"
                raise StreamError(f"The stream {what}") from None

    def _linger(self) -> None:
        self._linger_until = time.monotonic() + LINGER_SECONDS
        self._line.set_timeout(LINGER_SECONDS)

    def _release(self) -> None:
        self._response.close()
        self._session.close()


def _nothing() -> None:
    pass
