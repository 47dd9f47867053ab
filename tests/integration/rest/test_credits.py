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

URL = "/textgen/credits/"
DAY = datetime(2020, 11, 22, tzinfo=UTC).date()
REPORT = CreditReport(
    remaining=Decimal("379.0"),
    remaining_age_seconds=1.5,
    used=Decimal("0.0005000000"),
    unknown=1,
    by_day=[{"day": DAY, "generations": 2, "credits_used": Decimal("5E-4"), "credits_unknown": 1}],
)


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
            "used": "0.0005",
            "unknown": 1,
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
        }

    def test_are_the_callers(self, api: APIClient, asked: list[Any], owner: User) -> None:
        api.get(URL, {"since": "2020-11-01"})
        assert asked == [{"owner": owner, "since": DAY - timedelta(days=21)}]

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
        assert asked == [{"owner": None, "since": None}]

    def test_of_one_for_staff_who_ask(
        self, staff_with: Callable[..., APIClient], asked: list[Any], owner: User
    ) -> None:
        staff_with("view_generation").get(URL, {"owner": str(owner.pk)})
        assert asked == [{"owner": owner, "since": None}]

    def test_of_nobody_are_not_found(
        self, staff_with: Callable[..., APIClient], asked: list[Any]
    ) -> None:
        response = staff_with("view_generation").get(URL, {"owner": "99999999999999999999"})
        assert response.status_code == 404

    @pytest.mark.parametrize(
        "query", [{"since": "soon"}, {"owner": "x"}, {"owner": "\x00"}], ids=str
    )
    def test_refuse_nonsense_by_name(self, api: APIClient, query: dict[str, str]) -> None:
        response = api.get(URL, query)
        assert response.status_code == 400
        assert list(response.json()["errors"]) == list(query)

    def test_come_from_the_remote(self, api: APIClient, remote: Any) -> None:
        cache.clear()
        assert Decimal(api.get(URL).json()["remaining"]) > 0

    def test_are_unknown_while_the_remote_is_away(self, api: APIClient) -> None:
        cache.clear()
        body = api.get(URL).json()
        assert (body["remaining"], body["used"]) == (None, "0")
