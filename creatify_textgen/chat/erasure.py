"""Deletes conversations and runs of an erased person, and ends a run whose step was deleted."""

from __future__ import annotations

import uuid
from functools import partial
from typing import Any

from django.db.models import QuerySet
from django.db.models.signals import post_delete

from creatify_textgen import clock, databases
from creatify_textgen.chat.calls import forget_responses
from creatify_textgen.chat.conversations import Conversation
from creatify_textgen.chat.runs import OPEN, Run, Step
from creatify_textgen.signals import owner_erased, run_finished

__all__ = ["connect_erasure"]


def connect_erasure() -> None:
    """Connect receivers for the erasure of users, and for the deletion of steps."""
    owner_erased.connect(_delete, dispatch_uid="creatify_textgen.chat")
    post_delete.connect(_end_run, sender=Step, dispatch_uid="creatify_textgen.chat")


def _delete(owner_id: Any, **_: Any) -> None:
    # They have titles, rules and metadata.
    Conversation.objects.filter(owner_id=owner_id).delete()
    Run.objects.filter(owner_id=owner_id).delete()


def _end_run(instance: Step, origin: Any = None, **_: Any) -> None:
    """Fail an open run: otherwise the previous step would be its last and be answered again."""
    # Deleted with its run, which then has no end to report.
    if (origin.model if isinstance(origin, QuerySet) else type(origin)) is Run:
        return
    open_run = Run.objects.filter(pk=instance.run_id, state__in=OPEN)
    ended = open_run.update(
        state=Run.State.FAILED,
        error_code="content_removed",
        due_at=None,
        claim=None,
        finished_at=clock.now(),
    )
    if ended:
        forget_responses(instance.run_id)
        databases.after_commit(partial(_report_end, instance.run_id))


def _report_end(run_id: uuid.UUID) -> None:
    # The run itself may have been deleted, after its steps: for example with its owner.
    if run := Run.objects.select_related("owner").filter(pk=run_id).first():
        run_finished.send_robust(sender=Run, run=run)
