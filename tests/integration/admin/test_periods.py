"""The period of a list: what it holds, and when it is chosen by itself."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from creatify_textgen import clock
from creatify_textgen.models import Generation
from tests.factories import save_usage

from .conftest import HISTORY, make_done

NOW = datetime(2026, 3, 15, 12, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _in_march(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timezone, "now", lambda: NOW)
    monkeypatch.setattr(clock, "utc_now", lambda: NOW)


def rows_of(response: Any) -> set[Generation]:
    return set(response.context["cl"].result_list)


def make_at(day: str) -> Generation:
    return make_done(created_at=datetime.fromisoformat(f"{day}T12:00:00+00:00"))


class TestPeriod:
    @pytest.mark.parametrize(
        ("period", "shown", "left_out"),
        [
            ("today", "2026-03-15", "2026-03-14"),
            ("yesterday", "2026-03-14", "2026-03-15"),
            ("7", "2026-03-09", "2026-03-08"),
            ("30", "2026-02-14", "2026-02-13"),
            ("month", "2026-03-01", "2026-02-28"),
            ("last_month", "2026-02-28", "2026-03-01"),
            ("last_month", "2026-02-01", "2026-01-31"),
        ],
    )
    def test_holds_its_days(self, operator: Client, period: str, shown: str, left_out: str) -> None:
        wanted = make_at(shown)
        make_at(left_out)
        assert rows_of(operator.get(HISTORY, {"period": period})) == {wanted}

    def test_may_be_any_two_days(self, operator: Client) -> None:
        wanted = {make_at("2026-01-02"), make_at("2026-01-03")}
        make_at("2026-01-01")
        make_at("2026-01-04")
        days = {"since": "2026-01-02", "until": "2026-01-03"}
        assert rows_of(operator.get(HISTORY, days)) == wanted

    @pytest.mark.parametrize("since", ["x", "2026-02-30", "0001-01-01", "9999-12-31"])
    def test_survives_days_that_are_none(self, operator: Client, since: str) -> None:
        for name in ("since", "until"):
            response = operator.get(HISTORY, {name: since}, follow=True)
            assert response.status_code == 200

    def test_goes_on_in_its_form(self, operator: Client) -> None:
        page = operator.get(HISTORY, {"status__exact": "failed"}).text
        assert '<input type="hidden" name="status__exact" value="failed">' in page


class TestDefaultPeriod:
    def test_is_any_time(self, operator: Client) -> None:
        wanted = make_at("2020-01-01")
        assert rows_of(operator.get(HISTORY)) == {wanted}

    @pytest.mark.parametrize(
        "query",
        [
            {"q": "Hello"},
            {"mode__exact": "async"},
            {"model_name": "gemini-2.5-flash"},
            {"account": "default"},
        ],
        ids=lambda query: next(iter(query)),
    )
    def test_is_a_month_where_no_index_helps(self, operator: Client, query: dict[str, str]) -> None:
        wanted, old = make_at("2026-03-01"), make_at("2020-01-01")
        response = operator.get(HISTORY, query)
        assert rows_of(response) == {wanted}
        assert "Only the last 30 days were searched" in response.text
        assert rows_of(operator.get(HISTORY, {**query, "period": "all"})) == {wanted, old}

    def test_leaves_room_for_what_an_index_finds(self, operator: Client) -> None:
        wanted = make_at("2020-01-01")
        response = operator.get(HISTORY, {"status__exact": "done"})
        assert rows_of(response) == {wanted}
        assert "Only the last 30 days" not in response.text


class TestUsage:
    def test_has_periods_of_days(self, admin_client: Client) -> None:
        row = {"account": "default", "model_name": "m", "status": "done"}
        days = [(NOW - timedelta(days=back)).date() for back in (0, 40)]
        for day in days:
            save_usage(day=day, **row)
        url = "/admin/creatify_textgen/usageday/"
        listed = admin_client.get(url, {"period": "month"}).context["cl"].result_list
        assert [usage.day for usage in listed] == days[:1]

    @pytest.mark.parametrize("zone", ["Etc/GMT-14", "Etc/GMT+12", "UTC"])
    @pytest.mark.parametrize(("period", "back"), [("today", 0), ("yesterday", 1), ("7", 6)])
    def test_counts_its_days_in_utc(
        self, admin_client: Client, settings: Any, zone: str, period: str, back: int
    ) -> None:
        # In the first zone the next day has begun.
        settings.TIME_ZONE = zone
        for days in (back, back + 1):
            day = (NOW - timedelta(days=days)).date()
            save_usage(day=day, account="default", model_name="m", status="done")
        url = "/admin/creatify_textgen/usageday/"
        listed = admin_client.get(url, {"period": period}).context["cl"].result_list
        assert [usage.day for usage in listed] == [(NOW - timedelta(days=back)).date()]
