"""Whether there is room in every budget that a request counts for; keeps that room for it.

A reservation is one conditional UPDATE in the transaction that saves the generation, so a process
that is killed leaves neither a hold without a generation nor a generation without its hold.
`lifecycle` settles the hold in the transaction that finishes the row. No price list exists: a
reservation is the estimate of `estimates`, and nothing while no cost of the model is known.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal

from django.db import IntegrityError
from django.db.models import F
from django.db.models.functions import Round
from django.utils.translation import gettext as _

from creatify_textgen import databases
from creatify_textgen.control.estimates import estimate_of
from creatify_textgen.control.used import first_day, used_before
from creatify_textgen.exceptions import PolicyRefusal
from creatify_textgen.intake import Intake
from creatify_textgen.logs import CONTROL
from creatify_textgen.models import (
    Budget,
    BudgetHold,
    BudgetPeriod,
    Generation,
)
from creatify_textgen.signals import budget_reached

__all__ = ["BudgetState", "ExhaustedError", "Reservations", "read_states", "refusal_of"]

PLACES = 10
"""Decimal places of every amount that is saved."""
NEAR_END = 0.8
"""From this share of its limit on, pages mark a budget."""


@dataclass(frozen=True, slots=True)
class BudgetState:
    """A budget in its current period. The sums are in the unit of the budget."""

    budget: Budget
    starts_on: date
    settled: Decimal
    reserved: Decimal
    unknown: Decimal

    @property
    def held(self) -> Decimal:
        return self.settled + self.reserved + self.unknown

    @property
    def left(self) -> Decimal:
        return max(self.budget.limit - self.held, Decimal())

    @property
    def share(self) -> float:
        """The part of the limit that is held: 1 or more if nothing is left."""
        # A limit of 0 is used up from the beginning.
        return float(self.held / self.budget.limit) if self.budget.limit else 1.0

    @property
    def percent(self) -> int:
        """The same in whole percent. Rounded down, so that 100 means that nothing is left."""
        # By decimals: as a float, 0.29 * 100 is less than 29.
        return int(self.held * 100 / self.budget.limit) if self.budget.limit else 100

    @property
    def is_near_end(self) -> bool:
        return self.share >= NEAR_END


class ExhaustedError(Exception):
    """A hard budget has no room left. `period` is its current period."""

    def __init__(self, period: BudgetPeriod) -> None:
        super().__init__(period)
        self.period = period


@dataclass(slots=True)
class Reservations:
    """What some requests will hold, by period."""

    now: datetime
    amounts: dict[BudgetPeriod, dict[Generation, Decimal]] = field(default_factory=dict)

    @classmethod
    def plan(
        cls, intakes: Sequence[Intake], generations: Sequence[Generation], *, now: datetime
    ) -> Reservations:
        """Find the budgets of each request. Makes their periods, and reserves nothing yet."""
        plan = cls(now)
        scopes: dict[tuple[str, object, str], list[tuple[BudgetPeriod, Decimal]]] = {}
        # Read once for each scope: the thousands of requests of a batch usually have the same.
        for intake, generation in zip(intakes, generations, strict=True):
            scope = (intake.account, intake.owner_id, intake.model_name)
            if scope not in scopes:
                scopes[scope] = [
                    (period, _estimate(period.budget, intake.model_name))
                    for budget in Budget.objects.covering(
                        account=intake.account,
                        model_name=intake.model_name,
                        owner_id=intake.owner_id,
                    )
                    if (period := _period(budget, now=now))
                ]
            for period, amount in scopes[scope]:
                plan.amounts.setdefault(period, {})[generation] = amount
        return plan

    @contextmanager
    def reserved(self) -> Iterator[None]:
        """Reserve, run the block that saves the generations, and write their holds.

        Raises: ExhaustedError, and then the block did not run.
        """
        # In the order of their keys, so two requests cannot deadlock over them.
        reserved = [
            period
            for period in sorted(self.amounts, key=lambda period: period.pk)
            if self._reserve(period, sum(self.amounts[period].values(), Decimal()))
        ]
        yield
        BudgetHold.objects.bulk_create(
            (
                BudgetHold(period=period, generation=generation, amount=amount)
                for period in reserved
                for generation, amount in self.amounts[period].items()
            ),
            batch_size=1000,
        )

    def _reserve(self, period: BudgetPeriod, amount: Decimal) -> bool:
        """Reserve in one period; False if its budget was deleted, so that it limits nothing."""
        budget = period.budget
        mine = BudgetPeriod.objects.filter(pk=period.pk)
        # SQLite adds floats: without rounding, 0.1 + 0.2 would be more than 0.3.
        held = mine.annotate(held=Round(F("settled") + F("reserved") + F("unknown"), PLACES))
        # An estimate is 0 while no cost is known. Then only the first condition refuses a request.
        room = held.filter(held__lt=budget.limit, held__lte=budget.limit - amount)
        if room.update(reserved=F("reserved") + amount):
            return True
        if budget.is_hard and mine.exists():
            raise ExhaustedError(period)
        # A soft budget counts what exceeds it, too.
        if budget.is_hard or not mine.update(reserved=F("reserved") + amount):
            return False
        report_reached(period, now=self.now)
        return True


def read_states(budgets: Iterable[Budget], *, now: datetime) -> list[BudgetState]:
    """Return each budget with its sums. The number of queries does not grow with the budgets."""
    starts = {budget: first_day(budget, now=now) for budget in budgets}
    periods = BudgetPeriod.objects.filter(budget__in=starts, starts_on__in=set(starts.values()))
    found = {(period.budget_id, period.starts_on): period for period in periods}
    new = [budget for budget, day in starts.items() if (budget.pk, day) not in found]
    used = used_before(new, now=now)
    return [
        BudgetState(budget, day, period.settled, period.reserved, period.unknown)
        if (period := found.get((budget.pk, day)))
        else BudgetState(budget, day, used[budget], Decimal(), Decimal())
        for budget, day in starts.items()
    ]


def refusal_of(period: BudgetPeriod, *, now: datetime) -> PolicyRefusal:
    """Report that a hard budget is reached, and return the refusal."""
    report_reached(period, now=now)
    # Without its name and its sums: staff may have named it after a customer.
    return PolicyRefusal(
        _("A budget is used up; nothing was saved or sent."), code="budget_reached", status=402
    )


def report_reached(period: BudgetPeriod, *, now: datetime) -> None:
    """Log and send `budget_reached`, once per period."""
    first = BudgetPeriod.objects.filter(pk=period.pk, reached_at=None)
    if not first.update(reached_at=now):
        return
    CONTROL.warning(
        "The budget %r is reached for the period from %s.", period.budget.name, period.starts_on
    )
    databases.after_commit(
        lambda: budget_reached.send_robust(
            sender=Budget, generation=None, budget=period.budget, period=period
        )
    )


def _period(budget: Budget, *, now: datetime) -> BudgetPeriod | None:
    """Return the current period, and make it if there is none; None if the budget was deleted."""
    starts_on = first_day(budget, now=now)
    periods = BudgetPeriod.objects.filter(budget=budget, starts_on=starts_on)
    found = periods.first()
    if found is None:
        settled = used_before([budget], now=now)[budget]
        new = BudgetPeriod(budget=budget, starts_on=starts_on, made_at=now, settled=settled)
        # Another request may make the same period now: the constraint keeps one, and both read it.
        # The budget may be deleted at the same time. MariaDB then ignores the new row.
        with suppress(IntegrityError), databases.short_transaction():
            BudgetPeriod.objects.bulk_create([new], ignore_conflicts=True)
        found = periods.first()
    if found is not None:
        found.budget = budget
    return found


def _estimate(budget: Budget, model_name: str) -> Decimal:
    is_counted = budget.unit == Budget.Unit.GENERATIONS
    return Decimal(1) if is_counted else estimate_of(model_name).reserved
