"""Iterators over the bytes of frames and heartbeats: one for WSGI, one for ASGI.

Django reads an iterator of the wrong kind to its end before it sends anything, so both kinds are
needed. Invariant: a reader holds its slot until it is closed.
"""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, closing

from asgiref.sync import SyncToAsync

from creatify_textgen.models import Generation
from creatify_textgen.rest.streaming.formats import Renderer
from creatify_textgen.rest.streaming.limits import Slot
from creatify_textgen.streams.follow import follow, follow_async
from creatify_textgen.streams.hub import Position

__all__ = ["HEARTBEAT", "AsyncReader", "SyncReader", "let_thread_go"]

HEARTBEAT = b": heartbeat\n\n"


class _Reader:
    def __init__(
        self, generation_id: uuid.UUID, *, after: Position, slot: Slot, renderer: Renderer
    ) -> None:
        self._generation_id = generation_id
        self._after = after
        self._slot = slot
        self._render = renderer.render

    def close(self) -> None:
        """Give the slot back. Django calls it when the response ends or the client disconnects."""
        self._slot.release()


class SyncReader(_Reader):
    """For WSGI: a thread waits for each frame."""

    def __iter__(self) -> Iterator[bytes]:
        # Not before: nothing may close a response that is never read, but a reservation expires.
        self._slot.start()
        try:
            with closing(follow(self._generation_id, after=self._after)) as batches:
                for batch in batches:
                    yield self._render(batch) or HEARTBEAT
        except Generation.DoesNotExist:
            # Deleted while it was read. The status was sent long ago, so the stream just ends.
            return


class AsyncReader(_Reader):
    """For ASGI: a coroutine waits for each frame, and no thread is held."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        self._slot.start()
        let_thread_go()
        try:
            async with aclosing(follow_async(self._generation_id, after=self._after)) as batches:
                async for batch in batches:
                    yield self._render(batch) or HEARTBEAT
        except Generation.DoesNotExist:
            return


def let_thread_go() -> None:
    """End the thread that Django keeps for this request, because its view has returned.

    It would stay idle as long as the stream lasts, and it takes more memory than the rest of a
    reader. asgiref makes another if one is needed again.
    """
    # Private names of asgiref 3: `.get` and `getattr` do nothing if a later version changes them.
    context = SyncToAsync.thread_sensitive_context.get(None)
    if context is None or getattr(context, "_executor", None) is not None:
        return
    executor = SyncToAsync.context_to_thread_executor.pop(context, None)
    if executor is not None:
        executor.shutdown(wait=False)
