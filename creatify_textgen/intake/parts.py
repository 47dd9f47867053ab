"""Checks the parts of a message: text, and images or videos as content or as an upload's id.

Media are staged in temporary files. They are not stored here, and ids are not looked up here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from creatify_textgen.exceptions import RequestError
from creatify_textgen.intake.reading import Reader
from creatify_textgen.intake.staging import StagedMedia, stage
from creatify_textgen.intake.text import kind_of, shown
from creatify_textgen.models import Media, read_uuid

__all__ = ["MediaSlot", "read_part"]

TEXT_FIELDS = frozenset({"type", "text"})
DATA_FIELDS = frozenset({"type", "data", "mime_type", "media"})
# Our responses contain `sha256`. It is allowed here, so that a stored request can be sent again.
MEDIA_FIELDS = DATA_FIELDS | {"sha256"}

# Creatify documents base64 alone (contract, section 3.1). This site fetches no URL for a caller,
# who could make it call machines that only the site can reach.
_NO_URLS = "the remote takes no URLs: send base64 as data, or upload it and give its id as media."
_FIELD_HINTS = {
    "url": _NO_URLS,
    "uri": _NO_URLS,
    "file_uri": _NO_URLS,
    "image_url": _NO_URLS,
    "video_url": _NO_URLS,
    "inline_data": "put data and mime_type into the part itself.",
}
_TYPE_HINTS = {
    "audio": "; the remote takes no sound",
    "image_url": f"; {_NO_URLS[:-1]}",
    "file": "; upload it and give its id as media",
}


@dataclass(slots=True)
class MediaSlot:
    """A media part that is not complete yet: staged content to store, or the id of an upload."""

    path: str
    part: dict[str, Any]
    """The part as it will be saved; `media` and `sha256` are still missing."""
    staged: StagedMedia | None = None
    media_id: UUID | None = None

    @property
    def content(self) -> StagedMedia:
        """The staged medium; a slot of an accepted request has one if it has no `media_id`."""
        if self.staged is None:
            raise LookupError(f"{self.path} was refused")
        return self.staged

    def close(self) -> None:
        if self.staged:
            self.staged.close()


def read_part(value: Any, *, path: str, reader: Reader, slots: list[MediaSlot]) -> dict[str, Any]:
    """Return the checked part; a part with media adds a slot, which the caller closes.

    Problems are noted in `reader`, by path.
    """
    source = reader.mapping(value, path=path)
    if source is None:
        return {}
    kind = source.get("type")
    if kind == "text":
        reader.known_keys(source, TEXT_FIELDS, path=path)
        return {"type": "text", "text": reader.text(source.get("text"), path=f"{path}.text")}
    if isinstance(kind, str) and kind in Media.Kind.values:
        return _read_media(source, kind=kind, path=path, reader=reader, slots=slots)
    _refuse_type(kind, path=f"{path}.type", reader=reader)
    return {}


def _refuse_type(kind: Any, *, path: str, reader: Reader) -> None:
    if kind is None:
        reader.refuse(path, "Is required: text, image or video.")
    else:
        hint = _TYPE_HINTS.get(kind, "") if isinstance(kind, str) else ""
        reader.refuse(path, f"Must be text, image or video, not {shown(kind)}{hint}.")


def _read_media(
    source: Mapping[str, Any], *, kind: str, path: str, reader: Reader, slots: list[MediaSlot]
) -> dict[str, Any]:
    data, media = source.get("data"), source.get("media")
    known = DATA_FIELDS if media is None else MEDIA_FIELDS
    reader.known_keys(source, known, path=path, hints=_FIELD_HINTS)
    mime_type = _read_mime_type(source.get("mime_type"), path=f"{path}.mime_type", reader=reader)
    slot = MediaSlot(path, {"type": kind, "mime_type": mime_type})
    if data is not None and media is not None:
        reader.refuse(f"{path}.data", "Must be absent beside media: give one of the two.")
    elif media is not None:
        slot.media_id = _read_id(media, path=f"{path}.media", reader=reader)
        slots.append(slot)
    elif data is None:
        reader.refuse(
            f"{path}.data", "Is required: the content as base64; or media, an upload's id."
        )
    else:
        # A refused medium gets a slot, too, without content: the request is refused as a whole.
        _stage(data, slot=slot, reader=reader)
        slots.append(slot)
    return slot.part


def _read_mime_type(value: Any, *, path: str, reader: Reader) -> str | None:
    if value is None or isinstance(value, str):
        return value
    reader.refuse(path, f"Must be a string, not {kind_of(value)}.")
    return None


def _read_id(value: Any, *, path: str, reader: Reader) -> UUID | None:
    # In Python a row may stand for its id.
    identifier = read_uuid(value.pk if isinstance(value, Media) else value)
    if identifier is None:
        reader.refuse(path, "Must be the id of an upload, a UUID.")
    return identifier


def _stage(data: Any, *, slot: MediaSlot, reader: Reader) -> None:
    try:
        slot.staged = stage(data, kind=slot.part["type"], mime_type=slot.part["mime_type"])
    except RequestError as error:
        reader.refuse_all(slot.path, error.errors)
