"""The Celery tasks. Each makes one call of a verb, takes ids and no rows, and may run twice."""

from __future__ import annotations

import uuid

from celery import shared_task
from django.db import Error as DatabaseFault

from creatify_textgen import bulk as jobs
from creatify_textgen import chat, databases, services
from creatify_textgen.logs import SWEEP

__all__ = ["bulk", "reconcile", "run", "stream", "submit", "sweep"]


@shared_task(name="creatify_textgen.submit", ignore_result=True)
def submit(generation_id: str) -> None:
    """Send one generation, unless it was sent already."""
    services.send_generation(uuid.UUID(generation_id))


@shared_task(name="creatify_textgen.stream", ignore_result=True)
def stream(generation_id: str) -> None:
    """Run the pump of one stream, unless another pump has its lease."""
    services.pump_stream(uuid.UUID(generation_id))


@shared_task(
    name="creatify_textgen.sweep",
    ignore_result=True,
    # If the database fails, the sweep ends before it has requested the next one. Celery waits a
    # random time up to `retry_backoff_max`, so 60 retries last through about half an hour.
    autoretry_for=(DatabaseFault,),
    retry_backoff=5,
    retry_backoff_max=60,
    max_retries=60,
)
def sweep() -> None:
    """Process everything that is due, and request the next sweep if a row will be due later."""
    try:
        services.sweep()
    # An error of a generation must not keep the runs and the jobs waiting.
    finally:
        chat.sweep_runs()
        jobs.sweep_jobs()


@shared_task(name="creatify_textgen.run", ignore_result=True)
def run(run_id: str) -> None:
    """Go on with one run of `chat`, unless another process does."""
    with databases.letting_go():  # It waits for minutes, for the remote and for functions.
        chat.go_on(uuid.UUID(run_id))


@shared_task(name="creatify_textgen.bulk", ignore_result=True)
def bulk(job_id: str) -> None:
    """Go on with one bulk job for some seconds, unless another process does."""
    jobs.go_on(uuid.UUID(job_id))


@shared_task(name="creatify_textgen.reconcile", ignore_result=True)
def reconcile(account: str = "default", *, fix: bool = False) -> None:
    """Compare the remote's list with our rows and log the differences; with `fix`, repair them.

    Made for a daily entry in Celery's beat schedule, with `fix=True`.
    """
    report = services.reconcile(account=account, fix=fix)
    if not report.is_clean:
        SWEEP.warning("%s", report)
