"""Random walks across the end of a month: after each step, each sum is the one of a plain model.

The model shares no code with the app: it lists the generations and counts them again each time. A
generation counts in the period in which it was requested; the daily sums count it on the day of its
end.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import product
from typing import Any

import pytest
from django.contrib.auth.models import Group, User

from creatify_textgen import clock, lifecycle, services
from creatify_textgen.control import budgets as reserving
from creatify_textgen.control.estimates import Estimate
from creatify_textgen.control.usage import UsageScope
from creatify_textgen.dispatch.intents import save_intent
from creatify_textgen.exceptions import PolicyRefusal
from creatify_textgen.intake import accept
from creatify_textgen.lifecycle import Outcome
from creatify_textgen.models import Budget, BudgetPeriod, Generation, GenerationContent
from creatify_textgen.states import Cause, Mode, Status

pytestmark = pytest.mark.django_db

START = datetime(2020, 11, 29, 18, tzinfo=UTC)
STEPS = 60
NAMES = ("settled", "reserved", "unknown")
Sums = tuple[Decimal, ...]
ESTIMATE = Decimal("0.5")
COSTS = [Decimal(text) for text in ("0", "0.1", "0.5", "2")]


@dataclass(eq=False)
class Asked:
    """A generation as the model knows it."""

    key: Any
    owner: User
    requested: date
    state: str = "queued"  # queued, sent, done, failed, cancelled, dropped
    cost: Decimal | None = None
    ended: date | None = None
    is_deleted: bool = False
    estimate: Decimal = ESTIMATE

    @property
    def is_open(self) -> bool:
        return self.state in {"queued", "sent"}

    def sums(self, unit: str) -> Counter[str]:
        """Return what it counts as for a budget that had it from its request."""
        one = self.estimate if unit == "credits" else Decimal(1)
        if self.state == "dropped":
            return Counter()
        if self.is_open:
            return Counter({"unknown" if self.is_deleted else "reserved": one})
        if unit == "generations":
            return Counter({"settled": self.cost != 0 or self.state == "done"})
        return Counter({"unknown": one} if self.cost is None else {"settled": self.cost})


@dataclass(eq=False)
class Rule:
    """A budget as the model knows it."""

    row: Budget
    owners: list[User]
    holds: list[Asked] = field(default_factory=list)
    found: dict[Asked, Decimal | None] = field(default_factory=dict)
    """Ended before its first period, and what was known of its cost then."""
    first: date | None = None

    def period_of(self, day: date) -> date:
        firsts = {"day": day, "month": day.replace(day=1), "total": date(1970, 1, 1)}
        return firsts[self.row.period]

    def begin(self, day: date, ended: list[Asked]) -> None:
        if self.first is None:
            self.first = self.period_of(day)
            self.found = {
                one: one.cost
                for one in ended
                if one.owner in self.owners and one.ended and one.ended >= self.first
            }

    def periods(self) -> dict[date, Counter[str]]:
        sums: dict[date, Counter[str]] = {}
        for one in self.holds:
            sums.setdefault(self.period_of(one.requested), Counter()).update(
                one.sums(self.row.unit)
            )
        for one, before in self.found.items():
            assert self.first
            # Daily sums know how many failed, and not how many of them cost nothing.
            counts_all = self.row.unit == "generations" and one.cost == before
            settled = one.sums(self.row.unit)["settled"]
            amount = (one.state != "cancelled") if counts_all else settled
            sums.setdefault(self.first, Counter()).update({"settled": amount})
        return sums

    def has_room(self, day: date) -> bool:
        held = self.periods().get(self.period_of(day), Counter()).total()
        amount = ESTIMATE if self.row.unit == "credits" else 1
        return not self.row.is_hard or held + amount <= self.row.limit


class Walk:
    def __init__(self, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
        self.random, self.now = random.Random(seed), START
        monkeypatch.setattr(clock, "now", lambda: self.now)
        monkeypatch.setattr(reserving, "estimate_of", lambda name: Estimate(name, p95=ESTIMATE))
        self.ann, self.bob = (User.objects.create_user(name) for name in ("ann", "bob"))
        self.team = Group.objects.create(name="team")
        self.bob.groups.add(self.team)
        self.all: list[Asked] = []
        self.rules: list[Rule] = []

    def add_budgets(self, limit: int, *, name: str) -> None:
        scopes: list[tuple[dict[str, Any], list[User]]] = [
            ({}, [self.ann, self.bob]),
            ({"owner": self.ann}, [self.ann]),
            ({"group": self.team}, [self.bob]),
        ]
        kinds = product(Budget.Period.values, Budget.Unit.values, scopes)
        for number, (period, unit, (scope, owners)) in enumerate(kinds):
            row = Budget.objects.create(
                name=f"{name} {number}",
                limit=limit,
                period=period,
                unit=unit,
                is_hard=number % 2 == 0,
                **scope,
            )
            self.rules.append(Rule(row, owners))

    def pick(self, *states: str) -> Asked | None:
        found = [one for one in self.all if one.state in states and not one.is_deleted]
        return self.random.choice(found) if found else None

    def step(self) -> None:
        self.now += timedelta(minutes=self.random.randrange(5, 200))
        verbs = [self.request] * 4 + [self.send] * 4 + [self.end] * 4 + [self.correct] * 5
        verbs += [self.bring_in, self.delete, self.delete, self.cancel, self.erase]
        self.random.choice(verbs)()

    def request(self, owner: User | None = None) -> None:
        owner, day = owner or self.random.choice([self.ann, self.bob]), self.now.date()
        intake = accept("Hello", owner=owner)
        rules = [rule for rule in self.rules if owner in rule.owners]
        has_room = all(rule.has_room(day) for rule in rules)
        try:
            row = save_intent(intake, mode=Mode.ASYNC, now=self.now, due_at=self.now)[0]
        except PolicyRefusal:
            assert not has_room
            return
        assert has_room
        one = Asked(row.pk, owner, day)
        self.all.append(one)
        for rule in rules:
            rule.begin(day, self.all)
            rule.holds.append(one)

    def send(self) -> None:
        if one := self.pick("queued"):
            row = Generation.objects.get(pk=one.key)
            assert lifecycle.mark_submitting(row, now=self.now, lease_seconds=1)
            one.state = "sent"

    def end(self) -> None:
        if one := self.pick("sent"):
            one.state = self.random.choice(["done", "done", "failed"])
            one.cost = self.random.choice([None, *COSTS])
            one.ended = self.now.date()
            mark = lifecycle.mark_done if one.state == "done" else lifecycle.mark_failed
            outcome = Outcome(credits_used=one.cost)
            assert mark(one.key, cause=Cause.POLL, now=self.now, outcome=outcome)

    def correct(self) -> None:
        if one := self.pick("done", "failed"):
            one.cost = self.random.choice([cost for cost in COSTS if cost != one.cost])
            assert lifecycle.correct_credits(Generation.objects.get(pk=one.key), one.cost)

    def cancel(self) -> None:
        if one := self.pick("queued"):
            services.cancel(Generation.objects.get(pk=one.key))
            self._cancelled(one)

    def _cancelled(self, one: Asked) -> None:
        one.state, one.cost, one.ended = "cancelled", Decimal(), self.now.date()

    def delete(self) -> None:
        if one := self.pick("queued", "sent", "done", "failed"):
            Generation.objects.get(pk=one.key).delete()
            one.is_deleted = True
            if one.state == "queued":
                one.state = "dropped"

    def erase(self) -> None:
        owner = self.random.choice([self.ann, self.bob])
        services.erase(owner)
        for one in self.all:
            if one.owner == owner and one.state == "queued":
                self._cancelled(one)

    def bring_in(self) -> None:
        """Import what the remote charged at an earlier time."""
        seconds = self.random.random() * (self.now - START).total_seconds()
        at, owner = START + timedelta(seconds=seconds), self.random.choice([self.ann, self.bob])
        row = Generation(owner=owner, mode=Mode.IMPORTED, fingerprint="f", created_at=at)
        row.model_name, row.due_at = "gemini-3-flash-preview", at
        cost = self.random.choice([None, *COSTS])
        outcome = Outcome(remote_id=str(len(self.all)), credits_used=cost)
        assert lifecycle.import_generation(
            row, GenerationContent(), to=Status.DONE, outcome=outcome
        )
        one = Asked(row.pk, owner, at.date(), "done", cost, at.date(), estimate=Decimal())
        self.all.append(one)
        for rule in self.rules:
            known = rule.first and rule.period_of(one.requested) >= rule.first
            if known and owner in rule.owners:
                rule.holds.append(one)

    def compare(self) -> None:
        saved: dict[int, dict[date, Sums]] = {rule.row.pk: {} for rule in self.rules}
        for period in BudgetPeriod.objects.all():
            if any(rounded(period)):
                saved[period.budget_id][period.starts_on] = rounded(period)
        states = services.budget_states([rule.row for rule in self.rules])
        for rule, state in zip(self.rules, states, strict=True):
            wanted = {
                day: tuple(Decimal(sums[name]) for name in NAMES)
                for day, sums in rule.periods().items()
                if any(sums.values())
            }
            assert saved[rule.row.pk] == wanted, rule.row
            if rule.first:
                assert state.starts_on == rule.period_of(self.now.date())
                assert rounded(state) == wanted.get(state.starts_on, (0, 0, 0)), rule.row
        ended = Counter[date]()
        for one in self.all:
            if one.ended:
                ended[one.ended] += one.cost or Decimal()  # type: ignore[assignment]
        days = UsageScope().by("day")
        assert {row["day"]: round(row["credits_used"], 6) for row in days} == dict(ended)


def rounded(sums: Any) -> Sums:
    # SQLite adds floats.
    return tuple(round(getattr(sums, name), 6) for name in NAMES)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("limit", [4, 1000], ids=["tight", "wide"])
def test_a_walk_across_the_end_of_a_month(
    seed: int, limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    walk = Walk(seed, monkeypatch)
    walk.add_budgets(limit, name="first")
    walk.request(walk.ann)
    walk.request(walk.bob)
    for number in range(STEPS):
        if number == STEPS // 3 and limit == 1000:
            for verb in (walk.request, walk.send) * 4:
                verb()
            walk.add_budgets(limit, name="late")
            walk.request(walk.ann)
            walk.request(walk.bob)
        walk.step()
        walk.compare()
    assert walk.now.month == 12
