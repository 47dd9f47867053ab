"""A generation's timeline as lines to show: what moved it, when, and how we know."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from django.utils.translation import gettext as _

from creatify_textgen.admin.amounts import show_status, spell_duration
from creatify_textgen.admin.legible import unmask
from creatify_textgen.models import Generation, GenerationEvent

__all__ = ["EVENTS_SHOWN", "Line", "tell"]

EVENTS_SHOWN = 200


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the timeline."""

    at: datetime
    after: str
    """Time since the line before, in words."""
    what: str
    cause: str = ""
    detail: str = ""


def tell(generation: Generation, events: Iterable[GenerationEvent]) -> Iterator[Line]:
    """Yield the creation, then each move."""
    before = generation.created_at
    yield Line(before, "", _("created"), detail=generation.get_mode_display())
    for event in events:
        yield Line(
            event.at,
            spell_duration(max(0.0, (event.at - before).total_seconds())),
            show_status(event.status),
            event.get_cause_display(),
            unmask(event.detail),
        )
        before = event.at
