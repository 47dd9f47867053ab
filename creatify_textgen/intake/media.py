"""Stores images and videos: one file per content, one row per owner and content.

The only writer of the media storage. Invariant: a row names a file that was written completely.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any
from uuid import UUID

from django.core.files import File
from django.core.files.storage import Storage, storages
from django.db import IntegrityError
from django.utils.translation import gettext as _

from creatify_textgen import clock
from creatify_textgen.conf import conf
from creatify_textgen.exceptions import RequestError, TextgenError
from creatify_textgen.intake.owners import refuse_deleted
from creatify_textgen.intake.rows import expect_row
from creatify_textgen.intake.staging import StagedMedia, stage
from creatify_textgen.intake.text import kind_of
from creatify_textgen.logs import SWEEP
from creatify_textgen.models import Generation, Media, read_uuid

__all__ = [
    "FOLDER",
    "delete_discarded",
    "delete_file",
    "find_media",
    "get_media_for",
    "has_file",
    "is_erased",
    "keep",
    "open_media",
    "read_block",
    "read_upload",
]

FOLDER = "creatify_textgen_media"
"""Within the storage; also a name that no folder of a host has, should MEDIA_ROOT be empty."""
LONGEST_PATH = 255
"""The length of the column `Media.path`."""
# What browsers send for a file whose type they do not know; then the content decides.
UNDECLARED = ("", "application/octet-stream")


@contextmanager
def read_upload(
    file: Any, *, mime_type: str | None = None, kind: str | None = None
) -> Iterator[StagedMedia]:
    """Check an image or a video, and yield it as it waits in a temporary file.

    `file` is a Django File, a binary stream, bytes, a pathlib.Path or base64 text. Raises:
    RequestError, with errors under `file`, `mime_type` or `kind`.
    """
    if kind is not None and kind not in Media.Kind.values:
        rule = f"Must be one of {', '.join(Media.Kind.values)}."
        raise RequestError.about("kind", rule)
    declared: Any = None if mime_type in UNDECLARED else mime_type
    if declared is not None and not isinstance(declared, str):
        rule = f"Must be a string, not {kind_of(declared)}."
        raise RequestError.about("mime_type", rule)
    try:
        staged = stage(file, kind=kind, mime_type=declared)
    except RequestError as error:
        errors = {"file" if path == "data" else path: texts for path, texts in error.errors.items()}
        path, texts = next(iter(errors.items()))
        raise RequestError(f"{path}: {' '.join(texts)}", errors=errors) from error
    try:
        yield staged
    finally:
        staged.close()


def keep(staged: StagedMedia, *, owner_id: Any) -> Media:
    """Store a staged medium if the storage lacks its content, and return the owner's row.

    Raises: TextgenError `media_storage_failed`. The caller closes `staged`.
    """
    identity = {"owner_id": owner_id, "sha256": staged.sha256, "mime_type": staged.mime_type}
    # get_or_create alone is not enough: in SQL, rows with a NULL owner are never duplicates.
    existing = Media.objects.filter(**identity).order_by("created_at").first()
    is_whole = existing and _is_whole(_storage(), existing.path, size=existing.size)
    if existing and is_whole and existing.discarded_at is None:
        return existing
    path = _write_once(staged)
    # A row that was given up is taken back, unless it has been deleted by now.
    if existing and Media.objects.filter(pk=existing.pk).update(path=path, discarded_at=None):
        existing.path, existing.discarded_at = path, None
        media = existing
    else:
        defaults = {"kind": staged.format.kind, "size": staged.size, "path": path}
        media, staged.is_new = _row_of(identity, defaults)
    if not _is_whole(_storage(), media.path, size=media.size):
        # The last row that named this file was deleted meanwhile, and its file with it.
        _write_once(staged)
    return media


def _row_of(identity: Mapping[str, Any], defaults: Mapping[str, Any]) -> tuple[Media, bool]:
    try:
        return Media.objects.get_or_create(**identity, defaults=defaults)
    except IntegrityError:
        refuse_deleted({identity["owner_id"]} - {None})
        raise


def open_media(media: Media) -> File[Any]:
    """Return the stored file, opened for reading bytes. The caller closes it.

    Raises: RequestError `media_missing` if the storage does not have it any more; TextgenError
    `media_storage_failed`.
    """
    expect_row(media, Media)
    with _translated("opened"):
        try:
            return _storage().open(media.path, "rb")
        except FileNotFoundError as error:
            raise RequestError(
                _("The file of media %(id)s is gone: upload it again.") % {"id": media.pk},
                code="media_missing",
            ) from error


def read_block(stored: File[Any], size: int) -> bytes:
    """Return up to so many bytes of an opened file; none at its end.

    Raises: TextgenError `media_storage_failed`.
    """
    with _translated("read"):
        block: bytes = stored.read(size)
        return block


def has_file(media: Media) -> bool:
    """Return whether the storage has the medium with its full size.

    Raises: TextgenError `media_storage_failed`.
    """
    return _is_whole(_storage(), media.path, size=media.size)


def get_media_for(user: Any, media_id: UUID | str) -> Media:
    """Return a medium of this user. With None as user, return one that belongs to the site.

    Raises: RequestError `media_not_found`, also for another user's medium, and for an anonymous
    user.
    """
    wanted = read_uuid(media_id)
    if wanted and (user is None or getattr(user, "is_authenticated", False)):
        found = find_media([wanted], owner_id=getattr(user, "pk", None)).get(wanted)
        if found:
            return found
    raise RequestError(_("No such media."), code="media_not_found")


def find_media(media_ids: Collection[UUID], *, owner_id: Any) -> dict[UUID, Media]:
    """Return the media that belong to the owner, by id. One query."""
    return Media.objects.filter(owner_id=owner_id, discarded_at=None).in_bulk(media_ids)


def is_erased(media: Media) -> bool:
    """Return whether it only waits for the end of generations whose owner was erased.

    Such a file is sent to the remote, and shown to nobody.
    """
    uses = Generation.objects.filter(media=media)
    return uses.exists() and not uses.filter(content_removed_at=None).exists()


def delete_discarded(*, limit: int) -> tuple[int, int]:
    """Delete up to `limit` media that were given up; return how many, and their bytes.

    First the file, then the row: whoever is killed in between leaves a row that is deleted later.
    A file whose deletion fails is logged and tried again later.
    """
    count = size = 0
    for media in Media.objects.exclude(discarded_at=None).order_by("discarded_at")[:limit]:
        try:
            delete_file(media)
        except TextgenError as error:
            SWEEP.warning("The file of media %s stays for now: %s", media.pk, error.__cause__)
            # Behind the others, so that it never keeps them waiting.
            Media.objects.filter(pk=media.pk).update(discarded_at=clock.now())
            continue
        if Media.objects.filter(pk=media.pk).exclude(discarded_at=None).delete()[0]:
            count, size = count + 1, size + media.size
    return count, size


def delete_file(media: Media) -> None:
    """Delete a medium's file, unless another row names it. May be called again.

    Raises: TextgenError `media_storage_failed`.
    """
    others = Media.objects.filter(sha256=media.sha256, path=media.path).exclude(pk=media.pk)
    if not others.filter(discarded_at=None).exists():
        with _translated("deleted"), suppress(FileNotFoundError):
            _storage().delete(media.path)


def _storage() -> Storage:
    return storages[conf.media_storage]


@contextmanager
def _translated(verb: str) -> Iterator[None]:
    try:
        yield
    except TextgenError:
        raise
    except Exception as error:  # Storages raise their vendor's exceptions, not only OSError.
        raise TextgenError(
            f"The media storage failed: a file could not be {verb}. Check its space and access.",
            code="media_storage_failed",
        ) from error


def _is_whole(storage: Storage, path: str, *, size: int) -> bool:
    with _translated("looked up"):
        try:
            return storage.exists(path) and storage.size(path) == size
        except FileNotFoundError:  # Deleted between the two calls.
            return False


def _write_once(staged: StagedMedia) -> str:
    storage = _storage()
    digest = staged.sha256
    wanted = f"{FOLDER}/{digest[:2]}/{digest}.{staged.format.extension}"
    if _is_whole(storage, wanted, size=staged.size):
        return wanted
    with _translated("stored"), _nothing_half_made(storage, wanted):
        staged.file.seek(0)
        written = storage.save(wanted, File(staged.file), max_length=LONGEST_PATH)
    # Another process wrote the same content meanwhile, so the storage chose a second name.
    if written != wanted and _is_whole(storage, wanted, size=staged.size):
        with suppress(Exception):
            storage.delete(written)
        return wanted
    return written


@contextmanager
def _nothing_half_made(storage: Storage, path: str) -> Iterator[None]:
    # A file that existed before belongs to another writer, which may still be writing it.
    was_there = storage.exists(path)
    try:
        yield
    except BaseException:
        with suppress(Exception):
            if not was_there:
                storage.delete(path)
        raise
