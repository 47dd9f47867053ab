"""From a saved generation to the request that is sent. Reads rows, opens nothing yet.

Invariant: base64 is made when the body is written to the socket, not here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO, cast

from django.utils.translation import gettext as _

from creatify_textgen import clock
from creatify_textgen.dispatch.function_calls import as_text, completed
from creatify_textgen.exceptions import RequestError
from creatify_textgen.intake.media import has_file, open_media
from creatify_textgen.models import Generation, GenerationContent, Media, read_uuid
from creatify_textgen.remote.contract import GenerationRequest

__all__ = ["StoredSource", "media_of", "wire_request"]


@dataclass(frozen=True, slots=True)
class StoredSource:
    """A stored image or video in the form that the client needs: a `MediaSource`."""

    media: Media

    @property
    def size(self) -> int:
        return self.media.size

    def open(self) -> BinaryIO:
        """Return a new stream from the storage; the caller closes it."""
        return cast("BinaryIO", open_media(self.media))


def media_of(content: GenerationContent) -> dict[str, Media]:
    """Return the stored media that the messages name, by id; no query if they name none."""
    ids = [key for named, _ in _media_paths(content.messages) if (key := read_uuid(named))]
    return {str(key): row for key, row in Media.objects.in_bulk(ids).items()} if ids else {}


def wire_request(
    generation: Generation,
    content: GenerationContent,
    *,
    webhook_url: str = "",
    sync: bool = False,
) -> GenerationRequest:
    """Return the request to send.

    Raises: RequestError `media_missing` if a medium's row or file is gone.
    """
    # Before the lease is taken, so that a send does not fail halfway through its body.
    media = media_of(content)
    _refuse_missing(content.messages, media)
    if generation.calls_as_text:
        messages = as_text(content.messages)
    else:
        # The day decides which model answers: retired names lead to others (contract, section 9).
        today = clock.known_now().date()
        messages = completed(content.messages, model_name=generation.model_name, today=today)
    return GenerationRequest(
        model_name=generation.model_name,
        messages=[_with_sources(message, media) for message in messages],
        system_instruction=content.system_instruction,
        # None is left out of the body: the remote may refuse an empty object.
        config=content.config or None,
        tools=content.tools or None,
        tool_config=content.tool_config or None,
        extra=content.extra or None,
        webhook_url=webhook_url,
        sync=sync,
    )


def _refuse_missing(messages: list[dict[str, Any]], media: dict[str, Media]) -> None:
    paths = dict(_media_paths(messages))
    missing = [path for key, path in paths.items() if key not in media or not has_file(media[key])]
    if missing:
        rule = _("Its file is gone: upload it again.")
        errors = {path: [rule] for path in missing}
        raise RequestError(f"{missing[0]}: {rule}", errors=errors, code="media_missing")


def _media_paths(messages: list[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    for number, message in enumerate(messages):
        # If the host made the row without `accept`, it may have any form.
        content = message.get("content") if isinstance(message, dict) else None
        for index, part in enumerate(content if isinstance(content, list) else ()):
            if isinstance(part, dict) and "media" in part:
                yield str(part["media"]), f"messages[{number}].content[{index}].media"


def _with_sources(message: Mapping[str, Any], media: dict[str, Media]) -> Mapping[str, Any]:
    content = message.get("content") if media else None
    if not isinstance(content, list):
        return message
    return {**message, "content": [_part_with_source(part, media) for part in content]}


def _part_with_source(part: dict[str, Any], media: dict[str, Media]) -> dict[str, Any]:
    if "media" not in part:
        return part
    return {
        "type": part["type"],
        "mime_type": part["mime_type"],
        "data": StoredSource(media[part["media"]]),
    }
