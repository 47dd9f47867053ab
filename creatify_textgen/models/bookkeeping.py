"""Small tables that the journeys share: the day's rollup, the circuit, the sweep's alarm.

Shared through the database so that every worker and web process sees the same.
"""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from creatify_textgen.states import Status

__all__ = ["Circuit", "SweepAlarm", "UsageDay"]


class UsageDay(models.Model):
    """What one owner used on one day (UTC) of one model, by final status.

    Written in the transaction that finishes a row, so it agrees with the rows.
    """

    key = models.CharField(
        primary_key=True, max_length=64, help_text=_("Hash of the five columns that follow.")
    )
    day = models.DateField(db_index=True)
    account = models.CharField(max_length=64)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
    )
    model_name = models.CharField(max_length=255)
    status = models.CharField(max_length=12, choices=Status.choices)
    generations = models.PositiveIntegerField(default=0)
    credits_used = models.DecimalField(max_digits=20, decimal_places=10, default=0)
    credits_unknown = models.PositiveIntegerField(
        default=0, help_text=_("Generations whose cost the remote has not told.")
    )

    class Meta:
        ordering = ["-day"]
        verbose_name = _("usage of a day")
        verbose_name_plural = _("usage by day")

    def __str__(self) -> str:
        return f"{self.day} {self.model_name} {self.status}"


class Circuit(models.Model):
    """Whether an account's remote is being left alone because it is down."""

    account = models.CharField(primary_key=True, max_length=64)
    failures = models.PositiveIntegerField(default=0, help_text=_("In a row."))
    open_until = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = _("circuit")
        verbose_name_plural = _("circuits")

    def __str__(self) -> str:
        return f"{self.account} {'open' if self.open_until else 'closed'}"


class SweepAlarm(models.Model):
    """One row: for when the next sweep has been asked of the broker."""

    due_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = _("sweep alarm")
        verbose_name_plural = _("sweep alarms")

    def __str__(self) -> str:
        return str(self.due_at)
