"""Reports the credits that are left at the remote, and those used, by day, model and status."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

from creatify_textgen import clock
from creatify_textgen.conf import conf
from creatify_textgen.control.usage import CreditReport, LatestGenerations, UsageScope
from creatify_textgen.dispatch.balance import remaining_credits
from creatify_textgen.intake.owners import expect_owner

__all__ = [
    "CreditReport",
    "LatestGenerations",
    "UsageScope",
    "credits",
    "remaining_credits",
]


def credits(  # noqa: A001
    *,
    owner: Any = None,
    account: str | None = "default",
    since: date | None = None,
    until: date | None = None,
    with_balance: bool = True,
    by_owner: bool = False,
) -> CreditReport:
    """Return the balance of a workspace, and the credits that `owner`, or everybody, used of it.

    `account=None` is all accounts together. `since` and `until` are days in UTC, both included. May
    ask the remote, which is free. If the remote answers within 3 seconds, the balance is at most a
    minute old. Otherwise it is the last known balance, with its age. With `with_balance=False` the
    remote is not asked. Raises: RequestError for an `owner` who is not a saved user.
    """
    expect_owner(owner)
    scope = UsageScope(account, owner, since, until)
    used, unknown = scope.totals()
    remaining, age = _balance(account) if with_balance else (None, None)
    return CreditReport(
        remaining=remaining,
        remaining_age_seconds=age,
        used=used,
        unknown=unknown,
        # The sums are by days in UTC, whatever `TIME_ZONE` says.
        forecast=scope.forecast(today=clock.utc_now().date()),
        by_day=scope.by("day"),
        by_model=scope.by("model_name"),
        by_status=scope.by("status"),
        by_owner=scope.by("owner") if by_owner else [],
    )


def _balance(account: str | None) -> tuple[Decimal | None, float | None]:
    """Return the balance and its age; of all accounts only if each is known."""
    names = list(conf.accounts) if account is None else [account]
    known = [remaining_credits(name) for name in names]
    amounts = [amount for amount, _age in known if amount is not None]
    ages = [age for _amount, age in known if age is not None]
    # A sum that leaves out a workspace would be taken for the balance of all.
    if not known or len(amounts) < len(known):
        return None, None
    # The sum is as old as the oldest balance in it.
    return sum(amounts, Decimal()), max(ages)
