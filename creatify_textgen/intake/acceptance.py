"""Reads all fields of a request, then accepts or refuses the request as a whole.

Invariant: nothing is stored before every field was read and found valid.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from creatify_textgen.conf import conf
from creatify_textgen.intake.config import read_config
from creatify_textgen.intake.extras import known_config, read_extra
from creatify_textgen.intake.fingerprints import fingerprint, request_hash
from creatify_textgen.intake.media import find_media, keep
from creatify_textgen.intake.messages import read_messages
from creatify_textgen.intake.owners import read_owner
from creatify_textgen.intake.parts import MediaSlot
from creatify_textgen.intake.reading import Reader
from creatify_textgen.intake.schemas import read_schema
from creatify_textgen.intake.staging import StagedMedia, canonical_mime_type
from creatify_textgen.intake.text import kind_of, shown
from creatify_textgen.intake.tools import read_tool_config, read_tools
from creatify_textgen.models import Media
from creatify_textgen.models.generation import EXCERPT_LENGTH
from creatify_textgen.remote.contract import MAX_MODEL_NAME_LENGTH

__all__ = ["Intake", "accept", "excerpt_of"]

Admit = Callable[[Any, Sequence[StagedMedia]], AbstractContextManager[None]]

MAX_METADATA_BYTES = 16 * 1024
"""Metadata are a column of the row, which lists read, so they must be small."""


@dataclass(frozen=True, slots=True)
class Intake:
    """An accepted request: its values are checked and are plain JSON, its media are stored."""

    account: str
    owner: Any = field(repr=False)
    """A user, or None for the site itself."""
    model_name: str
    messages: list[dict[str, Any]] = field(repr=False)
    """In the remote's shape, but a medium is `{"type": "image", "mime_type": "image/png",
    "media": "<id>", "sha256": "<hex>"}`."""
    system_instruction: str = field(repr=False)
    config: dict[str, Any] = field(repr=False)
    tools: list[dict[str, Any]] = field(repr=False)
    tool_config: dict[str, Any] = field(repr=False)
    metadata: dict[str, Any] = field(repr=False)
    extra: dict[str, Any] = field(repr=False)
    """Fields that this app does not know; they are merged into the body last."""
    media: list[Media]
    """In the order of their parts, each once."""
    excerpt: str = field(repr=False)
    """The beginning of the user's last text, on one line."""
    fingerprint: str
    """Finds the request in the remote's list; see `fingerprint`."""
    store_content: bool
    """Whether request and result stay when it is final."""
    request_hash: str
    """Shows whether an idempotency key was repeated with the same request; not keyed."""

    @property
    def owner_id(self) -> Any:
        """The owner's primary key, or None."""
        return getattr(self.owner, "pk", None)


# Each field is read even after a problem in another, so that one error names all wrong fields.
def accept(
    messages: Any,
    *,
    model_name: Any = None,
    system_instruction: Any = "",
    config: Any = None,
    tools: Any = None,
    tool_config: Any = None,
    metadata: Any = None,
    account: Any = "default",
    owner: Any = None,
    schema: Any = None,
    extra: Any = None,
    store_content: bool | None = None,
    admit: Admit | None = None,
) -> Intake:
    """Check a request, store its media, and return it ready to be saved.

    `extra` goes into the body last; new media are stored within `admit`. Raises:
    RequestError, whose `errors` name each wrong field; TextgenError `media_storage_failed`.
    """
    reader, slots = Reader(), list[MediaSlot]()
    try:
        owner_id = read_owner(owner, reader=reader)
        request: dict[str, Any] = {
            "account": _read_account(account, reader=reader),
            "model_name": _read_model_name(model_name, reader=reader),
            "messages": read_messages(messages, reader=reader, slots=slots),
            "system_instruction": _read_system(system_instruction, reader=reader),
            "config": _read_config(config, schema=schema, reader=reader),
            "tools": (declared := read_tools(tools, reader=reader)),
            "tool_config": read_tool_config(tool_config, tools=declared, reader=reader),
            "metadata": _read_metadata(metadata, reader=reader),
            "extra": read_extra(extra, config=config, reader=reader),
            "store_content": _read_store_content(store_content, reader=reader),
        }
        media = _complete_all(slots, owner=owner, owner_id=owner_id, admit=admit, reader=reader)
        return _intake(request, owner=owner, media=media)
    finally:
        _close(slots)


def _complete_all(
    slots: list[MediaSlot], *, owner: Any, owner_id: Any, admit: Admit | None, reader: Reader
) -> list[Media]:
    """Store the media of a request in which nothing is wrong, if `admit` allows the new ones."""
    # Before the request is refused, so that the error names a wrong id beside the other fields.
    uploads = _find_uploads(slots, owner_id=owner_id, reader=reader)
    reader.raise_if_refused()
    with _admitted(admit, slots, owner=owner):
        return [_complete(slot, uploads=uploads, owner_id=owner_id) for slot in slots]


def _close(slots: list[MediaSlot]) -> None:
    # Temporary files, also of a refused request: uploads must not fill the disk.
    for slot in slots:
        slot.close()


def _intake(request: dict[str, Any], *, owner: Any, media: list[Media]) -> Intake:
    messages = request["messages"]
    return Intake(
        **request,
        owner=owner,
        # A dict keeps the order; the same image may be in several parts.
        media=list({medium.pk: medium for medium in media}.values()),
        excerpt=excerpt_of(messages),
        fingerprint=fingerprint(
            request["model_name"], messages, request["system_instruction"], request["config"]
        ),
        request_hash=request_hash(request),
    )


def _read_account(value: Any, *, reader: Reader) -> str:
    accounts = conf.accounts
    if isinstance(value, str) and value in accounts:
        return value
    known = ", ".join(sorted(map(str, accounts)))
    reader.refuse("account", f"Must be an account of the settings ({known}), not {shown(value)}.")
    return ""


def _read_model_name(value: Any, *, reader: Reader) -> str:
    if value is None:
        return conf.default_model
    if not isinstance(value, str):
        reader.refuse("model_name", f"Must be a string, not {kind_of(value)}.")
        return ""
    if not 0 < len(value) <= MAX_MODEL_NAME_LENGTH:
        rule = f"Must have 1 to {MAX_MODEL_NAME_LENGTH} characters, not {len(value)}."
        reader.refuse("model_name", rule)
    # Logs, metrics and the admin show the name, so it must not forge a line or hide a space.
    elif not value.isprintable() or value != value.strip():
        reader.refuse("model_name", "Must have no control characters and no space at its ends.")
    # By default any name is accepted: Google adds and retires models (contract, section 9).
    elif conf.restrict_models and value not in conf.models:
        reader.refuse("model_name", f"Must be one of {', '.join(conf.models)}.")
    return value


def _read_system(value: Any, *, reader: Reader) -> str:
    return "" if value is None else reader.text(value, path="system_instruction")


def _read_config(value: Any, *, schema: Any, reader: Reader) -> dict[str, Any]:
    return read_schema(
        schema, config=read_config(known_config(value), reader=reader), reader=reader
    )


def _read_metadata(value: Any, *, reader: Reader) -> dict[str, Any]:
    if value is None:
        return {}
    metadata = reader.object_tree(value, path="metadata")
    size = len(json.dumps(metadata, ensure_ascii=False).encode())
    if size > MAX_METADATA_BYTES:
        rule = f"Must be at most {MAX_METADATA_BYTES} bytes of JSON, not {size}."
        reader.refuse("metadata", rule)
    return metadata


def _read_store_content(value: Any, *, reader: Reader) -> bool:
    if value is not None and not isinstance(value, bool):
        reader.refuse("store_content", f"Must be true or false, not {kind_of(value)}.")
    return conf.store_content if value is None else bool(value)


def _admitted(
    admit: Admit | None, slots: list[MediaSlot], *, owner: Any
) -> AbstractContextManager[None]:
    """Call `admit` with the content that the owner has not stored yet, if there is any."""
    staged: dict[tuple[str, str], StagedMedia] = {}
    for slot in slots:
        if slot.staged:  # Of two that are the same, the first is stored.
            staged.setdefault((slot.staged.sha256, slot.staged.mime_type), slot.staged)
    if admit is None or not staged:
        return nullcontext()
    # A file that the owner has stored before counts once in the limits of uploads.
    mine = Media.objects.filter(owner_id=getattr(owner, "pk", None), discarded_at=None)
    mine = mine.filter(sha256__in={sha256 for sha256, _type in staged})
    known = set(mine.values_list("sha256", "mime_type"))
    new = [one for content, one in staged.items() if content not in known]
    return admit(owner, new) if new else nullcontext()


def _find_uploads(slots: list[MediaSlot], *, owner_id: Any, reader: Reader) -> Mapping[UUID, Media]:
    wanted = [slot for slot in slots if slot.media_id]
    if not wanted:
        return {}
    found = find_media({slot.media_id for slot in wanted if slot.media_id}, owner_id=owner_id)
    for slot in wanted:
        upload = found.get(slot.media_id) if slot.media_id else None
        _check_upload(upload, slot=slot, reader=reader)
    return found


def _check_upload(upload: Media | None, *, slot: MediaSlot, reader: Reader) -> None:
    kind, mime_type = slot.part["type"], slot.part["mime_type"]
    if upload is None:
        # The same for an unknown id and for another user's, so nobody learns which ids exist.
        reader.refuse(f"{slot.path}.media", "Must be the id of an upload of the same owner.")
    elif upload.kind != kind:
        reader.refuse(f"{slot.path}.type", f"Must be {upload.kind}, as the upload is.")
    elif mime_type and canonical_mime_type(mime_type) != upload.mime_type:
        rule = f"Must be {upload.mime_type}, as the upload is, or absent."
        reader.refuse(f"{slot.path}.mime_type", rule)


def _complete(slot: MediaSlot, *, uploads: Mapping[UUID, Media], owner_id: Any) -> Media:
    media = uploads[slot.media_id] if slot.media_id else keep(slot.content, owner_id=owner_id)
    slot.part.update(mime_type=media.mime_type, media=str(media.pk), sha256=media.sha256)
    return media


def excerpt_of(messages: list[dict[str, Any]]) -> str:
    """Return the beginning of the last text that a user wrote, in messages of any form."""
    for message in reversed(messages):
        if message.get("role") == "user" and (text := _first_text(message.get("content"))):
            # Twice the length, as runs of spaces and newlines become one space.
            return " ".join(text[: 2 * EXCERPT_LENGTH].split())[:EXCERPT_LENGTH]
    return ""


def _first_text(content: Any) -> str:
    if isinstance(content, str):
        return content
    parts = [part for part in content or () if isinstance(part, dict)]
    texts = (part.get("text") for part in parts if part.get("type") == "text")
    return next((text for text in texts if text and isinstance(text, str)), "")
