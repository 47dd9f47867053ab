"""Copies a medium from any kind of source into a temporary file, and checks it.

Nothing is stored here. An error of the source is the caller's fault (RequestError, under `data`
or `mime_type`). A full temporary folder is the site's fault (TextgenError `media_storage_failed`).
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from django.conf import settings
from django.core.files import File
from django.utils.translation import gettext as _

from creatify_textgen.exceptions import TextgenError
from creatify_textgen.intake.staging.base64_text import decode_blocks, split_data_url
from creatify_textgen.intake.staging.formats import (
    HEAD_BYTES,
    LIMITS,
    MIME_TYPES,
    Format,
    canonical_mime_type,
    sniff,
)
from creatify_textgen.intake.staging.refusals import refusal
from creatify_textgen.logs import REQUESTS

__all__ = ["StagedMedia", "stage"]

BLOCK_BYTES = 1024 * 1024
IN_MEMORY_BYTES = 1024 * 1024
MEGABYTE = 1024 * 1024
LARGEST_KIND = max(LIMITS, key=LIMITS.__getitem__)


@dataclass(slots=True)
class StagedMedia:
    """A checked medium in a temporary file. The code that called `stage` closes it."""

    file: IO[bytes]
    size: int
    """In decoded bytes."""
    sha256: str
    """Of the decoded bytes, in hex."""
    format: Format
    """What the content is by its first bytes."""
    mime_type: str
    """The declared type in the contract's spelling, or the type of the content."""
    is_new: bool = False
    """Whether it has been stored, and its owner had not stored it before."""

    def close(self) -> None:
        _close(self.file)


def stage(source: Any, *, kind: str | None = None, mime_type: str | None = None) -> StagedMedia:
    """Read a medium to its end and return it in a temporary file, which the caller closes.

    `source` is base64 text (with or without a `data:` prefix), bytes, bytearray, memoryview, a
    pathlib.Path, a Django File or a binary stream. `kind` is `image` or `video`; None accepts
    both. Raises: RequestError if the content breaks a rule; TextgenError `media_storage_failed`.
    """
    start = 0
    if isinstance(source, str):
        prefix, start = split_data_url(source)
        mime_type = _agreed(prefix, mime_type)
    declared = _check_declared(mime_type, kind=kind)
    blocks = _blocks(source, start=start)
    # Not in a `with`: the caller of this function closes it, with the staged medium.
    file = tempfile.SpooledTemporaryFile(IN_MEMORY_BYTES, dir=settings.FILE_UPLOAD_TEMP_DIR)  # noqa: SIM115
    try:
        size, sha256 = _copy(blocks, file, kind=kind or LARGEST_KIND)
        format_ = _recognize(file, kind=kind, declared=declared)
        _check_size(size, kind=format_.kind)
        _warn_of_base64(size, kind=format_.kind)
    except BaseException:
        _close(file)
        raise
    return StagedMedia(file, size, sha256, format_, declared or format_.mime_types[0])


def _agreed(prefix: str | None, declared: str | None) -> str | None:
    if prefix and declared and canonical_mime_type(prefix) != canonical_mime_type(declared):
        raise refusal("Differs from the type in the data: URL.", field="mime_type")
    if not prefix and not declared:
        raise refusal("Is required beside base64, such as image/png.", field="mime_type")
    return declared or prefix


def _check_declared(mime_type: str | None, *, kind: str | None) -> str | None:
    if mime_type is None:
        return None
    canonical = canonical_mime_type(mime_type)
    taken = MIME_TYPES[kind] if kind else sum(MIME_TYPES.values(), ())
    if canonical not in taken:
        raise refusal(
            _("Must be one of %(names)s.") % {"names": ", ".join(taken)}, field="mime_type"
        )
    return canonical


def _copy(blocks: Iterator[bytes], file: IO[bytes], *, kind: str) -> tuple[int, str]:
    digest, size = hashlib.sha256(), 0
    # The size is checked with each block, so that an endless source cannot fill the disk.
    for block in _readable(blocks):
        size += len(block)
        _check_size(size, kind=kind)
        digest.update(block)
        with _our_fault():
            file.write(block)
    if not size:
        raise refusal(_("Is empty."))
    with _our_fault():
        file.flush()
    return size, digest.hexdigest()


@contextmanager
def _our_fault() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise TextgenError(
            "The medium could not be written to the temporary folder: check its free space.",
            code="media_storage_failed",
        ) from error


def _check_size(size: int, *, kind: str) -> None:
    if size > LIMITS[kind]:
        raise refusal(_("Is larger than %(limit)d MB.") % {"limit": LIMITS[kind] // MEGABYTE})


def _warn_of_base64(size: int, *, kind: str) -> None:
    # It is not known whether the remote's limit is for bytes or for base64 (contract, section 11,
    # row 15).
    encoded = (size + 2) // 3 * 4
    if encoded > LIMITS[kind]:
        REQUESTS.warning(
            "A %s of %d bytes has %d bytes as base64; the remote may refuse it.",
            kind,
            size,
            encoded,
        )


def _recognize(file: IO[bytes], *, kind: str | None, declared: str | None) -> Format:
    file.seek(0)
    found = sniff(file.read(HEAD_BYTES))
    if found is None:
        taken = MIME_TYPES[kind] if kind else sum(MIME_TYPES.values(), ())
        raise refusal(
            _("Does not have the first bytes of %(names)s.") % {"names": ", ".join(taken)}
        )
    if declared and declared not in found.mime_types:
        rule = _("Is %(declared)s, but the content is %(found)s.") % {
            "declared": declared,
            "found": found.mime_types[0],
        }
        raise refusal(rule, field="mime_type")
    if kind and found.kind != kind:
        raise refusal(f"Is {found.mime_types[0]}, not a format of the kind {kind}.")
    return found


def _readable(blocks: Iterator[bytes]) -> Iterator[bytes]:
    try:
        yield from blocks
    except (OSError, ValueError) as error:
        # A closed, missing or unreadable file, or a text file. The error's text may name a path of
        # the server, so only its type is shown.
        raise refusal(f"Could not be read ({type(error).__name__}).") from error


def _blocks(source: Any, *, start: int) -> Iterator[bytes]:
    if isinstance(source, str):
        return decode_blocks(source, start=start)
    if isinstance(source, bytes | bytearray | memoryview):
        return _slices(memoryview(source))
    if isinstance(source, Path):
        return _file_blocks(source)
    if callable(getattr(source, "read", None)):
        return _stream_blocks(source if isinstance(source, File) else File(source))
    raise refusal("Must be base64 text, bytes, a pathlib.Path or a file opened in binary mode.")


def _slices(view: memoryview) -> Iterator[bytes]:
    flat = view.cast("B") if view.c_contiguous else memoryview(view.tobytes())
    for position in range(0, len(flat), BLOCK_BYTES):
        yield bytes(flat[position : position + BLOCK_BYTES])


def _file_blocks(path: Path) -> Iterator[bytes]:
    if not path.is_file():  # A pipe or a device may never end.
        raise refusal("Is not the path of a file that this server can read.")
    with path.open("rb") as file:
        while block := file.read(BLOCK_BYTES):
            yield block


def _stream_blocks(file: File[Any]) -> Iterator[bytes]:
    for block in file.chunks(BLOCK_BYTES):
        if not isinstance(block, bytes):
            raise refusal("Must be opened in binary mode.")
        yield block


def _close(file: IO[bytes]) -> None:
    with suppress(OSError):  # On a full disk, closing tries to write again and fails.
        file.close()
