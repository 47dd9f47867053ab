"""What was used of budgets before their first periods were made: read from the daily sums.

Invariant: budgets that count by the same columns share one query, so the number of queries does not
grow with the budgets.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from django.contrib.auth import get_user_model
from django.db.models import QuerySet, Sum

from creatify_textgen import clock, databases
from creatify_textgen.models import Budget, BudgetPeriod, UsageDay, UsageTotal
from creatify_textgen.states import Status

__all__ = ["first_day", "used_before"]

AT_ONCE = 1000
"""Budgets in one query: SQLite and PostgreSQL limit the values of a statement."""
COLUMNS = {
    "account": "account",
    "model_name": "model_name",
    "owner_id": "owner",
    "group_id": "owner__groups",
}
"""The column of the sums for each field that says what a budget counts."""


def first_day(budget: Budget, *, now: datetime) -> date:
    """Return the first day (UTC) of the current period of this budget."""
    return budget.first_day(clock.utc_day(now))


def used_before(budgets: Iterable[Budget], *, now: datetime) -> dict[Budget, Decimal]:
    """Return what was used in the current period of each budget before the budget was made.

    That is 0 for a budget that has had a period: its rows count each generation since then, in the
    period in which it was requested.
    """
    budgets = list(budgets)
    begun = BudgetPeriod.objects.filter(budget__in=budgets).values_list("budget", flat=True)
    used = dict.fromkeys(budgets, Decimal())
    alike: defaultdict[tuple[Any, ...], list[Budget]] = defaultdict(list)
    known = set(begun.distinct())
    for budget in (one for one in budgets if one.pk not in known):
        scope = tuple(name for name in COLUMNS if getattr(budget, name) not in ("", None))
        alike[budget.unit, first_day(budget, now=now), scope].append(budget)
    for (unit, since, scope), some in alike.items():
        for at in range(0, len(some), AT_ONCE):
            used |= _used(some[at : at + AT_ONCE], scope, unit=unit, since=since)
    return used


def _used(
    budgets: Sequence[Budget], scope: Sequence[str], *, unit: str, since: date
) -> dict[Budget, Decimal]:
    """Return what was used since this day, of budgets that all count by these fields."""
    if "group_id" in scope and not hasattr(get_user_model(), "groups"):
        # A host's own user model may know no groups.
        return dict.fromkeys(budgets, Decimal())
    is_shared = not {"owner_id", "group_id"} & set(scope)
    table = UsageTotal if is_shared else UsageDay
    usage: QuerySet[Any] = table._default_manager.filter(day__gte=since).order_by()
    for name in scope:
        usage = usage.filter(**{f"{COLUMNS[name]}__in": {getattr(one, name) for one in budgets}})
    # A cancelled generation was never sent, so it takes nothing from a budget of generations.
    is_credits = unit == Budget.Unit.CREDITS
    counted = usage if is_credits else usage.exclude(status=Status.CANCELLED)
    total = Sum("credits_used" if is_credits else "generations")
    columns = [COLUMNS[name] for name in scope]
    sums: defaultdict[tuple[Any, ...], Decimal] = defaultdict(Decimal)
    rows = counted.values_list(*columns).annotate(used=total) if columns else [_all(counted, total)]
    for *values, used in rows:
        sums[_key(values)] += used or 0
    return {one: Decimal(sums[_key([getattr(one, name) for name in scope])]) for one in budgets}


def _all(usage: QuerySet[Any], total: Sum) -> tuple[Any]:
    return (usage.aggregate(used=total)["used"],)


def _key(values: Iterable[Any]) -> tuple[Any, ...]:
    # MariaDB finds a name in small letters, too.
    fold = databases.connection().vendor == "mysql"
    return tuple(one.casefold() if fold and isinstance(one, str) else one for one in values)
