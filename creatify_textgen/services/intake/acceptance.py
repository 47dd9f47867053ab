"""The door of the room: everything of a request is read, then refused whole or accepted whole.

Invariant: nothing is stored before everything was read and found right.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from creatify_textgen.conf import conf
from creatify_textgen.models import Media
from creatify_textgen.models.generation import EXCERPT_LENGTH
from creatify_textgen.remote.contract import MAX_MODEL_NAME_LENGTH
from creatify_textgen.services.intake.config import read_config
from creatify_textgen.services.intake.fingerprints import fingerprint, request_hash
from creatify_textgen.services.intake.messages import read_messages
from creatify_textgen.services.intake.parts import MediaSlot
from creatify_textgen.services.intake.reading import Reader
from creatify_textgen.services.intake.text import kind_of, shown
from creatify_textgen.services.intake.tools import read_tool_config, read_tools
from creatify_textgen.services.media import find_media, keep
from creatify_textgen.services.staging import canonical_mime_type

__all__ = ["Intake", "accept"]

MAX_METADATA_BYTES = 16 * 1024


@dataclass(frozen=True, slots=True)
class Intake:
    """An accepted request: checked, clean, JSON-ready, its media stored."""

    account: str
    owner_id: Any
    model_name: str
    messages: list[dict[str, Any]] = field(repr=False)
    """In the remote's shape; a medium stands as `{"type", "mime_type", "media", "sha256"}`."""
    system_instruction: str = field(repr=False)
    config: dict[str, Any] = field(repr=False)
    tools: list[dict[str, Any]] = field(repr=False)
    tool_config: dict[str, Any] = field(repr=False)
    metadata: dict[str, Any] = field(repr=False)
    media: list[Media]
    """In the order of their parts, each once."""
    excerpt: str = field(repr=False)
    """The beginning of the last text of the user, on one line."""
    fingerprint: str
    """Finds it in the remote's list; see `fingerprint`."""
    request_hash: str
    """Tells whether an idempotency key came with the same request."""


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
) -> Intake:
    """Check a request, store its media, and return it ready to be saved.

    Costs no query without media. Raises: RequestError with everything that is wrong, by path;
    TextgenError `media_storage_failed`. May be called again with the same: media are kept once.
    """
    reader, slots = Reader(), list[MediaSlot]()
    owner_id = getattr(owner, "pk", None)
    try:
        request: dict[str, Any] = {
            "account": _read_account(account, reader=reader),
            "model_name": _read_model_name(model_name, reader=reader),
            "messages": read_messages(messages, reader=reader, slots=slots),
            "system_instruction": _read_system(system_instruction, reader=reader),
            "config": read_config(config, reader=reader),
            "tools": (declared := read_tools(tools, reader=reader)),
            "tool_config": read_tool_config(tool_config, tools=declared, reader=reader),
            "metadata": _read_metadata(metadata, reader=reader),
        }
        uploads = _find_uploads(slots, owner_id=owner_id, reader=reader)
        reader.raise_if_refused()
        media = [_complete(slot, uploads=uploads, owner_id=owner_id) for slot in slots]
    finally:
        for slot in slots:
            slot.close()
    return _intake(request, owner_id=owner_id, media=media)


def _intake(request: dict[str, Any], *, owner_id: Any, media: list[Media]) -> Intake:
    messages = request["messages"]
    return Intake(
        **request,
        owner_id=owner_id,
        media=list({medium.pk: medium for medium in media}.values()),
        excerpt=_excerpt(messages),
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
    elif not value.isprintable() or value != value.strip():
        reader.refuse("model_name", "Must have no control characters and no space at its ends.")
    elif conf.restrict_models and value not in conf.models:
        reader.refuse("model_name", f"Must be one of {', '.join(conf.models)}.")
    return value


def _read_system(value: Any, *, reader: Reader) -> str:
    return "" if value is None else reader.text(value, path="system_instruction")


def _read_metadata(value: Any, *, reader: Reader) -> dict[str, Any]:
    if value is None:
        return {}
    metadata = reader.object_tree(value, path="metadata")
    size = len(json.dumps(metadata, ensure_ascii=False).encode())
    if size > MAX_METADATA_BYTES:
        rule = f"Must be at most {MAX_METADATA_BYTES} bytes of JSON, not {size}."
        reader.refuse("metadata", rule)
    return metadata


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


def _excerpt(messages: list[dict[str, Any]]) -> str:
    for message in reversed(messages):
        if message["role"] == "user" and (text := _first_text(message.get("content"))):
            # Twice the length, as runs of spaces and newlines become one space.
            return " ".join(text[: 2 * EXCERPT_LENGTH].split())[:EXCERPT_LENGTH]
    return ""


def _first_text(content: Any) -> str:
    if isinstance(content, str):
        return content
    texts = (part["text"] for part in content or () if part["type"] == "text")
    return next((text for text in texts if text), "")
