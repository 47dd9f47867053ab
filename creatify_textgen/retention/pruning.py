"""Removes content that is older than the site keeps it.

Works in slices, each a short transaction of `lifecycle`. So it may be killed after any of them, and
no lock is held for long.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Q, QuerySet, Sum

from creatify_textgen import clock, lifecycle
from creatify_textgen.clock import TimeLimit
from creatify_textgen.conf import MOST_DAYS, conf
from creatify_textgen.exceptions import RequestError
from creatify_textgen.intake.media import delete_discarded
from creatify_textgen.models import BulkJob, Generation, Media
from creatify_textgen.states import TERMINAL, Status

__all__ = ["SLICE", "PruneReport", "delete_all_discarded", "prune"]

SLICE = 500
FILES_AT_ONCE = 50
"""Files that are deleted before the time limit is read again: a storage in a network may need a
tenth of a second for each."""


@dataclass(slots=True)
class PruneReport:
    """The removed content, or in a dry run the content that would be removed."""

    generations: int = 0
    """Whose content was removed. Their rows, costs and timelines stay."""
    media: int = 0
    media_bytes: int = 0
    is_complete: bool = True
    """False if the time was up: the next call continues."""


def prune(
    *,
    older_than_days: int | None = None,
    dry_run: bool = False,
    time_limit: float | None = None,
) -> PruneReport:
    """Remove prompts, results, metadata and unused media that are older than so many days.

    The filters of bulk jobs that ended before are removed, too. Rows, costs and timelines stay, and
    so does the metadata of generations whose content was not stored.
    Without `older_than_days`, the setting `CONTENT_RETENTION_DAYS` holds. An expired generation
    counts from its creation. May be stopped and called again at any time, and several times at
    once. `time_limit` is in seconds.

    Raises: RequestError if neither names the days.
    """
    days, now = _read_days(older_than_days), clock.now()
    before = now - timedelta(days=days)
    if dry_run:
        return _count(before)
    limit = None if time_limit is None else TimeLimit(time_limit)
    report = PruneReport()
    # A filter may have words of a prompt, or the name of a user.
    BulkJob.objects.filter(finished_at__lt=before).exclude(query="").update(query="")
    detail = f"content removed after {days} days"
    for ids in _slices(before):
        report.generations += lifecycle.remove_contents(ids, now=now, detail=detail)
        if limit and limit.is_over:
            report.is_complete = False
            return report
    while unused := list(_unused(before).values_list("pk", flat=True)[:SLICE]):
        # None: another process gives up the same ones, or requests use them again.
        if not lifecycle.discard_media(unused, now=now):
            break
        if limit and limit.is_over:
            report.is_complete = False
            return report
    report.media, report.media_bytes, report.is_complete = delete_all_discarded(limit)
    return report


def _read_days(value: Any) -> int:
    days = conf.content_retention_days if value is None else value
    # True is an int in Python, and would be one day.
    if isinstance(days, int) and not isinstance(days, bool) and 1 <= days <= MOST_DAYS:
        return days
    rule = f"Must be a number of days from 1 to {MOST_DAYS}, or CONTENT_RETENTION_DAYS be set."
    raise RequestError.about("older_than_days", rule)


def delete_all_discarded(limit: TimeLimit | None = None) -> tuple[int, int, bool]:
    """Delete media that were given up. Return how many, their bytes, and whether all are gone."""
    media = media_bytes = 0
    # A counted number of rounds: a file that cannot be deleted now goes behind the others and
    # would be tried forever.
    for _ in range(Media.objects.exclude(discarded_at=None).count() // FILES_AT_ONCE + 1):
        count, size = delete_discarded(limit=FILES_AT_ONCE)
        media, media_bytes = media + count, media_bytes + size
        if limit and limit.is_over:
            break
    return media, media_bytes, not Media.objects.exclude(discarded_at=None).exists()


def _old(before: datetime) -> QuerySet[Generation]:
    # An expired row has no `finished_at`. For the others, `created_at` excludes nothing, because
    # nothing ends before it is created; but it has the index in whose order slices are read.
    ended = Q(status__in=TERMINAL, finished_at__lt=before) | Q(status=Status.EXPIRED)
    return Generation.objects.filter(ended, created_at__lt=before, content__isnull=False)


def _slices(before: datetime) -> Iterator[list[uuid.UUID]]:
    """Yield the ids of old rows that have content, the oldest first; each row is read once."""
    rows = _old(before)
    while found := list(rows.order_by("created_at").values_list("pk", "created_at")[:SLICE]):
        yield [pk for pk, _ in found]
        # Rows before this place have no content left, and their number grows with the site: a
        # search from the beginning would pass all of them in each slice. `gte`, because several
        # rows may have the same time.
        rows = _old(before).filter(created_at__gte=found[-1][1])


def _unused(before: datetime) -> QuerySet[Media]:
    used = Generation.media.through.objects.values("media_id")
    old = Media.objects.filter(created_at__lt=before, discarded_at=None)
    return old.exclude(pk__in=used).order_by("created_at")


def _count(before: datetime) -> PruneReport:
    # A medium goes only if each generation that uses it does.
    kept = Generation.media.through.objects.exclude(generation__in=_old(before).values("pk"))
    media = Media.objects.filter(created_at__lt=before).exclude(pk__in=kept.values("media_id"))
    return PruneReport(
        generations=_old(before).count(),
        media=media.count(),
        media_bytes=media.aggregate(size=Sum("size"))["size"] or 0,
    )
