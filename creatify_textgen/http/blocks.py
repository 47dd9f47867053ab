"""An answer in blocks, for a sync server and for an async one. One block is held at a time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest

__all__ = ["AsyncBlocks", "Blocks", "blocks_for"]

NextBlock = Callable[[], bytes]


class Blocks:
    """Blocks until an empty one."""

    def __init__(self, next_block: NextBlock, *, close: Callable[[], None]) -> None:
        self._next_block = next_block
        self.close = close

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._next_block, b"")


class AsyncBlocks:
    """The same without holding up the event loop.

    Django would read a plain iterator to its end before it sends a byte.
    """

    def __init__(self, next_block: NextBlock, *, close: Callable[[], None]) -> None:
        # In the request's own thread, which has its connection to the database.
        self._next_block = sync_to_async(next_block, thread_sensitive=True)
        self.close = close

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while block := await self._next_block():
            yield block


def blocks_for(
    request: HttpRequest, next_block: NextBlock, *, close: Callable[[], None]
) -> Blocks | AsyncBlocks:
    """Return the blocks in the form that the server of this request sends.

    `next_block` returns b"" at the end. Django calls `close` once the answer is sent.
    """
    # By the request and not by the view: Django calls sync views under ASGI, too.
    kind = AsyncBlocks if isinstance(request, ASGIRequest) else Blocks
    return kind(next_block, close=close)
