"""Every filter and every id of the admin with values that no column can hold: never a 500."""

from __future__ import annotations

from itertools import product
from typing import Any
from urllib.parse import quote

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from creatify_textgen.admin.permissions import ReadOnlyAdmin
from creatify_textgen.models import Budget
from tests.faults.corpus import share_of

from .conftest import HISTORY, make_done

pytestmark = pytest.mark.django_db

NUMBERS = ("1e999999", str(2**63), str(-(2**63) - 1), "9" * 30, "9" * 5000)
WORDS = ("nan", "\u00b2", "\u0661", "\x00", "\ud800", "x" * 9000)
TIMES = ("0001-01-01", "9999-12-31", "99999-01-01", "2020-02-30")
ODD = (*NUMBERS, *WORDS, *TIMES)
DJANGOS = ("p", "o", "q", "all", "e", "_to_field", "_facets", "_popup", "_changelist_filters")
OURS = [one for one in admin.site._registry.values() if isinstance(one, ReadOnlyAdmin)]
BY_MODEL = pytest.mark.parametrize("model_admin", OURS, ids=lambda one: one.model.__name__)


@pytest.fixture
def client() -> Client:
    make_done()
    found = Client(raise_request_exception=False)
    found.force_login(User.objects.create_superuser("root"))
    return found


def parameters(model_admin: Any) -> set[str]:
    fields = {name for name in model_admin.list_filter if isinstance(name, str)}
    kinds = {f"{name}__{kind}" for name in fields for kind in ("exact", "isnull")}
    filters = {getattr(one, "parameter_name", None) for one in model_admin.list_filter} - {None}
    return {*kinds, *filters, *model_admin.lookups, *DJANGOS}


def page(model_admin: Any, name: str, **given: Any) -> str:
    model = f"{model_admin.opts.app_label}_{model_admin.opts.model_name}"
    return reverse(f"admin:{model}_{name}", **given)


def encoded(text: str) -> str:
    # A lone surrogate as three bytes, which are no UTF-8.
    return quote(text.encode("utf-8", "surrogatepass"), safe="")


@BY_MODEL
class TestLists:
    @pytest.mark.abuse
    def test_show_rows_or_the_whole_list(self, client: Client, model_admin: Any) -> None:
        path = page(model_admin, "changelist")
        wrong = []
        for name, odd in share_of(product(sorted(parameters(model_admin)), ODD), path):
            query = f"{name}={encoded(odd)}"
            response = client.get(f"{path}?{query}")
            if response.status_code not in (200, 302, 400):
                wrong.append((query[:60], response.status_code))
        assert wrong == []


@BY_MODEL
class TestRows:
    @pytest.mark.parametrize("name", ["change", "history", "delete"])
    def test_of_ids_that_no_column_holds_are_not_found(
        self, client: Client, model_admin: Any, name: str
    ) -> None:
        pattern = page(model_admin, name, args=["KEY"])
        wrong = []
        for odd in ODD:
            response = client.get(pattern.replace("KEY", encoded(odd)))
            if response.status_code not in (302, 403, 404):
                wrong.append((odd[:60], response.status_code))
        assert wrong == []


class TestActions:
    @pytest.mark.parametrize("action", ["refresh_selected", "delete_selected", "erase_owners"])
    def test_on_ids_that_no_column_holds_lead_to_the_list(
        self, client: Client, action: str
    ) -> None:
        for odd in set(ODD) - {"\ud800"}:
            body = {"action": action, "_selected_action": odd, "index": "0"}
            response = client.post(HISTORY, body)
            assert (odd, response.status_code, response.get("Location")) == (
                *(odd, 302),
                f"{HISTORY}?e=1",
            )


class TestCredits:
    @pytest.mark.parametrize("name", ["since", "until", "account", "period"])
    def test_show_some_period(self, client: Client, name: str) -> None:
        for odd in ODD:
            response = client.get(f"{HISTORY}credits/?{name}={encoded(odd)}")
            assert (odd, response.status_code) == (odd, 200)

    @pytest.mark.parametrize("query", ["since=0001-01-01", "until=9999-12-31"])
    def test_draw_no_column_for_every_month_of_the_calendar(
        self, client: Client, query: str
    ) -> None:
        page = client.get(f"{HISTORY}credits/?{query}").content
        assert len(page) < 200_000


class TestBudgets:
    @pytest.mark.parametrize("name", ["limit", "unit", "period", "account", "owner", "group"])
    def test_show_the_form_again(self, client: Client, name: str) -> None:
        fields = {"name": "Team", "limit": "1", "unit": "credits", "period": "day"}
        for odd in set(NUMBERS) | {"nan", "\x00"}:
            body = {**fields, name: odd}
            assert client.post("/admin/creatify_textgen/budget/add/", body).status_code == 200
        assert not Budget.objects.exists()
