"""Jobs that do one thing to many generations, and the ids of those generations.

The ids are saved when somebody confirms the job: a filter such as "today" or "failed" would find
other rows an hour later. Invariant, which the database ensures: a job that goes on has a `due_at`.
"""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from creatify_textgen.models.identifiers import uuid7
from creatify_textgen.models.querysets import WrittenManager

__all__ = ["BulkJob", "BulkSlice"]


class BulkJob(models.Model):
    """Retry, cancel or delete many generations: who wants it, and how far it is."""

    class Verb(models.TextChoices):
        RETRY = "retry", _("retry")
        CANCEL = "cancel", _("cancel")
        DELETE = "delete", _("delete")

    class State(models.TextChoices):
        RUNNING = "running", _("running")
        DONE = "done", _("done")
        STOPPED = "stopped", _("stopped")
        FAILED = "failed", _("failed")

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    verb = models.CharField(max_length=8, choices=Verb.choices)
    state = models.CharField(max_length=8, choices=State.choices, default=State.RUNNING)
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
        help_text=_("Whose permissions it needs until it ends."),
    )
    query = models.TextField(
        blank=True, help_text=_("The filters of the history, as a query string.")
    )
    until = models.DateTimeField(
        help_text=_("Generations that were created or ended after this are not part of the job.")
    )
    total = models.PositiveIntegerField(default=0, help_text=_("How many generations."))
    done = models.PositiveIntegerField(default=0)
    done_before = models.PositiveIntegerField(
        default=0, help_text=_("How many of them were done before it was resumed.")
    )
    failed = models.PositiveIntegerField(
        default=0, help_text=_("How many could not be done. They are as they were.")
    )
    failures = models.JSONField(
        default=dict, blank=True, help_text=_("How often each error, with the ids of some.")
    )
    error_code = models.CharField(
        max_length=40, blank=True, help_text=_("Why it failed, or what it waits for.")
    )
    claim = models.UUIDField(
        null=True, blank=True, editable=False, help_text=_("The process that works on it.")
    )
    due_at = models.DateTimeField(
        null=True, blank=True, help_text=_("When the sweep gives it to another process.")
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    finished_at = models.DateTimeField(null=True, blank=True)

    objects = WrittenManager["BulkJob"]()

    class Meta:
        base_manager_name = "objects"
        # No own permissions: users who may view generations see the jobs, and users who may
        # do the same by hand control them.
        default_permissions = ()
        ordering = ["-created_at"]
        verbose_name = _("bulk job")
        verbose_name_plural = _("bulk jobs")
        indexes = [models.Index(fields=["due_at"], name="textgen_bulk_due")]
        constraints = [
            # The sweep finds a job whose process died only by `due_at`.
            models.CheckConstraint(
                condition=~Q(state="running") | Q(due_at__isnull=False),
                name="textgen_bulk_never_forgotten",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.verb} {self.pk}"

    @property
    def handled(self) -> int:
        """How many generations were tried: also the position of the next one."""
        return self.done + self.failed

    @property
    def has_ended(self) -> bool:
        return self.state != self.State.RUNNING


class BulkSlice(models.Model):
    """Up to a thousand generations of a job, the oldest first. Deleted when all are done."""

    job = models.ForeignKey(BulkJob, on_delete=models.CASCADE, related_name="slices")
    number = models.PositiveIntegerField(help_text=_("0 for the first."))
    # As bytes, a job of a million is a thousand rows. A row for each id would be a million INSERTs.
    keys = models.BinaryField(help_text=_("The ids, 16 bytes each."))

    objects = WrittenManager["BulkSlice"]()

    class Meta:
        base_manager_name = "objects"
        default_permissions = ()
        ordering = ["job", "number"]
        verbose_name = _("slice of a bulk job")
        verbose_name_plural = _("slices of bulk jobs")
        constraints = [
            models.UniqueConstraint(fields=["job", "number"], name="textgen_bulk_slice"),
        ]

    def __str__(self) -> str:
        return f"{self.number} of {self.job_id}"
