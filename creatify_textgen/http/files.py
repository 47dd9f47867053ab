"""A stored image or video as an answer, the same one for REST and for the admin.

It is sent in blocks, because a video may have 100 MB, and by byte range, because browsers seek in
videos by range. A browser that shows it runs nothing of it.
"""

from __future__ import annotations

import re

from django.core.files import File
from django.http import (
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    JsonResponse,
    StreamingHttpResponse,
)

from creatify_textgen.http.blocks import blocks_for
from creatify_textgen.models import Media

__all__ = ["answer_file"]

BLOCK_BYTES = 256 * 1024
# Few digits, because Python refuses to read thousands of them.
RANGE = re.compile(r"bytes=(\d{0,15})-(\d{0,15})")
# An SVG may contain scripts.
SAFE_TYPE = re.compile(r"(image/(?!svg)|video/)[a-z0-9.+-]+")
HEADERS = {
    "Accept-Ranges": "bytes",
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "X-Content-Type-Options": "nosniff",
    # The file of an id never changes, but its readers' permissions may.
    "Cache-Control": "private, max-age=300",
}


class FilePart:
    """A part of a file, read block by block."""

    def __init__(self, file: File[bytes], *, length: int) -> None:
        self._file = file
        self._left = length

    def next_block(self) -> bytes:
        block: bytes = self._file.read(min(BLOCK_BYTES, self._left))
        self._left -= len(block)
        return block


def answer_file(request: HttpRequest, media: Media, file: File[bytes]) -> HttpResponseBase:
    """Return the file, or the range that the request names. The file is closed once it is sent."""
    wanted = _wanted_range(request.headers.get("Range", ""), size=media.size)
    if wanted is None:
        file.close()
        headers = {"Content-Range": f"bytes */{media.size}"}
        error = f"The file has {media.size} bytes, and this Range is outside of it."
        return JsonResponse(
            {"error": error, "code": "outside_of_file"}, status=416, headers=headers
        )
    start, end = wanted
    headers = _headers(media, length=end - start)
    response: HttpResponse | StreamingHttpResponse
    if request.method == "HEAD":  # Servers would read the file to its end, and not send it.
        file.close()
        response = HttpResponse(headers=headers)
    else:
        file.seek(start)
        part = FilePart(file, length=end - start)
        blocks = blocks_for(request, part.next_block, close=file.close)
        response = StreamingHttpResponse(blocks, headers=headers)
    if end - start < media.size:
        response.status_code = 206
        response.headers["Content-Range"] = f"bytes {start}-{end - 1}/{media.size}"
    return response


def _headers(media: Media, *, length: int) -> dict[str, str]:
    # An imported row may have any type. Only images and videos are shown, the rest is downloaded.
    is_safe = SAFE_TYPE.fullmatch(media.mime_type) is not None
    return {
        **HEADERS,
        "Content-Type": media.mime_type if is_safe else "application/octet-stream",
        "Content-Disposition": f'{"inline" if is_safe else "attachment"}; filename="{media.pk}"',
        "Content-Length": str(length),
    }


def _wanted_range(header: str, *, size: int) -> tuple[int, int] | None:
    """Return start and end of a single range (RFC 9110, 14.1.2); None for one outside the file.

    Several ranges, and an invalid range, are answered with the whole file.
    """
    # `If-Range` is not read: it names a validator (RFC 9110, 13.1.5), and these answers have none.
    found = RANGE.fullmatch(header)
    if found is None or found.groups() == ("", ""):
        return 0, size
    first, last = found.groups()
    if not first:
        return (max(0, size - int(last)), size) if int(last) and size else None
    start, end = int(first), min(int(last) + 1 if last else size, size)
    return (start, end) if start < end else None
