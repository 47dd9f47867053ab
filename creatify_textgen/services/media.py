"""Images and videos at rest: one file a content, one row an owner and content.

The only writer of the media storage. Invariant: a row names a file that was written whole.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from typing import Any
from uuid import UUID

from django.core.files import File
from django.core.files.storage import Storage, storages

from creatify_textgen.conf import conf
from creatify_textgen.exceptions import RequestError, TextgenError
from creatify_textgen.models import Media
from creatify_textgen.services.staging import StagedMedia, stage

__all__ = [
    "find_media",
    "get_media_for",
    "has_file",
    "keep",
    "open_media",
    "store_media",
    "to_uuid",
]

FOLDER = "creatify_textgen"
LONGEST_PATH = 255
UNDECLARED = ("", "application/octet-stream")


def store_media(
    file: Any, *, owner: Any = None, mime_type: str | None = None, kind: str | None = None
) -> Media:
    """Check an image or a video, store it once, and return its row.

    `file` is a Django File, a binary stream, bytes, a pathlib.Path or base64 text. The same
    content of the same owner gives the same row. Raises: RequestError, its paths `file`,
    `mime_type` and `kind`; TextgenError `media_storage_failed` where the storage fails.
    """
    if kind is not None and kind not in Media.Kind.values:
        rule = f"Must be one of {', '.join(Media.Kind.values)}."
        raise RequestError(f"kind: {rule}", errors={"kind": [rule]})
    declared = None if mime_type in UNDECLARED else mime_type
    try:
        staged = stage(file, kind=kind, mime_type=declared)
    except RequestError as error:
        errors = {"file" if path == "data" else path: texts for path, texts in error.errors.items()}
        path, texts = next(iter(errors.items()))
        raise RequestError(f"{path}: {' '.join(texts)}", errors=errors) from error
    try:
        return keep(staged, owner_id=getattr(owner, "pk", None))
    finally:
        staged.close()


def keep(staged: StagedMedia, *, owner_id: Any) -> Media:
    """Store a staged medium, unless its content is there already, and return the owner's row."""
    identity = {"owner_id": owner_id, "sha256": staged.sha256, "mime_type": staged.mime_type}
    # Not get_or_create alone: NULL owners are distinct to the unique constraint.
    existing = Media.objects.filter(**identity).order_by("created_at").first()
    if existing and _is_whole(_storage(), existing.path, size=existing.size):
        return existing
    path = _write_once(staged)
    if existing:
        Media.objects.filter(pk=existing.pk).update(path=path)
        existing.path = path
        return existing
    defaults = {"kind": staged.format.kind, "size": staged.size, "path": path}
    return Media.objects.get_or_create(**identity, defaults=defaults)[0]


def open_media(media: Media) -> File[Any]:
    """Return the stored file, opened for reading bytes; the caller closes it.

    Raises: RequestError `media_missing` where the storage has it no longer.
    """
    with _translated("opened"):
        try:
            return _storage().open(media.path, "rb")
        except FileNotFoundError as error:
            raise RequestError(
                f"The file of media {media.pk} is gone: upload it again.", code="media_missing"
            ) from error


def has_file(media: Media) -> bool:
    """Return whether the storage holds the medium, whole."""
    return _is_whole(_storage(), media.path, size=media.size)


def get_media_for(user: Any, media_id: UUID | str) -> Media:
    """Return the user's own medium; None stands for the site itself.

    Raises: RequestError `media_not_found`, also for another's and for an anonymous user.
    """
    wanted = to_uuid(media_id)
    if wanted and (user is None or getattr(user, "is_authenticated", False)):
        found = find_media([wanted], owner_id=getattr(user, "pk", None)).get(wanted)
        if found:
            return found
    raise RequestError("No such media.", code="media_not_found")


def find_media(media_ids: Collection[UUID], *, owner_id: Any) -> dict[UUID, Media]:
    """Return those of the media that belong to the owner, by id; one query."""
    return Media.objects.filter(owner_id=owner_id).in_bulk(media_ids)


def to_uuid(value: Any) -> UUID | None:
    """Return the id that this is, or None where it is none."""
    try:
        return value if isinstance(value, UUID) else UUID(value)
    except (ValueError, TypeError, AttributeError):
        return None


def _storage() -> Storage:
    return storages[conf.media_storage]


@contextmanager
def _translated(verb: str) -> Iterator[None]:
    try:
        yield
    except TextgenError:
        raise
    except Exception as error:  # each storage raises what its vendor raises, not only OSError
        raise TextgenError(
            f"The media storage failed: a file could not be {verb}. Check its space and access.",
            code="media_storage_failed",
        ) from error


def _is_whole(storage: Storage, path: str, *, size: int) -> bool:
    with _translated("looked up"):
        try:
            return storage.exists(path) and storage.size(path) == size
        except FileNotFoundError:  # deleted between the two calls
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
    # Somebody wrote the same content meanwhile, so the storage chose another name for ours.
    if written != wanted and _is_whole(storage, wanted, size=staged.size):
        with suppress(Exception):
            storage.delete(written)
        return wanted
    return written


@contextmanager
def _nothing_half_made(storage: Storage, path: str) -> Iterator[None]:
    # A file that was there before is another writer's, perhaps still at work.
    was_there = storage.exists(path)
    try:
        yield
    except BaseException:
        with suppress(Exception):
            if not was_there:
                storage.delete(path)
        raise
