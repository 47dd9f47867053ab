"""Stored images and videos as answers that a browser shows and can't be harmed by.

Served in blocks and by byte range, which browsers want for videos. Nothing is held whole.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator

from asgiref.sync import sync_to_async
from django.core.files import File
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse

from creatify_textgen.models import Media

__all__ = ["show_file"]

BLOCK_BYTES = 256 * 1024
RANGE = re.compile(r"bytes=(\d{0,15})-(\d{0,15})")
SAFE_TYPE = re.compile(r"(image/(?!svg)|video/)[a-z0-9.+-]+")
HEADERS = {
    "Accept-Ranges": "bytes",
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "X-Content-Type-Options": "nosniff",
    # Who may see it may change; what it shows never does.
    "Cache-Control": "private, max-age=300",
}


class Stretch:
    """A part of a file, read block by block."""

    def __init__(self, file: File[bytes], *, length: int) -> None:
        self.close = file.close
        self._file = file
        self._left = length

    def next_block(self) -> bytes:
        block: bytes = self._file.read(min(BLOCK_BYTES, self._left))
        self._left -= len(block)
        return block


class Blocks(Stretch):
    """For a sync server."""

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.next_block, b"")


class AsyncBlocks(Stretch):
    """For an async server, which would read a plain iterator whole first."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        read = sync_to_async(self.next_block, thread_sensitive=False)
        while block := await read():
            yield block


def show_file(request: HttpRequest, media: Media, file: File[bytes]) -> HttpResponseBase:
    """Return the file, or the range of it that was asked for; closes it when sent."""
    stretch = _stretch(request.headers.get("Range", ""), size=media.size)
    if stretch is None:
        file.close()
        return HttpResponse(status=416, headers={"Content-Range": f"bytes */{media.size}"})
    start, end = stretch
    file.seek(start)
    is_async = isinstance(request, ASGIRequest)
    blocks = (AsyncBlocks if is_async else Blocks)(file, length=end - start)
    response = StreamingHttpResponse(blocks, headers=_headers(media, length=end - start))
    if end - start < media.size:
        response.status_code = 206
        response.headers["Content-Range"] = f"bytes {start}-{end - 1}/{media.size}"
    return response


def _headers(media: Media, *, length: int) -> dict[str, str]:
    # A row from elsewhere may claim any type: what is no picture is only ever downloaded.
    is_safe = SAFE_TYPE.fullmatch(media.mime_type) is not None
    return {
        **HEADERS,
        "Content-Type": media.mime_type if is_safe else "application/octet-stream",
        "Content-Disposition": f'{"inline" if is_safe else "attachment"}; filename="{media.pk}"',
        "Content-Length": str(length),
    }


def _stretch(wanted: str, *, size: int) -> tuple[int, int] | None:
    """Return start and end of a single range (RFC 9110, 14.1.2); the whole for what isn't one."""
    found = RANGE.fullmatch(wanted)
    if found is None or found.groups() == ("", ""):
        return 0, size
    first, last = found.groups()
    if not first:
        return (max(0, size - int(last)), size) if int(last) and size else None
    start, end = int(first), min(int(last) + 1 if last else size, size)
    return (start, end) if start < end else None
