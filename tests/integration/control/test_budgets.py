"""What is reserved, settled and unknown in a budget, from the intent to the last correction."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.db import connection
from django.test.utils import CaptureQueriesContext

from creatify_textgen import clock, lifecycle, services
from creatify_textgen.control.budgets import Reservations, read_states
from creatify_textgen.control.used import first_day
from creatify_textgen.dispatch.intents import save_intent
from creatify_textgen.exceptions import PolicyRefusal
from creatify_textgen.intake import accept
from creatify_textgen.lifecycle import Outcome
from creatify_textgen.models import (
    Budget,
    BudgetHold,
    BudgetPeriod,
    Generation,
    GenerationContent,
)
from creatify_textgen.signals import budget_reached
from creatify_textgen.states import Cause, Mode, Status
from tests.factories import NOW, save_usage

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("still_clock")]

MODEL = "gemini-2.5-flash"


@pytest.fixture
def user() -> User:
    return User.objects.create_user("owner")


@pytest.fixture
def reached() -> Iterator[list[Budget]]:
    """Return the budgets that the signal was sent for."""
    budgets: list[Budget] = []

    def receive(budget: Budget, **_: Any) -> None:
        budgets.append(budget)

    budget_reached.connect(receive)
    yield budgets
    budget_reached.disconnect(receive)


def make_budget(limit: Any = 1, **fields: Any) -> Budget:
    fields = {"name": "Team", "unit": "generations", "period": "day", **fields}
    return Budget.objects.create(limit=limit, **fields)


def save(owner: User | None = None, *, model_name: str = MODEL, now: Any = NOW) -> Generation:
    intake = accept("Hello", owner=owner, model_name=model_name)
    return save_intent(intake, mode=Mode.ASYNC, now=now, due_at=now)[0]


def finish(row: Generation, *, credits_used: Any, now: Any = NOW) -> None:
    lifecycle.mark_submitting(row, now=now, lease_seconds=1)
    outcome = Outcome(credits_used=credits_used)
    assert lifecycle.mark_done(row.pk, cause=Cause.POLL, now=now, outcome=outcome)
    row.refresh_from_db()


def sums() -> tuple[Decimal, Decimal, Decimal]:
    """Return what is settled, reserved and unknown."""
    period = BudgetPeriod.objects.get()
    return period.settled, period.reserved, period.unknown


def remember_cost(cost: str, *, unknown: int = 0, **fields: Any) -> None:
    """Let two generations of the model have cost this together, on an earlier day."""
    row = {"day": NOW.date() - timedelta(days=1), "model_name": MODEL, "status": "done", **fields}
    save_usage(
        generations=2 + unknown,
        credits_used=cost,
        credits_unknown=unknown,
        **row,
    )


class TestHardBudget:
    def test_refuses_what_has_no_room(self) -> None:
        make_budget(2)
        save()
        save()
        with pytest.raises(PolicyRefusal) as caught:
            save()
        assert (caught.value.code, caught.value.status) == ("budget_reached", 402)
        assert "Team" not in str(caught.value)
        assert (Generation.objects.count(), sums()) == (2, (0, 2, 0))

    def test_refuses_a_batch_as_a_whole(self) -> None:
        make_budget(2)
        with pytest.raises(PolicyRefusal):
            services.submit_many([{"messages": "Hello"}] * 3)
        assert (Generation.objects.count(), sums()) == (0, (0, 0, 0))
        services.submit_many([{"messages": "Hello"}] * 2)
        assert (BudgetHold.objects.count(), sums()) == (2, (0, 2, 0))

    def test_reports_once_that_it_is_reached(
        self, reached: list[Budget], django_capture_on_commit_callbacks: Any
    ) -> None:
        budget = make_budget(0)
        with django_capture_on_commit_callbacks(execute=True):
            for _ in range(2):
                with pytest.raises(PolicyRefusal):
                    save()
        assert reached == [budget]

    def test_returns_what_a_key_stands_for(self) -> None:
        make_budget(1)
        first = services.submit("Hello", idempotency_key="a")
        assert services.submit("Hello", idempotency_key="a") == first

    def test_begins_again_with_its_period(self) -> None:
        make_budget(1)
        save()
        save(now=NOW + timedelta(days=1))
        starts = BudgetPeriod.objects.order_by("starts_on").values_list("starts_on", flat=True)
        assert list(starts) == [date(2020, 11, 22), date(2020, 11, 23)]

    @pytest.mark.parametrize(
        ("period", "starts_on"), [("month", date(2020, 11, 1)), ("total", date(1970, 1, 1))]
    )
    def test_has_longer_periods(self, period: str, starts_on: date) -> None:
        make_budget(1, period=period)
        save()
        assert BudgetPeriod.objects.get().starts_on == starts_on


class TestSoftBudget:
    def test_reports_and_refuses_nothing(
        self, reached: list[Budget], django_capture_on_commit_callbacks: Any
    ) -> None:
        budget = make_budget(1, is_hard=False)
        with django_capture_on_commit_callbacks(execute=True):
            for _ in range(3):
                save()
        assert (reached, sums()) == ([budget], (0, 3, 0))


class TestScope:
    @pytest.mark.parametrize("field", ["account", "model_name", "owner", "group"])
    def test_leaves_others_alone(self, user: User, field: str) -> None:
        team = Group.objects.create(name="team")
        user.groups.add(team)
        scope = {"account": "default", "model_name": MODEL, "owner": user, "group": team}
        make_budget(0, **{field: scope[field]})
        with pytest.raises(PolicyRefusal):
            save(user)
        elsewhere = {"account": "other", "model_name": "x", "owner": None, "group": None}
        Budget.objects.all().delete()
        other = {**scope, field: elsewhere[field]}
        if field in ("account", "model_name"):
            make_budget(0, **{field: other[field]})
            assert save(user).pk
        else:
            make_budget(0, **{field: scope[field]})
            assert save().pk
            assert save(User.objects.create_user("other")).pk

    def test_of_a_group_is_shared(self, user: User) -> None:
        team, other = Group.objects.create(name="team"), User.objects.create_user("other")
        team.user_set.set([user, other])
        make_budget(1, group=team)
        save(user)
        with pytest.raises(PolicyRefusal):
            save(other)

    def test_counts_what_was_used_before(self, user: User) -> None:
        remember_cost("3", owner=user, account="default")
        remember_cost("4", account="other", status="failed")
        make_budget(10, unit="credits", period="month", owner=user)
        save(user)
        assert BudgetPeriod.objects.get().settled == 3


class TestCredits:
    def test_reserve_the_mean_of_what_is_known(self) -> None:
        remember_cost("3", unknown=5)
        make_budget(2, unit="credits", period="day")
        save()
        assert sums() == (0, Decimal("1.5"), 0)
        with pytest.raises(PolicyRefusal):
            save()

    def test_reserve_nothing_where_nothing_is_known(self) -> None:
        make_budget(1, unit="credits")
        save()
        assert sums() == (0, 0, 0)

    def test_are_settled_with_what_it_cost(self) -> None:
        remember_cost("3")
        make_budget(5, unit="credits")
        finish(save(), credits_used=Decimal("0.25"))
        assert sums() == (Decimal("0.25"), 0, 0)

    def test_keep_their_hold_until_the_cost_is_known(self) -> None:
        remember_cost("3")
        make_budget(5, unit="credits")
        row = save()
        finish(row, credits_used=None)
        assert sums() == (0, 0, Decimal("1.5"))
        lifecycle.correct_credits(row, Decimal(2))
        assert sums() == (2, 0, 0)
        lifecycle.correct_credits(row, Decimal(1))
        assert sums() == (1, 0, 0)

    def test_are_released_by_a_cancel(self) -> None:
        remember_cost("3")
        make_budget(5, unit="credits")
        services.cancel(save())
        assert sums() == (0, 0, 0)


class TestGenerations:
    def test_are_counted_when_they_are_done(self) -> None:
        make_budget(5)
        finish(save(), credits_used=None)
        assert sums() == (1, 0, 0)

    def test_are_released_by_a_cancel(self) -> None:
        make_budget(5)
        services.cancel(save())
        assert sums() == (0, 0, 0)


class TestBatch:
    def test_costs_the_same_for_many(self) -> None:
        make_budget(1000)
        services.submit_many([{"messages": "Hello"}])  # makes the period, and schedules a sweep
        queries = []
        for count in (2, 20):
            with CaptureQueriesContext(connection) as captured:
                services.submit_many([{"messages": "Hello"}] * count)
            queries.append(len(captured))
        assert queries[0] == queries[1]


class TestEndInTheNextPeriod:
    """A generation counts in the period in which it was requested, and in no other."""

    EVENING = NOW.replace(hour=23)
    MORNING = EVENING + timedelta(hours=2)

    @pytest.fixture(params=["generations", "credits"])
    def row(self, request: Any) -> Generation:
        make_budget(3, unit=request.param)
        return save(now=self.EVENING)

    def settled(self) -> list[Decimal]:
        periods = BudgetPeriod.objects.order_by("starts_on")
        assert not any(period.unknown for period in periods)
        return [period.settled for period in periods]

    @pytest.mark.parametrize("begins_first", [True, False])
    def test_counts_once(self, row: Generation, begins_first: bool) -> None:
        if begins_first:
            save(now=self.MORNING)
        finish(row, credits_used=1, now=self.MORNING)
        if not begins_first:
            save(now=self.MORNING)
        assert self.settled() == [1, 0]

    @pytest.mark.parametrize("before", [None, Decimal(2)])
    def test_counts_once_if_its_cost_is_corrected(
        self, row: Generation, before: Decimal | None
    ) -> None:
        save(now=self.MORNING)
        finish(row, credits_used=before, now=self.MORNING)
        lifecycle.correct_credits(row, Decimal(1))
        assert self.settled() == [1, 0]

    def test_keeps_nobody_out_of_the_new_period(self, row: Generation) -> None:
        finish(row, credits_used=3, now=self.MORNING)
        [state] = read_states(Budget.objects.all(), now=self.MORNING)
        assert (state.starts_on, state.held) == (self.MORNING.date(), 0)


class TestUsedBefore:
    def use(self, owner: User | None, credits_used: int, **fields: Any) -> None:
        row = {"day": NOW.date(), "account": "default", "model_name": MODEL, "status": "done"}
        save_usage(owner=owner, generations=1, credits_used=credits_used, **{**row, **fields})

    def test_is_that_of_each_scope(self, user: User) -> None:
        other = User.objects.create_user("other")
        both, one = (Group.objects.create(name=name) for name in ("both", "one"))
        user.groups.add(both, one)
        other.groups.add(both)
        self.use(user, 1)
        self.use(user, 2, model_name="gemini-x")
        self.use(user, 4, account="second")
        self.use(other, 8, day=NOW.date() - timedelta(days=1))
        self.use(None, 16, status="cancelled")
        scopes: dict[str, tuple[dict[str, Any], int, int, int]] = {
            "all": ({}, 23, 31, 3),
            "owner": ({"owner": user}, 7, 7, 3),
            "nobody yet": ({"owner": User.objects.create_user("new")}, 0, 0, 0),
            "both": ({"group": both}, 7, 15, 3),
            "one": ({"group": one}, 7, 7, 3),
            "model": ({"model_name": MODEL}, 21, 29, 2),
            "account": ({"account": "second"}, 4, 4, 1),
            "narrow": ({"owner": user, "group": one, "model_name": "gemini-x"}, 2, 2, 1),
        }
        for name, (scope, *_) in scopes.items():
            make_budget(99, name=f"{name} day", unit="credits", **scope)
            make_budget(99, name=f"{name} month", unit="credits", period="month", **scope)
            make_budget(99, name=f"{name} count", **scope)
        found = {state.budget.name: state.settled for state in services.budget_states()}
        for name, (_, day, month, count) in scopes.items():
            names = (f"{name} day", f"{name} month", f"{name} count")
            assert [found[one] for one in names] == [day, month, count], name

    def test_costs_as_many_queries_for_many_budgets(self) -> None:
        def queries() -> int:
            with CaptureQueriesContext(
                connection,
            ) as captured:
                services.budget_states()
            return len(captured)

        def make(number: int) -> None:
            owner = User.objects.create_user(f"user {number}")
            group = Group.objects.create(name=f"group {number}")
            make_budget(1, name=f"a {number}", owner=owner)
            make_budget(1, name=f"b {number}", group=group, unit="credits")

        make(0)
        before = queries()
        for number in range(1, 20):
            make(number)
        assert queries() == before


class TestCorrected:
    @pytest.mark.parametrize("before", [None, Decimal("0.5")])
    def test_counts_in_a_budget_that_was_made_later(
        self, user: User, before: Decimal | None
    ) -> None:
        row = save(user)
        finish(row, credits_used=before)
        make_budget(9, name="credits", unit="credits", owner=user)
        make_budget(9, name="count", period="total")
        make_budget(9, name="of others", unit="credits", model_name="gemini-x")
        save(user, model_name="gemini-x")
        for cost in (Decimal(4), Decimal(3)):
            assert lifecycle.correct_credits(row, cost)
            used = {state.budget.name: state.settled for state in services.budget_states()}
            assert used == {"credits": cost, "count": 1, "of others": 0}

    @pytest.mark.parametrize("unit", ["credits", "generations"])
    @pytest.mark.parametrize("period", Budget.Period.values)
    @pytest.mark.parametrize("before", [None, Decimal(5)])
    def test_counts_in_no_budget_that_was_made_while_it_ran(
        self, user: User, unit: str, period: str, before: Decimal | None
    ) -> None:
        row = save(user)
        make_budget(9, unit=unit, period=period)
        save(user, now=NOW + timedelta(minutes=1))
        finish(row, credits_used=before, now=NOW + timedelta(minutes=2))
        lifecycle.correct_credits(row, Decimal(3))
        assert not BudgetPeriod.objects.exclude(settled=0).exists()

    def test_counts_in_no_period_that_never_had_it(self, user: User) -> None:
        team, other = Group.objects.create(name="team"), User.objects.create_user("other")
        other.groups.add(team)
        make_budget(9, unit="credits", group=team)
        for day in (NOW - timedelta(days=1), NOW):
            save(other, now=day)
        row = save(user)
        finish(row, credits_used=Decimal(5))
        user.groups.add(team)
        lifecycle.correct_credits(row, Decimal(3))
        assert not BudgetPeriod.objects.exclude(settled=0).exists()


class TestDay:
    def test_is_that_of_the_daily_sums_in_an_hour_that_is_repeated(self, settings: Any) -> None:
        # At 3:00 the clocks of Chisinau go back to 2:00, which is 0:00 UTC: it was another day.
        settings.USE_TZ, settings.TIME_ZONE = False, "Europe/Chisinau"
        budget, now = make_budget(1), datetime(2020, 10, 25, 2, 30)  # noqa: DTZ001
        assert first_day(budget, now=now) == clock.utc_day(now) == date(2020, 10, 24)


class TestImported:
    def bring_in(self, owner: User | None = None, **fields: Any) -> Generation:
        """Save a row as `reconcile` does for a charge that no request of this site made."""
        values = {"model_name": MODEL, "due_at": NOW, "created_at": NOW, **fields}
        row = Generation(owner=owner, mode=Mode.IMPORTED, fingerprint="f", **values)
        outcome = Outcome(remote_id=f"r{Generation.objects.count()}", credits_used=Decimal("0.7"))
        content = GenerationContent()
        assert lifecycle.import_generation(row, content, to=Status.DONE, outcome=outcome)
        return row

    def test_counts_whether_the_period_runs_or_not(self, user: User) -> None:
        group = Group.objects.create(name="Team")
        user.groups.add(group)
        scopes: list[dict[str, Any]] = [
            {},
            {"owner": user},
            {"group": group},
            {"model_name": MODEL, "account": "default"},
        ]
        for number, scope in enumerate(scopes):
            for period in Budget.Period.values:
                name, unit = f"{period} {number}", "credits"
                make_budget(9, name=name, unit=unit, period=period, **scope)
        self.bring_in(user)
        save(user)  # makes the periods, with what was used before
        second = self.bring_in(user)
        states = services.budget_states()
        assert {state.settled for state in states} == {Decimal("1.4")}
        lifecycle.correct_credits(second, Decimal(1))
        assert {state.settled for state in services.budget_states()} == {Decimal("1.7")}

    def test_counts_in_a_period_without_a_request(self) -> None:
        make_budget(9, unit="credits")
        save(now=NOW - timedelta(days=1))
        for _ in range(2):
            self.bring_in()
        assert [state.settled for state in services.budget_states()] == [Decimal("1.4")]
        save()
        assert BudgetPeriod.objects.latest("starts_on").settled == Decimal("1.4")

    def test_counts_in_no_other_budget(self, user: User) -> None:
        other = User.objects.create_user("other")
        save(other)
        for scope in ({"owner": other}, {"model_name": "gemini-x"}, {"account": "second"}):
            make_budget(9, name=str(scope), **scope)
        make_budget(9, name="group", group=Group.objects.create(name="Others"))
        for budget in Budget.objects.all():
            day = NOW.date()
            BudgetPeriod.objects.create(budget=budget, starts_on=day)
        self.bring_in(user)
        assert not BudgetHold.objects.exists()

    def test_counts_as_one_generation(self) -> None:
        make_budget(9)
        save()
        self.bring_in()
        assert sums() == (1, 1, 0)


class TestFractions:
    @pytest.mark.parametrize(
        ("limit", "cost", "room"),
        [("0.4", "0.1", 4), ("2.3", "0.1", 23), ("0.9", "0.3", 3), ("0.0000007", "0.0000001", 7)],
    )
    def test_fill_a_budget_exactly(self, limit: str, cost: str, room: int) -> None:
        make_budget(Decimal(limit), unit="credits")
        remember_cost(str(2 * Decimal(cost)))
        for _ in range(room):
            save()
        with pytest.raises(PolicyRefusal):
            save()
        assert sums() == (0, Decimal(limit), 0)


class TestDeletedGeneration:
    def test_that_was_never_sent_gives_its_room_back(self) -> None:
        make_budget(2)
        save().delete()
        save()
        assert sums() == (0, 1, 0)

    def test_that_was_sent_counts_as_unknown(self) -> None:
        make_budget(2)
        row = save()
        lifecycle.mark_submitting(row, now=NOW, lease_seconds=1)
        row.delete()
        assert sums() == (0, 0, 1)

    def test_that_has_ended_counts_as_before(self) -> None:
        make_budget(2)
        row = save()
        finish(row, credits_used=1)
        Generation.objects.filter(pk=row.pk).delete()
        assert sums() == (1, 0, 0)

    def test_that_has_ended_is_not_asked_for_what_it_holds(self) -> None:
        row = save()
        finish(row, credits_used=1)
        row = Generation.objects.get()
        with CaptureQueriesContext(connection) as captured:
            row.delete()
        reads = [query["sql"] for query in captured if query["sql"].startswith("SELECT")]
        assert [sql for sql in reads if BudgetHold._meta.db_table in sql] == []


class TestDeletedMeanwhile:
    @pytest.fixture
    def _deleted_once_planned(self, monkeypatch: pytest.MonkeyPatch) -> None:
        plan = Reservations.plan

        def plan_and_delete(*arguments: Any, **options: Any) -> Reservations:
            planned = plan(*arguments, **options)
            Budget.objects.all().delete()
            return planned

        monkeypatch.setattr(Reservations, "plan", plan_and_delete)

    @pytest.mark.usefixtures("_deleted_once_planned")
    @pytest.mark.parametrize("is_hard", [True, False])
    def test_budget_limits_nothing(self, is_hard: bool, reached: list[Budget]) -> None:
        make_budget(1, is_hard=is_hard)
        assert save().status == "queued"
        assert (BudgetHold.objects.count(), reached) == (0, [])
