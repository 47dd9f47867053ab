"""Replaces what a generation holds of its budgets by what it cost, in the rollup's transaction.

Periods are updated in the order of their keys, so two sweeps cannot deadlock over them.
Invariant: an unknown cost keeps its hold until it is known.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import date
from decimal import Decimal

from django.db.models import Exists, F, OuterRef, Q, QuerySet

from creatify_textgen.models import Budget, BudgetHold, BudgetPeriod, Generation
from creatify_textgen.states import Status

__all__ = ["drop_holds", "hold_corrected", "hold_imported", "settle_holds"]

Sum = BudgetHold.Sum


def settle_holds(generations: Iterable[Generation]) -> None:
    """Count final generations with what they cost as far as it is known. May be called again."""
    finished = {generation.pk: generation for generation in generations}
    # Not locked: the UPDATE that finished or corrected a generation has locked its row, and only
    # the process that did so settles its holds.
    holds = BudgetHold.objects.filter(generation__in=finished).select_related("period__budget")
    changes: defaultdict[int, defaultdict[str, Decimal]] = defaultdict(lambda: defaultdict(Decimal))
    changed = []
    for hold in holds:
        change = changes[hold.period_id]
        change[hold.counts_as] -= hold.amount
        hold.counts_as, hold.amount = _cost(hold, finished[hold.generation_id])
        change[hold.counts_as] += hold.amount
        changed.append(hold)
    if not changed:
        return
    for period_id, change in sorted(changes.items()):
        values = {name: F(name) + amount for name, amount in change.items() if amount}
        if values:
            BudgetPeriod.objects.filter(pk=period_id).update(**values)
    BudgetHold.objects.bulk_update(changed, ["counts_as", "amount"], batch_size=500)


def hold_imported(generation: Generation, *, day: date) -> None:
    """Let a generation that was imported count in the budgets of this day (UTC).

    Nothing was reserved for it, because none of our requests was allowed to make it. A budget
    whose first period does not exist yet will find it in the sums of its days.
    """
    budgets = _budgets_of(generation)
    begun = BudgetPeriod.objects.filter(budget__in=budgets, starts_on__lt=day)
    known = set(begun.values_list("budget", flat=True).distinct())
    BudgetPeriod.objects.bulk_create(
        (
            BudgetPeriod(budget=one, starts_on=one.first_day(day))
            for one in budgets.order_by("pk")
            if one.pk in known
        ),
        # Another process may make the same period at once; then the one that exists is used.
        ignore_conflicts=True,
    )
    BudgetHold.objects.bulk_create(
        BudgetHold(period=period, generation=generation, amount=Decimal())
        for period in _periods(budgets, day=day)
    )


def hold_corrected(generation: Generation, *, before: Decimal | None, day: date) -> None:
    """Let a correction count in the budgets of this day (UTC) that were made after its end.

    Their first periods found the generation in the sums of their days, with what was known of its
    cost before. A later period, or one that was made while it ran, counts what it holds, and
    nothing else.
    """
    held = BudgetHold.objects.filter(generation=generation).values("period__budget")
    budgets = _budgets_of(generation).exclude(pk__in=held)
    earlier = BudgetPeriod.objects.filter(
        budget=OuterRef("budget"), starts_on__lt=OuterRef("starts_on")
    )
    found_it = _periods(budgets, day=day).filter(made_at__gte=generation.finished_at)
    BudgetHold.objects.bulk_create(
        BudgetHold(
            period=period,
            generation=generation,
            counts_as=Sum.SETTLED,
            amount=before or Decimal() if _counts_credits(period.budget) else Decimal(1),
        )
        for period in found_it.exclude(Exists(earlier)).select_related("budget")
    )


def _budgets_of(generation: Generation) -> QuerySet[Budget]:
    return Budget.objects.covering(
        account=generation.account,
        model_name=generation.model_name,
        owner_id=generation.owner_id,
    )


def _periods(budgets: QuerySet[Budget], *, day: date) -> QuerySet[BudgetPeriod]:
    """Return the periods of these budgets that exist and that have this day."""
    return BudgetPeriod.objects.filter(
        Q(budget__period=Budget.Period.DAY, starts_on=day)
        | Q(budget__period=Budget.Period.MONTH, starts_on=day.replace(day=1))
        | Q(budget__period=Budget.Period.TOTAL),
        budget__in=budgets,
    )


def _counts_credits(budget: Budget) -> bool:
    return budget.unit == Budget.Unit.CREDITS


def drop_holds(generation: Generation) -> None:
    """Drop what is reserved for a generation that is about to be deleted.

    The hold of a generation that was never sent is given back. A generation that was sent may have
    been charged, so its hold counts as unknown, and stays unknown because its row is deleted.
    """
    reserved = BudgetHold.objects.filter(generation=generation, counts_as=Sum.RESERVED)
    holds = reserved.select_related("generation").order_by("period_id")
    for hold in holds:
        # The DELETE decides who gives the amount back, so it is given back once.
        if not BudgetHold.objects.filter(pk=hold.pk, counts_as=Sum.RESERVED).delete()[0]:
            continue  # Another process has settled or dropped it.
        change = {"reserved": F("reserved") - hold.amount}
        if hold.generation.first_submitted_at is not None:
            change["unknown"] = F("unknown") + hold.amount
        BudgetPeriod.objects.filter(pk=hold.period_id).update(**change)


def _cost(hold: BudgetHold, generation: Generation) -> tuple[str, Decimal]:
    cost = generation.credits_used
    if not _counts_credits(hold.period.budget):
        was_free = cost == 0 and generation.status != Status.DONE
        return Sum.SETTLED, Decimal(0 if was_free else 1)
    return (Sum.UNKNOWN, hold.amount) if cost is None else (Sum.SETTLED, cost)
