"""Budgets in the admin: how near each is to its end, and who may change them."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from creatify_textgen import services
from creatify_textgen.models import Budget, BudgetHold, BudgetPeriod

BUDGETS = "/admin/creatify_textgen/budget/"


def make_budget(**fields: Any) -> Budget:
    """Save a budget of ten generations, three of them reserved and one unknown."""
    fields = {"name": "Team", "unit": "generations", "limit": 10, **fields}
    budget = Budget.objects.create(**fields)
    [state] = services.budget_states([budget])
    budget.periods.create(starts_on=state.starts_on, settled=4, reserved=3, unknown=1)
    return budget


@pytest.fixture
def manager(staff_with: Callable[..., Client]) -> Client:
    return staff_with("manage_budgets")


class TestList:
    def test_shows_the_three_sums_and_how_near_the_end_is(self, manager: Client) -> None:
        make_budget()
        page = manager.get(BUDGETS).text
        assert "settled 4 · reserved 3 · unknown 1 · left 2" in page
        assert "80&nbsp;%" in page
        assert "near its end" in page

    @pytest.mark.parametrize(("limit", "word"), [(8, "used up"), (100, ""), (0, "used up")])
    def test_says_what_is_used_up(self, manager: Client, limit: int, word: str) -> None:
        make_budget(limit=limit)
        page = manager.get(BUDGETS).text
        assert ("used up" in page, "near its end" in page) == (bool(word), False)

    def test_costs_the_same_for_many(self, manager: Client) -> None:
        counts = []
        for name in ("a", "b", "c"):
            make_budget(name=name)
            with CaptureQueriesContext(connection) as captured:
                manager.get(BUDGETS)
            counts.append(len(captured))
        assert counts[1] == counts[2]

    def test_escapes_names(self, manager: Client) -> None:
        make_budget(name="<script>\u202e")
        assert "&lt;script&gt;[U+202E]" in manager.get(BUDGETS).text


class TestOneBudget:
    def test_is_created(self, manager: Client) -> None:
        fields = {"name": "Trial", "limit": "2.5", "unit": "credits", "period": "day"}
        assert manager.post(f"{BUDGETS}add/", fields).status_code == 302
        budget = Budget.objects.get()
        assert (budget.limit, budget.period, budget.account) == (Decimal("2.5"), "day", "")

    def test_keeps_what_it_counts(self, manager: Client) -> None:
        budget = make_budget()
        url = f"{BUDGETS}{budget.pk}/change/"
        fields = {"name": "Team", "limit": "5", "unit": "credits", "model_name": "other"}
        manager.post(url, fields)
        budget.refresh_from_db()
        assert (budget.limit, budget.unit, budget.model_name) == (5, "generations", "")

    def test_is_reported_again_above_another_limit(self, manager: Client) -> None:
        budget = make_budget()
        budget.periods.update(reached_at="2020-11-22T00:00:00Z")
        manager.post(f"{BUDGETS}{budget.pk}/change/", {"name": "Team", "limit": "20"})
        assert BudgetPeriod.objects.get().reached_at is None

    def test_shows_its_limit_without_zeros(self, manager: Client) -> None:
        budget = make_budget(limit=Decimal("500.5"))
        assert 'value="500.5"' in manager.get(f"{BUDGETS}{budget.pk}/change/").text

    def test_shows_its_periods(self, manager: Client) -> None:
        budget = make_budget()
        budget.periods.create(starts_on="2020-01-01", settled=Decimal("7.25"))
        assert "7.25" in manager.get(f"{BUDGETS}{budget.pk}/change/").text

    def test_is_deleted_with_its_holds(self, manager: Client) -> None:
        budget = make_budget()
        url = f"{BUDGETS}{budget.pk}/delete/"
        assert "1 period of it" in manager.get(url).text
        assert manager.post(url, {"post": "yes"}).status_code == 302
        assert not Budget.objects.exists()
        assert not BudgetHold.objects.exists()

    def test_finds_an_owner_by_a_search_where_the_site_has_one(self, admin_client: Client) -> None:
        assert "admin-autocomplete" in admin_client.get(f"{BUDGETS}add/").text


class TestPermission:
    @pytest.mark.parametrize("codenames", [(), ("view_generation", "view_usageday")])
    def test_is_its_own(self, staff_with: Callable[..., Client], codenames: tuple[str]) -> None:
        budget, client = make_budget(), staff_with(*codenames)
        pages = (BUDGETS, f"{BUDGETS}add/", f"{BUDGETS}{budget.pk}/change/")
        assert {client.get(page).status_code for page in pages} == {403}

    def test_to_view_changes_nothing(self, staff_with: Callable[..., Client]) -> None:
        budget, client = make_budget(), staff_with("view_budget")
        url = f"{BUDGETS}{budget.pk}/"
        assert client.get(f"{url}change/").status_code == 200
        assert client.post(f"{url}change/", {"name": "x", "limit": "1"}).status_code == 403
        assert client.post(f"{url}delete/", {"post": "yes"}).status_code == 403
        assert client.get(f"{BUDGETS}add/").status_code == 403

    def test_of_a_user_who_is_no_staff_any_more_is_gone(self, manager: Client) -> None:
        User.objects.update(is_staff=False)
        assert manager.get(BUDGETS).status_code == 302
