"""Compares the change of a balance with the costs of our rows in the same time.

A difference is shown, and its cause is not guessed: somebody else may use the keys, the remote may
charge something that it does not list, or credits were bought. The remote updates the balance
minutes after a charge, and may charge a generation before its end, so a small difference may
disappear later.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from django.core.exceptions import ImproperlyConfigured
from django.db.models import Sum

from creatify_textgen import gateway
from creatify_textgen.exceptions import TextgenError
from creatify_textgen.models import BalanceReading, Generation, UsageTotal
from creatify_textgen.states import IN_FLIGHT, Status

__all__ = ["BalanceAudit", "audit_balance", "latest_audit"]

# Expired rows, too: the balance may have fallen by their costs, which no row shows.
OPEN = sorted({*IN_FLIGHT, Status.EXPIRED})
CHARGED_WITHIN = timedelta(minutes=5)
"""The remote may lower the balance minutes after the end of a generation (contract, 7)."""
LONGEST = timedelta(days=1)
"""Rows that are older than this are not searched for those that ended a moment ago."""


@dataclass(frozen=True, slots=True)
class BalanceAudit:
    """Two readings of one account, in credits."""

    before: BalanceReading
    after: BalanceReading

    @property
    def moved(self) -> Decimal:
        """By how much the balance fell; negative if it rose."""
        return self.before.balance - self.after.balance

    @property
    def used(self) -> Decimal:
        """The costs of our rows that became known between the two readings."""
        return self.after.used - self.before.used

    @property
    def unexplained(self) -> Decimal:
        """The part of the fall that no cost of a row explains; negative if credits were bought."""
        return self.moved - self.used

    @property
    def may_even_out(self) -> bool:
        """Whether costs that were not known, or not charged, at a reading may explain it."""
        readings = (self.before, self.after)
        return any(reading.unknown or reading.in_flight for reading in readings)

    def __str__(self) -> str:
        moved, used, rest = map(_text, (self.moved, self.used, self.unexplained))
        reason = " (costs that are not known yet may explain it)" if self.may_even_out else ""
        return f"the balance fell by {moved}, the rows cost {used}; unexplained: {rest}{reason}"


def audit_balance(account: str, *, now: datetime, save: bool) -> BalanceAudit | None:
    """Read the balance and compare it with the latest reading; None if one of them is missing."""
    try:
        balance = gateway.client_for(account).remaining_credits()
    except (TextgenError, ImproperlyConfigured, ValueError):
        # An unknown balance is not a finding; the doctor says why.
        return None
    usage = UsageTotal.objects.filter(account=account)
    sums = usage.aggregate(used=Sum("credits_used"), unknown=Sum("credits_unknown"))
    after = BalanceReading(
        account=account,
        at=now,
        balance=balance,
        used=sums["used"] or Decimal(),
        unknown=sums["unknown"] or 0,
        in_flight=_under_way(account, now=now),
    )
    before = BalanceReading.objects.filter(account=account).order_by("-at").first()
    if save:
        after.save()
    return None if before is None else BalanceAudit(before, after)


def _under_way(account: str, *, now: datetime) -> int:
    rows = Generation.objects.filter(account=account)
    # Rows that ended a moment ago matter only if no other row makes the difference uncertain. They
    # are found by `created_at`, because `finished_at` has no index.
    ended = rows.filter(created_at__gt=now - LONGEST, finished_at__gt=now - CHARGED_WITHIN)
    return rows.filter(status__in=OPEN).count() or ended.count()


def latest_audit(account: str) -> BalanceAudit | None:
    """Return the comparison of the two latest readings; reads only the database."""
    latest = list(BalanceReading.objects.filter(account=account).order_by("-at")[:2])
    return BalanceAudit(latest[1], latest[0]) if len(latest) == 2 else None


def _text(amount: Decimal) -> str:
    # `normalize` alone would write 100 as 1E+2.
    return f"{amount.normalize():f}"
