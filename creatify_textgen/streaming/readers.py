"""What a streaming answer iterates: the bytes of frames and heartbeats, sync or async.

A synchronous iterator under ASGI would be read whole before anything is sent, an asynchronous
one under WSGI too. Invariant: a reader holds its slot until it is closed.
"""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, closing

from asgiref.sync import SyncToAsync

from creatify_textgen.hub import Frame, Position
from creatify_textgen.models import Generation
from creatify_textgen.services.streaming import follow, follow_async
from creatify_textgen.streaming.limits import Slot

__all__ = ["AsyncReader", "SyncReader"]

HEARTBEAT = b": heartbeat\n\n"


class _Reader:
    def __init__(self, generation_id: uuid.UUID, *, after: Position, slot: Slot) -> None:
        self._generation_id = generation_id
        self._after = after
        self._slot = slot

    def close(self) -> None:
        """Give the slot back; the server calls it when the answer ends or its reader leaves."""
        self._slot.release()


class SyncReader(_Reader):
    """For WSGI: a thread waits here."""

    def __iter__(self) -> Iterator[bytes]:
        self._slot.start()
        try:
            with closing(follow(self._generation_id, after=self._after)) as batches:
                for batch in batches:
                    yield _bytes_of(batch)
        except Generation.DoesNotExist:
            return
        finally:
            self.close()


class AsyncReader(_Reader):
    """For ASGI: a coroutine waits here."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        self._slot.start()
        _let_thread_go()
        try:
            async with aclosing(follow_async(self._generation_id, after=self._after)) as batches:
                async for batch in batches:
                    yield _bytes_of(batch)
        except Generation.DoesNotExist:
            return
        finally:
            self.close()


def _let_thread_go() -> None:
    """End the thread that Django holds for this request, now that its view has returned.

    It would idle as long as the stream lasts, and take more memory than all else of a reader.
    asgiref makes another where one is needed again.
    """
    context = SyncToAsync.thread_sensitive_context.get(None)
    if context is None or getattr(context, "_executor", None) is not None:
        return
    executor = SyncToAsync.context_to_thread_executor.pop(context, None)
    if executor is not None:
        executor.shutdown(wait=False)


def _bytes_of(batch: list[Frame]) -> bytes:
    if len(batch) == 1:
        return batch[0].wire
    return b"".join([frame.wire for frame in batch]) or HEARTBEAT
