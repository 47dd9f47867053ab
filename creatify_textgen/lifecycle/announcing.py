"""Signals, after commit. `generation_finished` is sent at most once for each generation.

If the host listens, a final row keeps its `due_at` until a process claims its announcement by
clearing it, and then calls the receivers. If a process dies between the commit and the claim, a
sweep announces the row. If it dies while the receivers of a row run, the signal of that one row is
lost: sending it again could run receivers twice. Invariant: a kill loses at most one signal.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterable, Sequence
from datetime import datetime

from creatify_textgen.logs import GENERATIONS
from creatify_textgen.models import Generation
from creatify_textgen.signals import generation_finished, generation_status_changed
from creatify_textgen.states import TERMINAL, Status

__all__ = ["announce", "announce_overdue", "has_listeners", "needs_announcement"]


DUE_ROWS_PER_FINAL = 4
"""How many due rows are read for each that may be announced: most due rows are not final."""


def has_listeners() -> bool:
    """Whether the host listens to every move, so that rows which are not final are needed, too."""
    # By sender: a receiver that is connected for another one receives nothing from here.
    return bool(generation_status_changed.has_listeners(Generation))


def needs_announcement() -> bool:
    """Whether the host listens to ends, so that one must not be lost with this process."""
    return bool(generation_finished.has_listeners(Generation))


def announce(generations: Sequence[Generation]) -> None:
    """Send `generation_status_changed` for these, and `generation_finished` for final ones."""
    if has_listeners():
        # Robust, so that a receiver that raises takes the signal from no other row or receiver.
        for generation in generations:
            generation_status_changed.send_robust(sender=Generation, generation=generation)
    for generation in generations:
        if generation.status == Status.EXPIRED:
            _log(logging.WARNING, generation)
    final = [generation for generation in generations if generation.is_final]
    for generation in final:
        if generation.due_at is None:
            # Nobody in this process had receivers, so there is nothing to claim.
            _log(logging.INFO, generation)
    _announce_finished([generation for generation in final if generation.due_at is not None])


def announce_overdue(*, now: datetime, limit: int) -> int:
    """Send `generation_finished` for rows whose process died before it could; return how many.

    Reads the rows that are due longest, and no more of them than `limit` allows. The rows before
    a final one are processed by the same sweep, so the next sweep reads further.
    """
    # The status is compared here. In the query, it would make the database read all due rows, which
    # may be a long queue, to find that none of them is final.
    due = Generation.objects.due(now).values_list("pk", "status")[: limit * DUE_ROWS_PER_FINAL]
    final = [pk for pk, status in due if status in TERMINAL][:limit]
    if not final:
        return 0
    return _announce_finished(Generation.objects.filter(pk__in=final).order_by("due_at"))


def _announce_finished(generations: Iterable[Generation]) -> int:
    if not generation_finished.has_listeners(Generation):
        claimed = _claim_announcement([generation.pk for generation in generations])
        for generation in generations if claimed else ():
            _log(logging.INFO, generation)
        return claimed
    announced = 0
    for generation in generations:
        # One by one: if this process dies, only the row whose receivers run is lost.
        if _claim_announcement([generation.pk]):
            _log(logging.INFO, generation)
            generation_finished.send_robust(sender=Generation, generation=generation)
            announced += 1
    return announced


def _claim_announcement(ids: Sequence[uuid.UUID]) -> int:
    # Of two processes that find a row at once, the UPDATE of one changes it. That one announces it.
    waiting = Generation.objects.filter(pk__in=ids, status__in=TERMINAL, due_at__isnull=False)
    return waiting.update(due_at=None)


def _log(level: int, generation: Generation) -> None:
    """Log the end of a generation, with each fact as a field for the host's formatter, too."""
    facts = {
        "generation": str(generation.pk),
        "account": generation.account,
        "model": generation.model_name,
        "mode": generation.mode,
        "status": generation.status,
        "code": generation.error_code,
        "seconds": generation.duration_seconds,
        "credits": generation.credits_used,
    }
    text = " ".join(f"{name}=%({name})s" for name in facts)
    GENERATIONS.log(level, text, facts, extra=facts)
