"""The work of retention in a sweep, every `EVERY`.

Invariant: one process does it at a time, and stops at the first slice that ends after
`TIME_LIMIT_SECONDS`: the sweep has paid results to fetch.
"""

from __future__ import annotations

import time
from datetime import datetime, timedelta

from django.db.models import Q

from creatify_textgen.clock import TimeLimit
from creatify_textgen.conf import conf
from creatify_textgen.models import Media, SweepSchedule
from creatify_textgen.per_process import per_process
from creatify_textgen.retention.pruning import delete_all_discarded, prune

__all__ = ["tidy_if_due"]

EVERY = timedelta(minutes=10)
TRY_SECONDS = 60.0
"""A process asks the database at most this often whether anything is due."""
TIME_LIMIT_SECONDS = 5.0


class _LastTry:
    at: float | None = None


@per_process
def _last_try() -> _LastTry:
    return _LastTry()


def tidy_if_due(*, now: datetime) -> None:
    """Prune, if `CONTENT_RETENTION_DAYS` is set, and delete the files that were given up."""
    last, elapsed = _last_try(), time.monotonic()
    if last.at is not None and elapsed < last.at + TRY_SECONDS:
        return
    last.at = elapsed
    days = conf.content_retention_days
    # Before the claim, because most sites have nothing to do, and a read is cheaper than a write.
    if days is None and not Media.objects.exclude(discarded_at=None).exists():
        return
    if not _claim(now):
        return
    if days is None:
        is_complete = delete_all_discarded(TimeLimit(TIME_LIMIT_SECONDS))[2]
    else:
        report = prune(time_limit=TIME_LIMIT_SECONDS)
        is_complete = report.is_complete
    if not is_complete:
        # The next try continues. Only our own claim is given back: if this process was suspended
        # for longer than `EVERY`, another one has claimed since.
        SweepSchedule.objects.filter(tidied_at=now).update(tidied_at=None)


def _claim(now: datetime) -> bool:
    # A conditional UPDATE: of two processes that find it due at once, one changes the row. The
    # claim ends by itself if its process is killed.
    due = SweepSchedule.objects.filter(Q(tidied_at=None) | Q(tidied_at__lt=now - EVERY))
    return bool(due.update(tidied_at=now))
