"""The page of one generation: its content and its timeline, in a bounded number of queries."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any, NamedTuple

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from creatify_textgen.admin.conversation import Conversation, find_media_ids, read_conversation
from creatify_textgen.admin.rendering import (
    NOTHING,
    Budget,
    admin_path,
    format_duration,
    format_json,
    link_to_generation,
    render_status,
    render_text,
    show_control_chars,
)
from creatify_textgen.models import Generation, GenerationContent, GenerationEvent, Media
from creatify_textgen.states import Status

__all__ = ["read_detail", "render_metadata", "render_retries"]

MOST_MEDIA = 500
EVENTS_SHOWN = 100
"""Of the first events, and as many of the last: `RECORD_READS` adds one for each reader."""
RETRIES_SHOWN = 20


def read_detail(generation: Generation, *, with_content: bool, site: str) -> dict[str, Any]:
    """Return the template's context; the content is not even loaded if it isn't shown."""
    return {
        "conversation": _read_content(generation) if with_content else None,
        "previous_url": _neighbor(generation, site=site, order="-"),
        "next_url": _neighbor(generation, site=site, order=""),
        "content_is_hidden": not with_content,
        "error_code": show_control_chars(generation.error_code),
        "timeline": list(read_timeline(generation)),
        "can_refresh": not generation.is_final and generation.status != Status.QUEUED,
    }


def _neighbor(generation: Generation, *, site: str, order: str) -> str:
    """Return the path of the owner's generation before (`-`) or after this one, or ""."""
    # By owner and time, as the index `textgen_owner` is. Of rows of one moment it skips some.
    beside = "lt" if order else "gt"
    others = Generation.objects.filter(
        **{"owner_id": generation.owner_id, f"created_at__{beside}": generation.created_at}
    )
    key = others.order_by(f"{order}created_at").values_list("pk", flat=True).first()
    return admin_path("generation_change", site=site, key=key) if key else ""


def render_metadata(generation: Generation) -> SafeString:
    """Return what the host keeps with the generation, as JSON."""
    cut = Budget().cut(format_json(generation.metadata))
    return format_html('<pre class="textgen-json" dir="ltr">{}</pre>', render_text(cut.text))


def render_retries(generation: Generation, *, site: str) -> str:
    """Return links to the generation that this one repeats, and to those that repeat it."""
    lines = [
        (_("again as"), link_to_generation(row, site=site))
        for row in generation.retries.order_by("created_at")[:RETRIES_SHOWN]
    ]
    if generation.retry_of_id:
        origin = Generation(pk=generation.retry_of_id)
        lines.insert(0, (_("of"), link_to_generation(origin, site=site)))
    items = format_html_join("", "<li>{} {}</li>", lines)
    return format_html('<ul class="textgen-links">{}</ul>', items) if lines else NOTHING


def _read_content(generation: Generation) -> Conversation | None:
    # Not by `generation.content`, which is empty and not None if it was removed.
    content = GenerationContent.objects.filter(pk=generation.pk).first()
    if content is None:
        return None
    ids = list(find_media_ids(content.messages))[:MOST_MEDIA]
    return read_conversation(content, media=Media.objects.in_bulk(ids))


class Line(NamedTuple):
    """One line of the timeline."""

    at: datetime
    after: str
    """Time since the line before, in words."""
    what: str
    cause: str = ""
    detail: str = ""


def read_timeline(generation: Generation) -> Iterator[Line]:
    """Yield the creation, then each event: what changed, when, and how we know.

    If there are very many, those between the first and the last are only counted.
    """
    created_at = generation.created_at
    yield Line(created_at, "", _("created"), detail=generation.get_mode_display())
    first = list(generation.events.all()[:EVENTS_SHOWN])
    yield from _lines(first, since=created_at)
    # Two more queries, but only for the few generations with so many events.
    if len(first) < EVENTS_SHOWN:
        return
    later = generation.events.filter(pk__gt=first[-1].pk)
    last = list(later.order_by("-pk")[:EVENTS_SHOWN])[::-1]
    omitted = later.count() - len(last)
    if omitted > 0:
        yield Line(first[-1].at, "", _("and %d more") % omitted)
    yield from _lines(last, since=first[-1].at)


def _lines(events: Iterable[GenerationEvent], *, since: datetime) -> Iterator[Line]:
    before = since
    for event in events:
        yield Line(
            event.at,
            # Never negative, if a clock was set back between two events.
            format_duration(max(0.0, (event.at - before).total_seconds())),
            render_status(event.status),
            event.get_cause_display(),
            show_control_chars(event.detail),
        )
        before = event.at
