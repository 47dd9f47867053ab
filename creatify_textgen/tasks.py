"""The Celery tasks: each one call down. They take ids, ignore results and may run twice."""

from __future__ import annotations

import logging
import uuid

from celery import shared_task
from django.db import Error as DatabaseFault

from creatify_textgen import services

__all__ = ["reconcile", "stream", "submit", "sweep"]

logger = logging.getLogger(__name__)


@shared_task(name="creatify_textgen.submit", ignore_result=True)
def submit(generation_id: str) -> None:
    """Send one generation, if nobody has."""
    services.send_generation(uuid.UUID(generation_id))


@shared_task(name="creatify_textgen.stream", ignore_result=True)
def stream(generation_id: str) -> None:
    """Pump one stream, if nobody has."""
    services.pump_stream(uuid.UUID(generation_id))


@shared_task(
    name="creatify_textgen.sweep",
    ignore_result=True,
    # A sweep that the database threw out has not asked for the next one.
    autoretry_for=(DatabaseFault,),
    retry_backoff=5,
    retry_backoff_max=60,
    max_retries=60,
)
def sweep() -> None:
    """See to everything that is due, and ask for the next sweep while anything is in flight."""
    services.sweep()


@shared_task(name="creatify_textgen.reconcile", ignore_result=True)
def reconcile(account: str = "default", *, fix: bool = False) -> None:
    """Compare the remote's list with our rows and log the differences.

    Made for a daily beat schedule, with `fix`.
    """
    report = services.reconcile(account=account, fix=fix)
    if not report.is_clean:
        logger.warning("%s", report)
