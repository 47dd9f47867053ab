"""What the page of one generation shows beside its fields, in a bounded number of queries."""

from __future__ import annotations

from typing import Any

from creatify_textgen.admin.conversation import Conversation, find_media_ids, read_conversation
from creatify_textgen.admin.timeline import EVENTS_SHOWN, tell
from creatify_textgen.models import Generation, GenerationContent, Media
from creatify_textgen.states import Status

__all__ = ["read_detail"]

MOST_MEDIA = 500


def read_detail(generation: Generation, *, with_content: bool) -> dict[str, Any]:
    """Return the template's context; the content is not even loaded where it isn't shown."""
    return {
        "conversation": _read_content(generation) if with_content else None,
        "content_is_hidden": not with_content,
        "timeline": list(tell(generation, generation.events.all()[:EVENTS_SHOWN])),
        "can_refresh": not generation.is_final and generation.status != Status.QUEUED,
    }


def _read_content(generation: Generation) -> Conversation | None:
    content = GenerationContent.objects.filter(pk=generation.pk).first()
    if content is None:
        return None
    ids = list(find_media_ids(content.messages))[:MOST_MEDIA]
    return read_conversation(content, media=Media.objects.in_bulk(ids))
