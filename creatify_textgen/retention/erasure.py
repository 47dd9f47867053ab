"""Erases the content of a person: requests, answers and files.

Queued generations are cancelled. Generations that have ended lose their content now. Generations
that were sent and have not ended need their content, so that their results are found and not paid
for twice. They lose it when they end.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any

from django.db.models import Q, QuerySet, Sum

from creatify_textgen import clock, databases, lifecycle
from creatify_textgen.intake.owners import read_owner
from creatify_textgen.intake.reading import Reader
from creatify_textgen.models import Generation, Media
from creatify_textgen.retention.pruning import SLICE, delete_all_discarded
from creatify_textgen.signals import owner_erased
from creatify_textgen.states import Cause, Status

__all__ = ["EraseReport", "erase", "erase_owner"]

EXAMPLES = 20


@dataclass(slots=True)
class EraseReport:
    """What was erased of one person, or would be in a dry run, and which generations still run."""

    cancelled: int = 0
    """Queued generations. They cost nothing."""
    generations: int = 0
    """Generations whose content or metadata was removed, the cancelled ones included."""
    still_open: int = 0
    """Generations that were sent and have not ended. Their content goes when they end."""
    open_ids: list[uuid.UUID] = field(default_factory=list)
    """The ids of the oldest of them, at most 20."""
    media: int = 0
    media_bytes: int = 0

    @property
    def is_complete(self) -> bool:
        return not self.still_open


def erase(owner: Any, *, by: Any = None, dry_run: bool = False) -> EraseReport:
    """Erase prompts, results, metadata and media of a user.

    Queued generations are cancelled. Those that were sent and have not ended lose their content
    when they end; the report names them. Rows, costs and timelines stay. `by` is the user who
    erases. May be called again. In a transaction of the caller, files are deleted after its commit.

    Raises: RequestError if `owner` is not a saved user.
    """
    reader = Reader()
    owner_id = read_owner(owner, reader=reader)
    if owner is None:
        reader.refuse("owner", "Must be a user: content without an owner is pruned, not erased.")
    reader.raise_if_refused()
    detail = "content erased" if by is None else f"content erased by user {by.pk}"
    return erase_owner(owner_id, detail=detail, dry_run=dry_run)


def erase_owner(owner_id: Any, *, detail: str, dry_run: bool = False) -> EraseReport:
    """Do the same for a user's primary key; `detail` is the entry in the timeline."""
    now = clock.now()
    rows = Generation.objects.filter(owner_id=owner_id)
    report = EraseReport()
    if not dry_run:
        # An error of a receiver is raised, because copies of the content would stay. It comes
        # first: if it raises, nothing of the person was changed, and the call can be repeated.
        owner_erased.send(sender=Generation, owner_id=owner_id, generation=None)
        report.cancelled = _cancel(rows, now=now)
        # Open rows before ended ones: a row that ends in between is marked, and drops its content
        # itself, or is found as ended by the next query.
        _each_slice(_open(rows), lifecycle.stop_keeping, now=now, detail=detail)
        removed = _each_slice(_ended(rows), lifecycle.remove_contents, now=now, detail=detail)
        report.generations = removed
        # Uploads that no request has used. The media of requests went with their contents.
        _each_slice(_unused_media(owner_id), lifecycle.discard_media, now=now)
    _count(rows, owner_id, report, dry_run=dry_run)
    if not dry_run:
        databases.after_commit(delete_all_discarded)
    return report


def _cancel(rows: QuerySet[Generation], *, now: datetime) -> int:
    queued = rows.filter(status=Status.QUEUED).values_list("pk", flat=True)
    cancel = partial(lifecycle.mark_cancelled, cause=Cause.RETENTION, now=now)
    # False for a row that a worker has begun to send meanwhile: it is open, and treated as such.
    return sum(cancel(pk, detail=lifecycle.OWNER_ERASED) for pk in list(queued))


def _each_slice(rows: QuerySet[Any], change: Callable[..., int], **options: Any) -> int:
    """Change these rows in slices, and return their number. Each row is read once."""
    total = 0
    keys = rows.order_by("pk").values_list("pk", flat=True)
    ids = list(keys[:SLICE])
    while ids:
        change(ids, **options)
        total += len(ids)
        # Not "until none is found": a row that another process has changed or that stays as it is
        # would be found forever.
        ids = list(keys.filter(pk__gt=ids[-1])[:SLICE])
    return total


def _open(rows: QuerySet[Generation]) -> QuerySet[Generation]:
    return rows.exclude(status__in=lifecycle.ENDED).filter(content_removed_at=None)


def _ended(rows: QuerySet[Generation]) -> QuerySet[Generation]:
    # Content that was not stored leaves the metadata of its row (docs/how-to/privacy.md).
    left = Q(content_removed_at=None) | ~Q(metadata={})
    return rows.filter(left, status__in=lifecycle.ENDED)


def _unused_media(owner_id: Any) -> QuerySet[Media]:
    used = Generation.media.through.objects.values("media_id")
    return Media.objects.filter(owner_id=owner_id, discarded_at=None).exclude(pk__in=used)


def _count(
    rows: QuerySet[Generation], owner_id: Any, report: EraseReport, *, dry_run: bool
) -> None:
    media = Media.objects.filter(owner_id=owner_id)
    # Counted afterwards, not added up from the steps: a row may have ended meanwhile.
    waiting = rows.exclude(status__in=lifecycle.ENDED)
    if dry_run:
        report.cancelled = waiting.filter(status=Status.QUEUED).count()
        waiting = waiting.exclude(status=Status.QUEUED)
        report.generations = _ended(rows).count() + report.cancelled
        # What another user's generation has stays, too.
        erased = rows.filter(status__in=[*lifecycle.ENDED, Status.QUEUED]).values("pk")
        kept = Generation.media.through.objects.exclude(generation__in=erased)
        media = media.exclude(pk__in=kept.values("media_id"))
    else:
        media = media.exclude(discarded_at=None)
    report.still_open = waiting.count()
    oldest = waiting.order_by("created_at").values_list("pk", flat=True)
    report.open_ids = list(oldest[:EXAMPLES])
    report.media = media.count()
    report.media_bytes = media.aggregate(size=Sum("size"))["size"] or 0
