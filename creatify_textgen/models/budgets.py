"""Budgets: how much may be spent, what is spent, and what each generation holds of it.

Written by `control` when a generation is saved, and by `lifecycle` when it finishes.
"""

from __future__ import annotations

from datetime import date
from typing import Any, Self

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from creatify_textgen.models.amounts import CreditsField
from creatify_textgen.models.control_chars import show_control_chars
from creatify_textgen.models.querysets import WrittenManager

__all__ = ["Budget", "BudgetHold", "BudgetPeriod"]

BEGINNING = date(1970, 1, 1)
"""The first day of a period without an end."""


class BudgetQuerySet(models.QuerySet["Budget"]):
    def covering(self, *, account: str, model_name: str, owner_id: Any) -> Self:
        """Return the budgets in which a generation counts; `owner_id` None is the site itself."""
        of_group = Q(group=None)
        # A host's own user model may have no groups.
        if owner_id is not None and hasattr(get_user_model(), "groups"):
            # By the base manager, which also finds users that the host's own manager hides.
            owners = get_user_model()._base_manager.filter(pk=owner_id)
            of_group |= Q(group__in=owners.values("groups"))
        return self.filter(
            Q(account="") | Q(account=account),
            Q(model_name="") | Q(model_name=model_name),
            Q(owner=None) | Q(owner=owner_id),
            of_group,
        )


class Budget(models.Model):
    """How much may be used in a day, a month (both in UTC) or in all. An empty scope means all."""

    class Unit(models.TextChoices):
        CREDITS = "credits", _("credits")
        GENERATIONS = "generations", _("generations")

    class Period(models.TextChoices):
        DAY = "day", _("day")
        MONTH = "month", _("month")
        TOTAL = "total", _("in all")

    name = models.CharField(max_length=100, unique=True)
    unit = models.CharField(max_length=12, choices=Unit.choices, default=Unit.CREDITS)
    limit = CreditsField(max_digits=20, decimal_places=10, validators=[MinValueValidator(0)])
    period = models.CharField(max_length=8, choices=Period.choices, default=Period.MONTH)
    is_hard = models.BooleanField(
        _("hard"), default=True, help_text=_("Refuse requests above it; otherwise only report it.")
    )
    account = models.CharField(max_length=64, blank=True, help_text=_("Empty for all accounts."))
    # With SET_NULL, the budget of a user who is deleted would limit all users; so would a group's.
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.CASCADE,
        related_name="+",
        help_text=_("Empty for all users and the site itself."),
    )
    group = models.ForeignKey(
        "auth.Group",
        null=True,
        blank=True,
        on_delete=models.CASCADE,
        related_name="+",
        help_text=_("One budget that the members of a group share."),
    )
    model_name = models.CharField(max_length=255, blank=True, help_text=_("Empty for all models."))

    objects = WrittenManager.from_queryset(BudgetQuerySet)()

    class Meta:
        base_manager_name = "objects"
        default_permissions = ("view",)
        permissions = [("manage_budgets", _("Can create, change and delete budgets"))]
        verbose_name = _("budget")
        verbose_name_plural = _("budgets")

    def __str__(self) -> str:
        return show_control_chars(self.name)

    def first_day(self, day: date) -> date:
        """Return the first day of the period that has this day (UTC)."""
        if self.period == self.Period.DAY:
            return day
        return day.replace(day=1) if self.period == self.Period.MONTH else BEGINNING


class BudgetPeriod(models.Model):
    """The sums of a budget for the generations that were requested in one period.

    Together they exceed the limit of a hard budget at most by the generations that were in flight
    when the budget was made.
    """

    budget = models.ForeignKey(Budget, on_delete=models.CASCADE, related_name="periods")
    starts_on = models.DateField()
    made_at = models.DateTimeField(null=True, blank=True)
    """When a request made it. The first of a budget has the daily sums until this moment."""
    settled = CreditsField(
        max_digits=20, decimal_places=10, default=0, help_text=_("What finished generations cost.")
    )
    reserved = CreditsField(
        max_digits=20, decimal_places=10, default=0, help_text=_("Held for those under way.")
    )
    unknown = CreditsField(
        max_digits=20,
        decimal_places=10,
        default=0,
        help_text=_("Held for those whose cost is not known."),
    )
    reached_at = models.DateTimeField(
        null=True, blank=True, help_text=_("When the signal budget_reached was sent.")
    )

    objects = WrittenManager["BudgetPeriod"]()

    class Meta:
        base_manager_name = "objects"
        verbose_name = _("period of a budget")
        verbose_name_plural = _("periods of budgets")
        constraints = [
            # Requests may make the same period at once: one row is saved, and all of them read it.
            models.UniqueConstraint(fields=["budget", "starts_on"], name="textgen_budget_period"),
        ]

    def __str__(self) -> str:
        return f"{self.budget_id} {self.starts_on}"


class BudgetHold(models.Model):
    """What one generation counts in one period, and in which of its three sums."""

    class Sum(models.TextChoices):
        SETTLED = "settled", _("settled")
        RESERVED = "reserved", _("reserved")
        UNKNOWN = "unknown", _("unknown")

    period = models.ForeignKey(BudgetPeriod, on_delete=models.CASCADE, related_name="holds")
    # Before the row goes, `retention.deletion` gives back what it holds (`lifecycle.drop_holds`).
    generation = models.ForeignKey("Generation", on_delete=models.CASCADE, related_name="holds")
    counts_as = models.CharField(max_length=8, choices=Sum.choices, default=Sum.RESERVED)
    amount = CreditsField(max_digits=20, decimal_places=10)

    objects = WrittenManager["BudgetHold"]()

    class Meta:
        base_manager_name = "objects"
        verbose_name = _("hold on a budget")
        verbose_name_plural = _("holds on budgets")

    def __str__(self) -> str:
        return f"{self.amount} {self.counts_as}"
