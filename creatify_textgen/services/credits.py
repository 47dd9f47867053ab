"""What is left at the remote, and what was used, by day, model and status.

Invariant: what is unknown is said to be unknown, never counted as zero.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from django.core.cache import cache
from django.core.exceptions import ImproperlyConfigured
from django.db.models import QuerySet, Sum
from django.utils import timezone

from creatify_textgen import gateway
from creatify_textgen.exceptions import RemoteError
from creatify_textgen.models import UsageDay

__all__ = ["CreditReport", "credits", "remaining_credits"]

FRESH_SECONDS = 60
KEPT_SECONDS = 86400


@dataclass(frozen=True, slots=True)
class CreditReport:
    """Credits of one workspace, as far as they are known."""

    remaining: Decimal | None
    """None where the remote could not be asked and never was."""
    remaining_age_seconds: float | None
    used: Decimal
    """The sum of what is known."""
    unknown: int
    """Finished generations whose cost the remote has not told."""
    by_day: list[dict[str, Any]] = field(default_factory=list)
    """`{"day", "generations", "credits_used", "credits_unknown"}`, latest first."""
    by_model: list[dict[str, Any]] = field(default_factory=list)
    by_status: list[dict[str, Any]] = field(default_factory=list)


def credits(  # noqa: A001
    *, owner: Any = None, account: str = "default", since: date | None = None
) -> CreditReport:
    """Return what is left in a workspace and what `owner`, or everybody, used of it.

    `since` is a day in UTC. The balance is at most a minute old where the remote answers, else
    the last that was seen, with its age.
    """
    usage = UsageDay.objects.filter(account=account)
    if owner is not None:
        usage = usage.filter(owner=owner)
    if since is not None:
        usage = usage.filter(day__gte=since)
    totals = usage.aggregate(used=Sum("credits_used"), unknown=Sum("credits_unknown"))
    remaining, age = remaining_credits(account)
    return CreditReport(
        remaining=remaining,
        remaining_age_seconds=age,
        used=totals["used"] or Decimal(),
        unknown=totals["unknown"] or 0,
        by_day=_grouped(usage, "day"),
        by_model=_grouped(usage, "model_name"),
        by_status=_grouped(usage, "status"),
    )


def remaining_credits(account: str = "default") -> tuple[Decimal | None, float | None]:
    """Return the workspace's balance and its age in seconds; (None, None) while unknown."""
    key = f"creatify_textgen:remaining:{account}"
    now = timezone.now()
    seen: Mapping[str, Any] | None = cache.get(key)
    if seen is None or _age(seen["at"], now) > FRESH_SECONDS:
        balance = _ask(account)
        if balance is not None:
            seen = {"balance": balance, "at": now}
            cache.set(key, seen, KEPT_SECONDS)
    if seen is None:
        return None, None
    return seen["balance"], _age(seen["at"], now)


def _ask(account: str) -> Decimal | None:
    try:
        return gateway.client_for(account).remaining_credits()
    except (RemoteError, ImproperlyConfigured, ValueError):
        return None


def _age(at: datetime, now: datetime) -> float:
    return (now - at).total_seconds()


def _grouped(usage: QuerySet[UsageDay], name: str) -> list[dict[str, Any]]:
    sums = usage.order_by(f"-{name}").values_list(name)
    return [
        {name: group, "generations": count, "credits_used": used, "credits_unknown": unknown}
        for group, count, used, unknown in sums.annotate(
            Sum("generations"), Sum("credits_used"), Sum("credits_unknown")
        )
    ]
