"""What no index finds: staff search for it in 30 days, unless they say how far back."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone
from rest_framework.test import APIClient

from .conftest import URL, make_generation

REMOTE_ID = "0ff1ce00-0000-4000-8000-000000000001"
UNINDEXED = [
    {"mode": "async"},
    {"model_name": "gemini-2.5-flash"},
    {"account": "default"},
    {"search": "gemini"},
    {"metadata__order": "17"},
]


@pytest.fixture
def staff(staff_with: Callable[..., APIClient]) -> APIClient:
    return staff_with("view_generation", "view_content")


@pytest.fixture
def old(owner: User) -> Any:
    created_at = timezone.now() - timedelta(days=31)
    make_generation(owner, created_at=timezone.now(), mode="sync", model_name="other", account="b")
    fields = {"created_at": created_at, "metadata": {"order": 17}, "remote_id": REMOTE_ID}
    return make_generation(owner, **fields)


def ids(client: APIClient, query: dict[str, Any]) -> list[str]:
    return [row["id"] for row in client.get(URL, query).json()["results"]]


@pytest.mark.parametrize("asked", UNINDEXED, ids=lambda asked: next(iter(asked)))
class TestWindow:
    def test_is_30_days_for_staff(self, staff: APIClient, old: Any, asked: dict[str, str]) -> None:
        assert ids(staff, asked) == []
        ended = {"created_before": (timezone.now() - timedelta(days=15)).isoformat()}
        assert ids(staff, {**asked, **ended}) == [str(old.pk)]

    def test_is_what_staff_ask_for(self, staff: APIClient, old: Any, asked: dict[str, str]) -> None:
        assert ids(staff, {**asked, "created_after": "2000-01-01"}) == [str(old.pk)]

    def test_is_not_for_the_rows_of_one_owner(
        self, staff: APIClient, api: APIClient, owner: User, old: Any, asked: dict[str, str]
    ) -> None:
        assert ids(staff, {**asked, "owner": owner.pk}) == [str(old.pk)]
        assert ids(api, asked) == [str(old.pk)]


@pytest.mark.parametrize("name", ["pk", "remote_id"])
def test_ids_are_found_at_any_age(staff: APIClient, old: Any, name: str) -> None:
    assert ids(staff, {"search": str(getattr(old, name))}) == [str(old.pk)]


@pytest.mark.parametrize("ordering", ["updated_at", "-updated_at"])
def test_only_the_rows_of_one_owner_are_ordered_by_their_change(
    staff: APIClient, api: APIClient, owner: User, old: Any, ordering: str
) -> None:
    refused = staff.get(URL, {"ordering": ordering})
    assert refused.status_code == 400
    assert "owner" in str(refused.json())
    assert len(ids(staff, {"ordering": ordering, "owner": owner.pk})) == 2
    assert len(ids(api, {"ordering": ordering})) == 2
