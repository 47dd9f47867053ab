"""The verbs of jobs: start one, go on with it, stop it, resume it."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta
from typing import Any

from django.db import IntegrityError
from django.db.models import QuerySet
from django.utils.translation import gettext as _

from creatify_textgen import clock, databases, enqueue
from creatify_textgen.bulk.selection import eligible, pack, slices_of
from creatify_textgen.bulk.work import claim_job, job_ended
from creatify_textgen.clock import TimeLimit
from creatify_textgen.exceptions import TransitionError
from creatify_textgen.models import BulkJob, BulkSlice, Generation, uuid7

__all__ = ["go_on", "resume", "start", "stop", "sweep_jobs"]

TIME_LIMIT_SECONDS = 20.0
"""After this time a job goes to the end of the queue, so that workers do other work, too."""
TAKEN_WITHIN = timedelta(seconds=60)
"""After this time, the next sweep publishes a job again that no worker has taken."""
# What is left is still due at the next sweep.
JOBS_PER_SWEEP = 100


def start(
    rows: QuerySet[Generation],
    *,
    verb: str,
    by: Any,
    until: datetime,
    query: str = "",
    job_id: uuid.UUID | None = None,
) -> BulkJob:
    """Save a job for all of these generations; `go_on` begins it.

    `verb` is one of `BulkJob.Verb`. Generations that do not allow it are left out, and those that
    were created or ended after `until`. `by` is the user whose permissions hold; `query` is the
    filter as a query string, for people. With the same `job_id` it starts one job, however often it
    is called.
    """
    job_id = job_id or uuid7()
    try:
        with databases.short_transaction():
            return _save(rows, job_id, verb=verb, by=by, until=until, query=query)
    except IntegrityError:
        # The primary key makes it one job: of two requests with one id, the second finds the first.
        return BulkJob.objects.get(pk=job_id)


def go_on(job_id: uuid.UUID, *, time_limit: float = TIME_LIMIT_SECONDS) -> None:
    """Work on a job for so many seconds, unless another process does. A worker does the rest.

    The worker begins at once, or, if the job has to wait, when it is due. May be called any number
    of times, also at once.
    """
    work = claim_job(job_id)
    delay_seconds = work.go_on(TimeLimit(time_limit)) if work else None
    if delay_seconds is not None:
        enqueue.bulk(job_id, delay_seconds=delay_seconds)


def stop(job: BulkJob) -> BulkJob:
    """End a job now. Finished work stays. Raises: TransitionError if the job has ended."""
    now = clock.now()
    values = {"state": BulkJob.State.STOPPED, "finished_at": now, "due_at": None, "claim": None}
    stopped = _move(job, [BulkJob.State.RUNNING], **values)
    job_ended.send_robust(sender=BulkJob, job=stopped)
    return stopped


def resume(job: BulkJob, *, by: Any) -> BulkJob:
    """Give a job that stopped, failed or lost its worker to a worker.

    From now on it needs the permissions of `by`. Raises: TransitionError if all is done.
    """
    # A running job, too: its worker may be lost. If it is not, it has lost its claim, and its next
    # write fails, so that two never work on one place.
    states = [BulkJob.State.STOPPED, BulkJob.State.FAILED, BulkJob.State.RUNNING]
    values = {"state": BulkJob.State.RUNNING, "finished_at": None, "error_code": ""}
    due_at = clock.now() + TAKEN_WITHIN
    with databases.short_transaction():
        # This locks the row, so its worker counts nothing before `done_before` is written.
        left = _move(job, states, claim=None)
        done = left.done
        resumed = _move(left, states, requested_by=by, done_before=done, due_at=due_at, **values)
    if not left.has_ended:
        job_ended.send_robust(sender=BulkJob, job=left)
    enqueue.bulk(job.pk)
    return resumed


def sweep_jobs(*, here: bool = False) -> int:
    """Give each job that is due to a worker, or to this process; return their number."""
    now = clock.now()
    due = BulkJob.objects.filter(state=BulkJob.State.RUNNING, due_at__lte=now).order_by("due_at")
    ids = list(due.values_list("pk", flat=True)[:JOBS_PER_SWEEP])
    for job_id in ids:
        # `go_on` claims by itself. For a worker the row is changed first: of several sweeps one
        # publishes the message, and the next sweep publishes it again if it is lost.
        if here:
            go_on(job_id)
        elif due.filter(pk=job_id).update(claim=None, error_code="", due_at=now + TAKEN_WITHIN):
            enqueue.bulk(job_id)
    return len(ids)


def _move(job: BulkJob, states: list[Any], **values: Any) -> BulkJob:
    if not BulkJob.objects.filter(pk=job.pk, state__in=states).update(**values):
        text = _("Bulk job %(id)s has ended.") % {"id": job.pk}
        raise TransitionError(text, code="has_ended")
    return BulkJob.objects.get(pk=job.pk)


def _save(
    rows: QuerySet[Generation],
    job_id: uuid.UUID,
    *,
    verb: str,
    by: Any,
    until: datetime,
    query: str,
) -> BulkJob:
    # First the job, whose key ends the second of two requests before any id is read. `due_at` is
    # now, so that the sweep takes a job whose process dies before `go_on`.
    now = clock.now()
    job = BulkJob(pk=job_id, verb=BulkJob.Verb(verb), requested_by=by, query=query, until=until)
    job.created_at = job.due_at = now
    job.save(force_insert=True)
    for number, keys in enumerate(slices_of(eligible(rows, verb=verb, until=until))):
        BulkSlice.objects.create(job=job, number=number, keys=pack(keys))
        job.total += len(keys)
    job.save(update_fields=["total"])
    return job
