"""GET credits/."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.cache import cache
from rest_framework.test import APIClient

from creatify_textgen import services
from creatify_textgen.services import CreditReport
from tests.factories import save_usage

from .conftest import make_generation

URL = "/textgen/credits/"
DAY = datetime(2020, 11, 22, tzinfo=UTC).date()
NOW = datetime.now(UTC)
REPORT = CreditReport(
    remaining=Decimal("379.0"),
    remaining_age_seconds=1.5,
    used=Decimal("0.0005000000"),
    unknown=1,
    by_day=[{"day": DAY, "generations": 2, "credits_used": Decimal("5E-4"), "credits_unknown": 1}],
)


DURATIONS = ("median_seconds", "p95_seconds", "median_first_seconds", "p95_first_seconds")
ASKED = {"account": "default", "since": None, "until": None, "with_balance": False}


def use(**fields: Any) -> None:
    row = {"day": DAY, "account": "default", "model_name": "m", "status": "done", "generations": 1}
    save_usage(**{**row, **fields})


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Return what services are asked for; the report is always the same."""
    calls: list[dict[str, Any]] = []

    def report(**keywords: Any) -> CreditReport:
        calls.append(keywords)
        return REPORT

    monkeypatch.setattr(services, "credits", report)
    return calls


class TestCredits:
    def test_are_told_as_plain_decimals(self, api: APIClient, asked: list[Any]) -> None:
        assert api.get(URL).json() == {
            "remaining": "379",
            "remaining_age_seconds": 1.5,
            "lasts_days": None,
            "used": "0.0005",
            "unknown": 1,
            "used_a_day": "0",
            "used_this_month": "0",
            "projected_this_month": "0",
            "by_day": [
                {
                    "day": "2020-11-22",
                    "generations": 2,
                    "credits_used": "0.0005",
                    "credits_unknown": 1,
                }
            ],
            "by_model": [],
            "by_status": [],
            "durations": {"sample": 0, **dict.fromkeys(DURATIONS)},
        }

    def test_are_the_callers(self, api: APIClient, asked: list[Any], owner: User) -> None:
        api.get(URL, {"since": "2020-11-01"})
        assert asked == [{**ASKED, "owner": owner, "since": DAY - timedelta(days=21)}]

    @pytest.mark.parametrize("query", [{"all": "true"}, {"owner": "1"}])
    def test_of_others_are_for_staff(
        self, api: APIClient, asked: list[Any], query: dict[str, str]
    ) -> None:
        assert api.get(URL, query).status_code == 403
        assert asked == []

    def test_of_all_for_staff_who_ask(
        self, staff_with: Callable[..., APIClient], asked: list[Any]
    ) -> None:
        assert staff_with("view_generation").get(URL, {"all": "true"}).status_code == 200
        assert asked == [{**ASKED, "owner": None, "by_owner": False}]

    def test_of_one_for_staff_who_ask(
        self, staff_with: Callable[..., APIClient], asked: list[Any], owner: User
    ) -> None:
        staff_with("view_generation").get(URL, {"owner": str(owner.pk)})
        assert asked == [{**ASKED, "owner": owner, "by_owner": False}]

    def test_by_owner_are_for_staff(
        self, api: APIClient, staff_with: Callable[..., APIClient], owner: User
    ) -> None:
        use(owner=owner, credits_used=2)
        assert api.get(URL, {"by_owner": "true"}).status_code == 403
        body = staff_with("view_generation").get(URL, {"by_owner": "true"}).json()
        row = {"owner": owner.pk, "generations": 1, "credits_used": "2", "credits_unknown": 0}
        assert body["by_owner"] == [row]

    def test_are_of_one_account_or_all(
        self, staff_with: Callable[..., APIClient], settings: Any
    ) -> None:
        keys = {"API_ID": "id", "API_KEY": "key", "BASE_URL": "http://127.0.0.1:9"}
        settings.CREATIFY_TEXTGEN = {"ACCOUNTS": {"default": keys, "other": keys}}
        use(credits_used=1)
        use(credits_used=2, account="other")
        api = staff_with("view_generation")
        queries = ({}, {"account": "other"}, {"all_accounts": "true"})
        used = [api.get(URL, {"all": "true", **query}).json()["used"] for query in queries]
        assert used == ["1", "2", "3"]

    def test_end_with_a_day(self, staff_with: Callable[..., APIClient]) -> None:
        use(credits_used=1, day=DAY)
        use(credits_used=2, day=DAY + timedelta(days=1))
        query = {"all": "true", "until": DAY.isoformat()}
        assert staff_with("view_generation").get(URL, query).json()["used"] == "1"

    def test_of_nobody_are_not_found(
        self, staff_with: Callable[..., APIClient], asked: list[Any]
    ) -> None:
        response = staff_with("view_generation").get(URL, {"owner": "99999999999999999999"})
        assert response.status_code == 404

    @pytest.mark.parametrize(
        "query",
        [{"since": "soon"}, {"until": "1"}, {"owner": "x"}, {"owner": "\x00"}, {"account": "x"}],
        ids=str,
    )
    def test_refuse_nonsense_by_name(self, api: APIClient, query: dict[str, str]) -> None:
        response = api.get(URL, query)
        assert response.status_code == 400
        assert list(response.json()["errors"]) == list(query)

    def test_come_from_the_remote(self, staff_with: Callable[..., APIClient], remote: Any) -> None:
        cache.clear()
        api = staff_with("view_credits")
        assert Decimal(api.get(URL).json()["remaining"]) > 0

    def test_are_unknown_while_the_remote_is_away(
        self, staff_with: Callable[..., APIClient]
    ) -> None:
        cache.clear()
        body = staff_with("view_credits").get(URL).json()
        assert (body["remaining"], body["used"]) == (None, "0")


