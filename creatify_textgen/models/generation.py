"""The generation: its slim row, its content and its timeline.

Read-only mirrors: `status` is written by `lifecycle` alone. No network, no business here.
Invariant, held by the database: a row that is not final has a `next_check_at`.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from creatify_textgen.models.identifiers import uuid7
from creatify_textgen.models.querysets import GenerationQuerySet
from creatify_textgen.states import IN_FLIGHT, TERMINAL, Cause, Mode, Status

__all__ = ["Generation", "GenerationContent", "GenerationEvent"]

EXCERPT_LENGTH = 200


class Generation(models.Model):
    """One text generation, from the intent to the last credit. Slim: what is queried."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    account = models.CharField(
        max_length=64, default="default", help_text=_("The workspace whose credits it uses.")
    )
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
        db_index=False,
        help_text=_("Who asked; empty for the site itself."),
    )
    mode = models.CharField(max_length=8, choices=Mode.choices, default=Mode.ASYNC)
    status = models.CharField(max_length=12, choices=Status.choices, default=Status.QUEUED)
    model_name = models.CharField(max_length=255, help_text=_("The model that was asked for."))
    model_version = models.CharField(
        max_length=255, blank=True, help_text=_("The model that answered, where the stream says.")
    )
    excerpt = models.CharField(
        max_length=EXCERPT_LENGTH, blank=True, help_text=_("The beginning of the last prompt.")
    )
    # Null, since "" could stand only once in an account.
    remote_id = models.CharField(  # noqa: DJ001
        max_length=64, null=True, blank=True, help_text=_("The id at the remote, once known.")
    )
    hinted_remote_id = models.CharField(
        max_length=64, blank=True, help_text=_("The id a webhook named, until it is confirmed.")
    )
    fingerprint = models.CharField(
        max_length=64, help_text=_("Hash of what was asked, to find it in the remote's list.")
    )
    credits_used = models.DecimalField(
        max_digits=20,
        decimal_places=10,
        null=True,
        blank=True,
        help_text=_("As the remote reports; empty while unknown."),
    )
    error_code = models.CharField(max_length=40, blank=True)
    finish_reason = models.CharField(max_length=64, blank=True)
    partial = models.BooleanField(
        default=False, help_text=_("The text is only what arrived before a stream broke.")
    )
    metadata = models.JSONField(default=dict, blank=True, help_text=_("The host's own."))
    idempotency_key = models.CharField(max_length=64, null=True, blank=True, unique=True)
    idempotency_hash = models.CharField(max_length=64, blank=True)
    retry_of = models.ForeignKey(
        "self", null=True, blank=True, on_delete=models.SET_NULL, related_name="retries"
    )
    media: models.ManyToManyField[Any, Any] = models.ManyToManyField(
        "Media", blank=True, related_name="generations"
    )

    attempts = models.PositiveSmallIntegerField(
        default=0, help_text=_("How often a send was begun.")
    )
    checks = models.PositiveSmallIntegerField(
        default=0, help_text=_("How often we looked since the last move.")
    )
    deliveries = models.PositiveIntegerField(
        default=0, help_text=_("Webhook deliveries received while it was not final.")
    )
    claim = models.UUIDField(null=True, blank=True, editable=False)
    lease_until = models.DateTimeField(null=True, blank=True)
    checked_at = models.DateTimeField(null=True, blank=True)
    next_check_at = models.DateTimeField(
        null=True,
        blank=True,
        help_text=_("When something will look at it; on a final row, when its signal is due."),
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(default=timezone.now, editable=False)
    submitted_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    objects = GenerationQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]
        get_latest_by = "created_at"
        verbose_name = _("generation")
        verbose_name_plural = _("generations")
        permissions = [
            ("view_content", _("Can read prompts and results of others' generations")),
            ("operate_generation", _("Can refresh, retry and cancel others' generations")),
        ]
        indexes = [
            models.Index(fields=["next_check_at"], name="textgen_due"),
            models.Index(fields=["owner", "created_at"], name="textgen_owner"),
            models.Index(fields=["status", "created_at"], name="textgen_status"),
            models.Index(fields=["created_at"], name="textgen_created"),
        ]
        constraints = [
            models.UniqueConstraint(fields=["account", "remote_id"], name="textgen_remote_once"),
            models.CheckConstraint(
                condition=Q(status__in=sorted(TERMINAL)) | Q(next_check_at__isnull=False),
                name="textgen_never_forgotten",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.model_name} {self.status} {self.pk}"

    def __repr__(self) -> str:
        return f"<Generation {self.pk} {self.mode} {self.status}>"

    @property
    def is_final(self) -> bool:
        return self.status in TERMINAL

    @property
    def is_in_flight(self) -> bool:
        return self.status in IN_FLIGHT

    @property
    def can_cancel(self) -> bool:
        """Only what was never sent can be taken back."""
        return self.status == Status.QUEUED

    @property
    def can_retry(self) -> bool:
        """While it may still bring its result, asking again might pay for it twice."""
        return self.is_final or self.status == Status.EXPIRED

    @property
    def duration_seconds(self) -> float | None:
        """Seconds from the intent to the final status, or None before it."""
        if self.finished_at is None:
            return None
        return (self.finished_at - self.created_at).total_seconds()


class GenerationContent(models.Model):
    """What was asked and what came back; big, and read only where it is shown."""

    generation = models.OneToOneField(
        Generation, primary_key=True, on_delete=models.CASCADE, related_name="content"
    )
    messages = models.JSONField(
        help_text=_("The remote's list; a medium stands as its id, never as base64.")
    )
    system_instruction = models.TextField(blank=True)
    config = models.JSONField(default=dict, blank=True)
    tools = models.JSONField(default=list, blank=True)
    tool_config = models.JSONField(default=dict, blank=True)
    response_text = models.TextField(blank=True)
    response_thoughts = models.TextField(blank=True)
    response_function_calls = models.JSONField(
        default=list, blank=True, help_text=_('A list of {"name": …, "args": {…}}.')
    )
    failed_reason = models.TextField(blank=True)
    usage = models.JSONField(
        null=True, blank=True, help_text=_("Token counts as the stream gave them last.")
    )
    citations = models.JSONField(default=list, blank=True)

    class Meta:
        verbose_name = _("content")
        verbose_name_plural = _("contents")

    def __str__(self) -> str:
        return str(self.generation_id)

    def __repr__(self) -> str:
        return f"<GenerationContent of {self.generation_id}>"

    def request_fields(self) -> dict[str, Any]:
        """The request as it was asked, for a new generation of the same."""
        names = ("messages", "system_instruction", "config", "tools", "tool_config")
        return {name: getattr(self, name) for name in names}


class GenerationEvent(models.Model):
    """One line of a generation's timeline: which move was won, when, and how we know."""

    generation = models.ForeignKey(Generation, on_delete=models.CASCADE, related_name="events")
    at = models.DateTimeField()
    status = models.CharField(max_length=12, choices=Status.choices)
    cause = models.CharField(max_length=12, choices=Cause.choices)
    detail = models.CharField(max_length=255, blank=True)

    class Meta:
        ordering = ["id"]
        verbose_name = _("event")
        verbose_name_plural = _("events")

    def __str__(self) -> str:
        return f"{self.status} by {self.cause}"
