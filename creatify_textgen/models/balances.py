"""Readings of a workspace's balance, each with the costs of our rows at that time."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from creatify_textgen.models.querysets import WrittenManager

__all__ = ["BalanceReading"]


class BalanceReading(models.Model):
    """The balance at one moment. Two readings show the credits that no row explains."""

    account = models.CharField(max_length=64)
    at = models.DateTimeField()
    balance = models.DecimalField(max_digits=20, decimal_places=10)
    used = models.DecimalField(
        max_digits=20,
        decimal_places=10,
        help_text=_("The known costs of all generations of the account by then."),
    )
    unknown = models.PositiveIntegerField(
        default=0, help_text=_("Generations whose cost was not known by then.")
    )
    in_flight = models.PositiveIntegerField(
        default=0, help_text=_("Generations that were under way.")
    )

    objects = WrittenManager["BalanceReading"]()

    class Meta:
        base_manager_name = "objects"
        # No page lists these rows: pages show what follows from two of them.
        default_permissions = ()
        indexes = [models.Index(fields=["account", "at"], name="textgen_balance")]
        verbose_name = _("reading of a balance")
        verbose_name_plural = _("readings of balances")

    def __str__(self) -> str:
        return f"{self.account} {self.at}"