class TestDurations:
    def take(self, owner: User | None, *seconds: float, **fields: Any) -> None:
        """Save streams that took so long, half of it until the first text."""
        for each in seconds:
            end = NOW - timedelta(hours=1) + timedelta(seconds=each)
            row = {"created_at": NOW - timedelta(hours=1), "finished_at": end, **fields}
            made = make_generation(owner, mode="stream", **row)
            at = row["created_at"] + timedelta(seconds=each / 2)
            made.events.create(at=at, status="running", cause="stream")

    def durations(self, api: APIClient, **query: str) -> dict[str, Any]:
        return dict(api.get(URL, query).json()["durations"])

    def test_are_of_the_caller(self, api: APIClient, owner: User, stranger: User) -> None:
        self.take(owner, *range(1, 101))
        self.take(stranger, 1000)
        assert self.durations(api) == {
            "sample": 100,
            "median_seconds": 50,
            "p95_seconds": 95,
            "median_first_seconds": 25,
            "p95_first_seconds": 47.5,
        }

    def test_of_all_are_for_staff(
        self, staff_with: Callable[..., APIClient], owner: User, stranger: User
    ) -> None:
        self.take(owner, 2)
        self.take(stranger, 4)
        self.take(None, 6, account="other")
        staff = staff_with("view_generation")
        assert self.durations(staff)["sample"] == 0
        assert self.durations(staff, all="true")["sample"] == 2
        assert self.durations(staff, all="true", all_accounts="true")["sample"] == 3
        assert self.durations(staff, owner=str(owner.pk))["p95_seconds"] == 2

    def test_are_those_of_the_days(self, api: APIClient, owner: User) -> None:
        self.take(owner, 2)
        self.take(owner, 6, created_at=NOW - timedelta(days=9), finished_at=None)
        week = (NOW - timedelta(days=7)).date().isoformat()
        assert self.durations(api)["sample"] == 2
        assert self.durations(api, since=week)["sample"] == 1
        assert self.durations(api, until=week)["sample"] == 1

    def test_of_an_account_are_searched_in_a_month(
        self, staff_with: Callable[..., APIClient], owner: User
    ) -> None:
        self.take(owner, 2, created_at=NOW - timedelta(days=40))
        staff = staff_with("view_generation")
        assert self.durations(staff, all="true")["sample"] == 0
        assert self.durations(staff, all="true", since="2020-01-01")["sample"] == 1
        assert self.durations(staff, all="true", all_accounts="true")["sample"] == 1
        assert self.durations(staff, owner=str(owner.pk))["sample"] == 1

    @pytest.mark.parametrize("day", ["0001-01-01", "0001-01-31", "9999-12-31"])
    def test_know_the_ends_of_the_calendar(
        self, staff_with: Callable[..., APIClient], day: str
    ) -> None:
        staff = staff_with("view_generation")
        for name in ("since", "until"):
            self.durations(staff, all="true", **{name: day})
