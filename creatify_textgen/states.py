"""What a generation's status may be, and what may follow what, as tables. No queries.

Invariant: everything that asks "is it final", "may it move", "what does the remote's word
mean" asks here.
"""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

__all__ = [
    "FROM_REMOTE",
    "IN_FLIGHT",
    "SOURCES",
    "TERMINAL",
    "TRANSITIONS",
    "Cause",
    "Mode",
    "Status",
]


class Status(models.TextChoices):
    QUEUED = "queued", _("queued")
    SUBMITTING = "submitting", _("submitting")
    UNCONFIRMED = "unconfirmed", _("unconfirmed")
    PENDING = "pending", _("pending")
    RUNNING = "running", _("running")
    EXPIRED = "expired", _("expired")
    DONE = "done", _("done")
    FAILED = "failed", _("failed")
    CANCELLED = "cancelled", _("cancelled")


class Mode(models.TextChoices):
    ASYNC = "async", _("async")
    SYNC = "sync", _("sync")
    STREAM = "stream", _("stream")


class Cause(models.TextChoices):
    """How we know that a generation moved."""

    SUBMIT = "submit", _("submit")
    POLL = "poll", _("poll")
    WEBHOOK = "webhook", _("webhook")
    STREAM = "stream", _("stream")
    SWEEP = "sweep", _("sweep")
    RECONCILE = "reconcile", _("reconcile")
    OPERATOR = "operator", _("operator")


S = Status  # short for the tables below
TRANSITIONS: dict[Status, frozenset[Status]] = {
    S.QUEUED: frozenset({S.SUBMITTING, S.CANCELLED}),
    S.SUBMITTING: frozenset({S.PENDING, S.RUNNING, S.DONE, S.FAILED, S.QUEUED, S.UNCONFIRMED}),
    S.UNCONFIRMED: frozenset({S.PENDING, S.RUNNING, S.DONE, S.FAILED, S.QUEUED, S.EXPIRED}),
    S.PENDING: frozenset({S.RUNNING, S.DONE, S.FAILED, S.EXPIRED}),
    S.RUNNING: frozenset({S.DONE, S.FAILED, S.EXPIRED}),
    S.EXPIRED: frozenset({S.DONE, S.FAILED}),
    S.DONE: frozenset(),
    S.FAILED: frozenset(),
    S.CANCELLED: frozenset(),
}

TERMINAL: frozenset[Status] = frozenset(s for s, following in TRANSITIONS.items() if not following)
"""Final: nothing follows."""

IN_FLIGHT: frozenset[Status] = frozenset({S.SUBMITTING, S.UNCONFIRMED, S.PENDING, S.RUNNING})
"""Sent, or perhaps sent, and waited for."""

SOURCES: dict[Status, frozenset[Status]] = {
    target: frozenset(s for s, following in TRANSITIONS.items() if target in following)
    for target in Status
}
"""Where a move to a status may come from: the condition of its UPDATE."""

FROM_REMOTE: dict[str, Status] = {
    "pending": S.PENDING,
    "in_queue": S.PENDING,
    "initializing": S.PENDING,
    "running": S.RUNNING,
    "generating": S.RUNNING,
    "done": S.DONE,
    "failed": S.FAILED,
    "rejected": S.FAILED,
    "error": S.FAILED,
    "canceled": S.FAILED,
    "cancelled": S.FAILED,
}
"""The remote's words (CONTRACT 4.1); one that is not here is not final."""
