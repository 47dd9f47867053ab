"""One pass over everything that is due, including content that must be removed."""

from __future__ import annotations

from creatify_textgen import clock, databases, retention
from creatify_textgen.recovery.sweep import SweepReport
from creatify_textgen.recovery.sweep import sweep as process_due

__all__ = ["SweepReport", "sweep"]


def sweep(*, time_limit: float = 10.0) -> SweepReport:
    """Process everything that is due, within about `time_limit` seconds or its last send.

    Every ten minutes it also removes content that is too old. May run any number of times at once.
    Raises: RuntimeError inside a transaction, before anything is done; a bug, or an error of the
    database, after everything else was done.
    """
    databases.refuse_transaction_of_worker("sweep")
    # First: removing old content must not delay a result that was paid for.
    report = process_due(time_limit=time_limit)
    retention.tidy_if_due(now=clock.now())
    return report
