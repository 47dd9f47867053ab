"""Small tables: the daily sums of usage, the circuit of each account, the time of the next sweep.

They are in the database, and not in memory or the cache, so that every worker and web process
sees the same values and a restart loses none.
"""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from creatify_textgen.models.amounts import CreditsField
from creatify_textgen.models.control_chars import show_control_chars
from creatify_textgen.models.generation import Generation
from creatify_textgen.models.media import Media
from creatify_textgen.models.querysets import PauseQuerySet, WrittenManager
from creatify_textgen.states import Status

__all__ = [
    "Allowance",
    "Circuit",
    "DailySums",
    "DeletedGeneration",
    "Pause",
    "SweepSchedule",
    "UsageDay",
    "UsageTotal",
]


class DailySums(models.Model):
    """Generations and credits of one day (UTC), for one account, model and final status.

    Written in the transaction that finishes a generation, so the sums agree with the rows.
    """

    # A hash, because a unique constraint would not hold for rows without an owner: in SQL no NULL
    # equals another.
    key = models.UUIDField(primary_key=True, help_text=_("Hash of what it sums up."))
    day = models.DateField(db_index=True)
    account = models.CharField(max_length=64)
    model_name = models.CharField(max_length=255)
    status = models.CharField(max_length=12, choices=Status.choices)
    generations = models.PositiveIntegerField(default=0)
    credits_used = CreditsField(max_digits=20, decimal_places=10, default=0)
    credits_unknown = models.PositiveIntegerField(
        default=0, help_text=_("Generations whose cost the remote has not reported.")
    )

    class Meta:
        abstract = True
        base_manager_name = "objects"
        ordering = ["-day"]

    def __str__(self) -> str:
        return f"{self.day} {self.status}"


class UsageDay(DailySums):
    """The sums of one owner."""

    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
    )

    objects = WrittenManager["UsageDay"]()

    class Meta(DailySums.Meta):
        verbose_name = _("usage of a day")
        verbose_name_plural = _("usage by day")


class UsageTotal(DailySums):
    """The sums of all owners together, so that their number never slows a report down."""

    # Several rows may have the same day, account, model and status: see `SHARDS` in
    # `lifecycle.rollup`. Whoever reads them adds them up.

    objects = WrittenManager["UsageTotal"]()

    class Meta(DailySums.Meta):
        default_permissions = ()
        verbose_name = _("usage of all owners on a day")
        verbose_name_plural = _("usage of all owners by day")


class Circuit(models.Model):
    """Whether requests of an account are stopped because the remote does not answer."""

    # By account, because another workspace may have other keys and another address.
    account = models.CharField(primary_key=True, max_length=64)
    failures = models.PositiveIntegerField(default=0, help_text=_("Failures in a row."))
    open_until = models.DateTimeField(
        null=True, blank=True, help_text=_("Until when no request is sent; empty if it is closed.")
    )

    objects = WrittenManager["Circuit"]()

    class Meta:
        base_manager_name = "objects"
        verbose_name = _("circuit")
        verbose_name_plural = _("circuits")

    def __str__(self) -> str:
        return f"{self.account} {'open' if self.open_until else 'closed'}"


class Allowance(models.Model):
    """One row per user: counts of uploads and refreshes. Locked while requests are counted."""

    owner = models.OneToOneField(
        settings.AUTH_USER_MODEL, primary_key=True, on_delete=models.CASCADE, related_name="+"
    )
    refreshes = models.PositiveIntegerField(
        default=0, help_text=_("How often the remote was asked in this window.")
    )
    window_ends_at = models.DateTimeField(
        null=True, blank=True, help_text=_("When the count of refreshes begins again.")
    )
    uploads = models.PositiveIntegerField(
        default=0, help_text=_("How many files were stored on this day.")
    )
    upload_bytes = models.PositiveBigIntegerField(default=0, help_text=_("Their bytes."))
    uploads_on = models.DateField(null=True, blank=True, help_text=_("The day (UTC)."))

    objects = WrittenManager["Allowance"]()

    class Meta:
        base_manager_name = "objects"
        verbose_name = _("data of text generation")
        verbose_name_plural = _("data of text generation")

    def __str__(self) -> str:
        # Django's admin lists this row before it deletes a user, because it is deleted, too. The
        # generations, which only lose their owner, are not listed. So the warning is here.
        kept = Generation.objects.filter(owner_id=self.owner_id, content_removed_at=None)
        return _("content of %(generations)d generations and %(media)d files, which is erased") % {
            "generations": kept.count(),
            "media": Media.objects.filter(owner_id=self.owner_id).count(),
        }


class Pause(models.Model):
    """An account whose requests are not sent for now: who stopped them, when, and why."""

    account = models.CharField(
        primary_key=True, max_length=64, blank=True, help_text=_("Empty for all accounts.")
    )
    code = models.CharField(
        max_length=40, help_text=_("paused by a person, or insufficient_credits.")
    )
    reason = models.TextField(blank=True)
    paused_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
        help_text=_("Empty for the command line and for the app itself."),
    )
    paused_at = models.DateTimeField()
    until = models.DateTimeField(
        null=True, blank=True, help_text=_("When sending is tried again; empty: when resumed.")
    )

    objects = WrittenManager.from_queryset(PauseQuerySet)()

    class Meta:
        base_manager_name = "objects"
        default_permissions = ()
        verbose_name = _("pause")
        verbose_name_plural = _("pauses")

    def __str__(self) -> str:
        return f"{show_control_chars(self.account) or 'all accounts'}: {self.code}"


class SweepSchedule(models.Model):
    """One row: the time of the latest sweep, and of the next, whose message is in the broker."""

    due_at = models.DateTimeField(
        null=True, blank=True, help_text=_("Empty if no sweep is scheduled.")
    )
    swept_at = models.DateTimeField(
        null=True, blank=True, help_text=_("When the latest sweep began.")
    )
    tidied_at = models.DateTimeField(
        null=True, blank=True, help_text=_("When content and files were last removed.")
    )

    objects = WrittenManager["SweepSchedule"]()

    class Meta:
        base_manager_name = "objects"
        verbose_name = _("sweep schedule")
        verbose_name_plural = _("sweep schedules")

    def __str__(self) -> str:
        return str(self.due_at)


class DeletedGeneration(models.Model):
    """The id at the remote of a generation whose row was deleted.

    The remote still lists it. Without this row, reconciliation would import it as an unknown
    charge: its prompt would come back, and its cost would be counted twice.
    """

    account = models.CharField(max_length=64)
    remote_id = models.CharField(max_length=64)
    deleted_at = models.DateTimeField(default=timezone.now)

    objects = WrittenManager["DeletedGeneration"]()

    class Meta:
        base_manager_name = "objects"
        verbose_name = _("deleted generation")
        verbose_name_plural = _("deleted generations")
        constraints = [
            # In this order, because its index also finds a row by its remote id.
            models.UniqueConstraint(fields=["remote_id", "account"], name="textgen_deleted_once"),
        ]

    def __str__(self) -> str:
        return self.remote_id
