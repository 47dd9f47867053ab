"""The statuses of a generation, and which status may follow which, as tables. No queries.

Invariant: only these tables decide whether a status is final, whether a change is legal, and what
a status of the remote means.
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
    "Decision",
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
    IMPORTED = "imported", _("imported")
    """Found in the remote's list; none of our rows requested it."""


class Cause(models.TextChoices):
    """What made the app change a generation."""

    SUBMIT = "submit", _("submit")
    POLL = "poll", _("poll")
    WEBHOOK = "webhook", _("webhook")
    STREAM = "stream", _("stream")
    SWEEP = "sweep", _("sweep")
    RECONCILE = "reconcile", _("reconcile")
    OPERATOR = "operator", _("operator")
    RETENTION = "retention", _("retention")
    """Its content was removed, or is not stored. The status stays."""


class Decision(models.TextChoices):
    """What a person may find out about a generation that may have been charged."""

    NEVER_ACCEPTED = "never_accepted", _("never accepted")
    CHARGED = "charged", _("charged, answer lost")
    FOUND = "found", _("found at the remote")


S = Status  # Short for the tables below.
TRANSITIONS: dict[Status, frozenset[Status]] = {
    S.QUEUED: frozenset({S.SUBMITTING, S.CANCELLED}),
    # Back to queued only if the request certainly never left, or was refused without a charge.
    S.SUBMITTING: frozenset({S.PENDING, S.RUNNING, S.DONE, S.FAILED, S.QUEUED, S.UNCONFIRMED}),
    # Back to queued only with proof that the remote never received it (RESEND_UNCONFIRMED).
    S.UNCONFIRMED: frozenset({S.PENDING, S.RUNNING, S.DONE, S.FAILED, S.QUEUED, S.EXPIRED}),
    S.PENDING: frozenset({S.RUNNING, S.DONE, S.FAILED, S.EXPIRED}),
    S.RUNNING: frozenset({S.DONE, S.FAILED, S.EXPIRED}),
    # Not final: a result that arrives late was paid for and is still accepted.
    S.EXPIRED: frozenset({S.DONE, S.FAILED}),
    S.DONE: frozenset(),
    S.FAILED: frozenset(),
    S.CANCELLED: frozenset(),
}

TERMINAL: frozenset[Status] = frozenset(s for s, following in TRANSITIONS.items() if not following)
"""The final statuses: no other status can follow."""

IN_FLIGHT: frozenset[Status] = frozenset({S.SUBMITTING, S.UNCONFIRMED, S.PENDING, S.RUNNING})
"""The request was sent, or may have been, and its result is expected."""

SOURCES: dict[Status, frozenset[Status]] = {
    target: frozenset(s for s, following in TRANSITIONS.items() if target in following)
    for target in Status
}
"""For each status, the statuses that may come before it. They are the condition of the UPDATE that
writes the status, so of two processes that change a row at once, one wins."""

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
"""Our status for each word of the remote (contract, section 4.1). An unknown word is not final: the
generation is polled again."""
