"""A stored file as an answer that a browser may show and can't be harmed by.

Nothing here reads a whole file: a video has 100 MB.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from asgiref.sync import sync_to_async
from django.core.files import File
from django.core.handlers.asgi import ASGIRequest
from django.http import FileResponse, HttpRequest, StreamingHttpResponse

from creatify_textgen.models import Media

__all__ = ["stream_media"]

BLOCK_BYTES = 256 * 1024


class AsyncBlocks:
    """Blocks of a file for an async server, which would read a plain file whole first."""

    def __init__(self, file: File[bytes]) -> None:
        self._file = file

    async def __aiter__(self) -> AsyncIterator[bytes]:
        read = sync_to_async(self._file.read, thread_sensitive=False)
        while block := await read(BLOCK_BYTES):
            yield block

    def close(self) -> None:
        self._file.close()


def stream_media(request: HttpRequest, media: Media, file: File[bytes]) -> StreamingHttpResponse:
    """Return the file as an answer in blocks, by its stored type and nobody's guess."""
    headers = {
        "Content-Length": str(media.size),
        "Content-Disposition": f'inline; filename="{media.pk}"',
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "sandbox; default-src 'none'",
        # What an id shows never changes; who may see it is asked again by each new cache.
        "Cache-Control": "private, max-age=3600, immutable",
    }
    if isinstance(request, ASGIRequest):
        response = StreamingHttpResponse(AsyncBlocks(file), content_type=media.mime_type)
    else:
        response = FileResponse(file, content_type=media.mime_type)
    for name, value in headers.items():
        response.headers[name] = value
    return response
