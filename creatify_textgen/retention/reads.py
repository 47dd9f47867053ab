"""Records who read the content of others' generations, if `RECORD_READS` is on."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from creatify_textgen import clock, lifecycle
from creatify_textgen.conf import conf
from creatify_textgen.models import Generation

__all__ = ["record_reads"]


def record_reads(generations: Iterable[Generation], *, by: Any, where: str) -> None:
    """Add to the timeline of each of these that a user has read its content.

    Owners who read their own are not recorded. `where` is a few words, such as `the admin`.
    Does nothing while the setting `RECORD_READS` is off.
    """
    if not conf.record_reads:
        return
    # A row without an owner was asked by the site itself, so every reader is another person.
    others = [row for row in generations if row.owner_id is None or row.owner_id != by.pk]
    lifecycle.note_reads(others, now=clock.now(), detail=f"read by user {by.pk} in {where}")
