"""GET generations/: pages, filters, and how many queries they cost."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from .conftest import URL, make_generation

NOON = datetime(2020, 11, 22, 12, tzinfo=UTC)


def ids(api: APIClient, **query: Any) -> list[str]:
    response = api.get(URL, query)
    assert response.status_code == 200, response.json()
    return [row["id"] for row in response.json()["results"]]


class TestPages:
    def test_lead_through_every_row_once(self, api: APIClient, owner: User) -> None:
        made = [
            # Three share each moment, so that a page ends among equals.
            make_generation(owner, created_at=NOON + timedelta(seconds=index // 3))
            for index in range(20)
        ]
        seen, url = [], f"{URL}?page_size=4"
        while url:
            page = api.get(url).json()
            seen += [row["id"] for row in page["results"]]
            url = page["next"]
        newest_first = sorted(made, key=lambda row: (row.created_at, row.pk), reverse=True)
        assert seen == [str(row.pk) for row in newest_first]

    def test_lead_back(self, api: APIClient, owner: User) -> None:
        for index in range(6):
            make_generation(owner, created_at=NOON + timedelta(seconds=index))
        first = api.get(f"{URL}?page_size=3").json()
        second = api.get(first["next"]).json()
        assert api.get(second["previous"]).json()["results"] == first["results"]

    def test_may_be_oldest_first(self, api: APIClient, owner: User) -> None:
        made = [make_generation(owner, created_at=NOON + timedelta(days=n)) for n in (2, 0, 1)]
        assert ids(api, ordering="created_at") == [str(made[n].pk) for n in (1, 2, 0)]

    @pytest.mark.parametrize("size", [1, 12])
    def test_cost_the_same_queries_at_any_length(
        self, staff_with: Callable[..., APIClient], owner: User, size: int
    ) -> None:
        for _ in range(size):
            make_generation(owner)
        reader = staff_with("view_generation", "view_content")
        with CaptureQueriesContext(connection) as queries:
            assert len(ids(reader)) == size
        # Session, user, two for permissions, the page.
        assert len(queries) == 5

    @pytest.mark.parametrize("cursor", ["x", "cD15ZXN0ZXJkYXk=", "ü"])
    def test_of_an_invented_cursor_are_not_found(self, api: APIClient, cursor: str) -> None:
        response = api.get(URL, {"cursor": cursor})
        assert response.status_code == 404
        assert response.json()["code"] == "not_found"


class TestFilters:
    @pytest.mark.parametrize(
        ("fields", "query"),
        [
            pytest.param({"status": "failed"}, {"status": "failed"}, id="status"),
            pytest.param({"status": "failed"}, {"status": ["failed", "queued"]}, id="statuses"),
            pytest.param({"mode": "stream"}, {"mode": "stream"}, id="mode"),
            pytest.param({"model_name": "m"}, {"model_name": "m"}, id="model"),
            pytest.param({"prompt": "A Needle."}, {"search": "needle"}, id="prompt"),
            pytest.param({"model_name": "needle-1"}, {"search": "needle"}, id="model in search"),
            pytest.param({"remote_id": "r-1"}, {"search": "r-1"}, id="remote id"),
        ],
    )
    def test_narrow(
        self, api: APIClient, owner: User, fields: dict[str, Any], query: dict[str, Any]
    ) -> None:
        make_generation(owner)
        wanted = make_generation(owner, **fields)
        assert ids(api, **query) == [str(wanted.pk)]

    def test_find_an_id(self, api: APIClient, owner: User) -> None:
        wanted, _ = make_generation(owner), make_generation(owner)
        assert ids(api, search=str(wanted.pk)) == [str(wanted.pk)]

    def test_cut_out_a_span_of_time(self, api: APIClient, owner: User) -> None:
        rows = [make_generation(owner, created_at=NOON + timedelta(hours=n)) for n in range(4)]
        span = {
            "created_after": "2020-11-22T13:00:00Z",
            "created_before": "2020-11-22T07:00:00-08:00",
        }
        assert ids(api, **span) == [str(rows[2].pk), str(rows[1].pk)]

    def test_by_owner_are_for_staff(
        self, staff_with: Callable[..., APIClient], api: APIClient, owner: User, stranger: User
    ) -> None:
        mine, theirs = make_generation(owner), make_generation(stranger)
        staff = staff_with("view_generation")
        assert ids(staff, owner=stranger.pk) == [str(theirs.pk)]
        assert ids(api, owner=stranger.pk) == []
        assert ids(api, owner=owner.pk) == [str(mine.pk)]

    @pytest.mark.parametrize(
        "query",
        [
            {"status": "finished"},
            {"mode": "fast"},
            {"created_after": "yesterday"},
            {"created_after": "0001-01-01T00:00:00+14:00"},
            {"created_before": "9999-12-31T23:59:59-14:00"},
            {"owner": "nobody"},
            {"search": "\x00"},
            {"search": "x" * 201},
            {"model_name": "\x00"},
            {"ordering": "owner"},
        ],
        ids=str,
    )
    def test_refuse_nonsense_by_name(self, api: APIClient, query: dict[str, str]) -> None:
        response = api.get(URL, query)
        assert response.status_code == 400
        assert list(response.json()["errors"]) == list(query)

    @pytest.mark.parametrize("moment", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"])
    @pytest.mark.parametrize("name", ["created_before", "created_after"])
    def test_search_up_to_the_ends_of_the_calendar(
        self, staff_with: Callable[..., APIClient], name: str, moment: str
    ) -> None:
        assert ids(staff_with("view_generation"), mode="async", **{name: moment}) == []

    @pytest.mark.parametrize("owner_key", ["99999999999999999999999", "-1"])
    def test_take_a_key_that_nobody_has(
        self, staff_with: Callable[..., APIClient], owner_key: str
    ) -> None:
        assert ids(staff_with("view_generation"), owner=owner_key) == []


class TestRow:
    @pytest.mark.parametrize(
        ("amount", "text"),
        [
            (None, None),
            (Decimal(0), "0"),
            (Decimal("0.0005"), "0.0005"),
            (Decimal("0.00005"), "0.00005"),
            (Decimal("100"), "100"),
        ],
    )
    def test_tells_credits_as_plain_decimals(
        self, api: APIClient, owner: User, amount: Decimal | None, text: str | None
    ) -> None:
        row = make_generation(owner, credits_used=amount)
        assert api.get(f"{URL}{row.pk}/").json()["credits_used"] == text
