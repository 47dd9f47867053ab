"""Every page and action of the admin for every permission: who is let in, and nobody else.

A page or an action that is not in the tables fails the test: decide who may use it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse

from creatify_textgen.models import Budget, BulkJob
from tests.factories import NOW, save_usage

from .conftest import make_done, make_media

APP = "creatify_textgen"
VIEW, OPERATE = "view_generation", "operate_generation"
NOBODY: list[set[str]] = []
GET: dict[str, list[set[str]]] = {
    "generation_changelist": [{VIEW}],
    "generation_change": [{VIEW}],
    "generation_history": [{VIEW}],
    "generation_delete": [{"delete_generation"}],
    "generation_add": [{"add_generation"}],
    "generation_outcome": [{"add_generation"}],
    "generation_credits": [{VIEW}],
    "generation_totals": [{VIEW}],
    "generation_export": [{VIEW, "export_generation"}],
    "generation_bulk": [{VIEW, OPERATE}],
    "generation_pause": [{VIEW}, {"pause_sending"}],
    "generation_person": [{VIEW, "erase_generation"}, {"view_content", "export_generation"}],
    "generation_retry": [{VIEW, OPERATE}],
    "media_changelist": [{"view_media"}],
    "media_change": [{"view_media"}],
    "media_history": [{"view_media"}],
    "media_add": NOBODY,
    "media_delete": NOBODY,
    "media_file": [{"view_content"}],
    "usageday_changelist": [{"view_usageday"}],
    "usageday_change": [{"view_usageday"}],
    "usageday_history": [{"view_usageday"}],
    "usageday_add": NOBODY,
    "usageday_delete": NOBODY,
    "bulkjob_changelist": [{VIEW}],
    "bulkjob_change": [{VIEW}],
    "bulkjob_history": [{VIEW}],
    "bulkjob_add": NOBODY,
    "bulkjob_delete": NOBODY,
    "budget_changelist": [{"view_budget"}, {"manage_budgets"}],
    "budget_change": [{"view_budget"}, {"manage_budgets"}],
    "budget_history": [{"view_budget"}, {"manage_budgets"}],
    "budget_add": [{"manage_budgets"}],
    "budget_delete": [{"manage_budgets"}],
}
"""Sets of permissions, of which one suffices."""
POST = {
    "generation_refresh": [{VIEW, OPERATE}],
    "generation_cancel": [{VIEW, OPERATE}],
    "generation_settle": [{VIEW, OPERATE}],
    "generation_pause": [{"pause_sending"}],
    "bulkjob_stop": [{VIEW, OPERATE}],
    "bulkjob_resume": [{VIEW, OPERATE}],
}
ACTIONS = {
    "refresh_selected": {VIEW, OPERATE},
    "retry_selected": {VIEW, OPERATE},
    "cancel_selected": {VIEW, OPERATE},
    "export_selected": {VIEW, "export_generation"},
    "delete_selected": {VIEW, "delete_generation"},
    "export_owner": {VIEW, "export_generation", "view_content"},
    "erase_owners": {VIEW, "erase_generation"},
}
WORDS = {"form": "csv", "verb": "retry"}
"""What a path takes beside the id of a row."""
ELSEWHERE = {"conversation", "run", "toolcall"}
"""Models whose pages are tested beside them."""
PAGE_NEEDS = [one for sets in (*GET.values(), *POST.values()) for one in sets]
ALL = sorted(set().union(*PAGE_NEEDS, *ACTIONS.values()))
ROLES = [
    set(),
    *({name} for name in ALL),
    *({VIEW, name} for name in ALL if name != VIEW),
    *(set(ALL) - {name} for name in ALL),
    set(ALL),
]
"""Nothing, each alone, each with the right to view, all but one, all."""


@pytest.fixture
def paths(db: None) -> dict[str, str]:
    """Return each page's path, with a row of its model."""
    usage = save_usage(day=NOW.date(), account="a", model_name="m", status="done")
    budget = Budget.objects.create(name="Team", limit=1)
    job = BulkJob.objects.create(verb="retry", until=NOW, due_at=NOW)
    rows = {
        "generation": make_done(),
        "media": make_media(),
        "usageday": usage,
        "budget": budget,
        "bulkjob": job,
    }
    found = {}
    for model_admin in admin.site._registry.values():
        model = model_admin.model
        if model._meta.app_label != APP or model._meta.model_name in ELSEWHERE:
            continue
        for url in model_admin.get_urls():
            if url.name is None:
                continue
            wants = url.pattern.converters
            given = {
                name: WORDS.get(name) or rows[str(model._meta.model_name)].pk for name in wants
            }
            found[url.name.removeprefix(f"{APP}_")] = reverse(f"admin:{url.name}", kwargs=given)
    return found


@pytest.fixture
def client_with() -> Callable[[set[str]], Client]:
    """Return a client of one staff member, whose permissions change."""
    user = User.objects.create_user("staff", is_staff=True)
    ours = {one.codename: one for one in Permission.objects.filter(content_type__app_label=APP)}

    def change(codenames: set[str]) -> Client:
        user.user_permissions.set([ours[name] for name in codenames])
        client = Client()
        client.force_login(user)
        return client

    return change


def suffices(role: set[str], needed: list[set[str]]) -> bool:
    return any(one <= role for one in needed)


def is_let_in(response: Any) -> bool:
    # A page that is shown, a redirect to another page of the app, or a file that is gone.
    return response.status_code in (200, 302, 404) and "/login/" not in response.get("Location", "")


class TestPages:
    def test_are_all_in_the_table(self, paths: dict[str, str]) -> None:
        assert set(paths) == GET.keys() | POST.keys()

    @pytest.mark.parametrize(("method", "table"), [("get", GET), ("post", POST)])
    def test_let_in_who_may_and_nobody_else(
        self,
        paths: dict[str, str],
        client_with: Callable[[set[str]], Client],
        method: str,
        table: dict[str, list[set[str]]],
    ) -> None:
        wrong = []
        for role in ROLES:
            client = client_with(role)
            for name, needed in table.items():
                response = getattr(client, method)(paths[name])
                if is_let_in(response) != suffices(role, needed):
                    wrong.append((name, sorted(role), response.status_code))
        assert wrong == []

    def test_let_nobody_in_who_is_no_staff(self, paths: dict[str, str], db: None) -> None:
        user = User.objects.create_user("user")
        user.user_permissions.set(Permission.objects.filter(content_type__app_label=APP))
        client = Client()
        for _ in range(2):
            assert [name for name, path in paths.items() if is_let_in(client.get(path))] == []
            client.force_login(user)


class TestActions:
    def test_are_offered_to_who_may(
        self, paths: dict[str, str], client_with: Callable[[set[str]], Client]
    ) -> None:
        url = paths["generation_changelist"]
        for role in ROLES:
            if VIEW not in role:
                continue
            form = client_with(role).get(url).context["action_form"]
            offered = (
                {name for name, _label in form.fields["action"].choices if name} if form else set()
            )
            assert offered == {name for name, needed in ACTIONS.items() if needed <= role}, role
