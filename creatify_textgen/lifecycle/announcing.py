"""Signals, after commit. `generation_finished` is sent once a generation.

A final row keeps its `next_check_at` until somebody takes on the announcement by clearing it,
so where a process dies after the commit the sweep still announces, and never twice.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime

from creatify_textgen.models import Generation
from creatify_textgen.signals import generation_finished, generation_status_changed
from creatify_textgen.states import TERMINAL

__all__ = ["announce", "announce_overdue", "is_heard"]


def is_heard() -> bool:
    """Whether the host listens to every move, so that rows which are not final are needed, too."""
    return bool(generation_status_changed.has_listeners(Generation))


def announce(generations: Sequence[Generation]) -> None:
    """Tell the host that these have moved, and of those that are final that they finished."""
    if is_heard():
        for generation in generations:
            generation_status_changed.send_robust(sender=Generation, generation=generation)
    _announce_finished([generation for generation in generations if generation.is_final])


def announce_overdue(*, now: datetime, limit: int) -> int:
    """Send `generation_finished` for rows whose process died before it could.

    Returns how many.
    """
    overdue = Generation.objects.due(now).filter(status__in=TERMINAL)[:limit]
    return _announce_finished(list(overdue))


def _announce_finished(generations: Sequence[Generation]) -> int:
    mine = _take_on(generations)
    for generation in generations:
        if generation.pk in mine:
            generation_finished.send_robust(sender=Generation, generation=generation)
    return len(mine)


def _take_on(generations: Sequence[Generation]) -> set[uuid.UUID]:
    ids = [generation.pk for generation in generations]
    claim = uuid.uuid4()
    taken = (
        Generation.objects.filter(
            pk__in=ids, status__in=TERMINAL, next_check_at__isnull=False
        ).update(claim=claim, next_check_at=None)
        if ids
        else 0
    )
    if taken == len(ids):
        return set(ids)
    return set(Generation.objects.filter(pk__in=ids, claim=claim).values_list("pk", flat=True))
