"""Stores an image or a video of a user, if the user may store one more."""

from __future__ import annotations

from typing import Any

from creatify_textgen import clock, control
from creatify_textgen.intake.media import keep, read_upload
from creatify_textgen.intake.owners import expect_owner
from creatify_textgen.models import Media

__all__ = ["store_media"]


def store_media(
    file: Any, *, owner: Any = None, mime_type: str | None = None, kind: str | None = None
) -> Media:
    """Check an image or a video, store it once, and return its row.

    `file` is a Django File, a binary stream, bytes, a pathlib.Path or base64 text. The same
    content of the same owner gives the same row. Raises: RequestError, its paths `file`,
    `mime_type`, `kind` and `owner`; PolicyRefusal; TextgenError `media_storage_failed` if the
    storage fails.
    """
    owner_id = expect_owner(owner)
    # In this order: only what was read and is a medium is counted, by its size in bytes.
    with (
        read_upload(file, mime_type=mime_type, kind=kind) as staged,
        control.admitted_uploads(owner, [staged], now=clock.now()),
    ):
        return keep(staged, owner_id=owner_id)
