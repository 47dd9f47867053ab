"""What was used and how long the balance lasts."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import Group, User

from creatify_textgen.control.usage import Forecast, UsageScope
from tests.factories import NOW, make_generation, save_usage

pytestmark = pytest.mark.django_db

TODAY = date(2020, 11, 22)
SECOND = timedelta(seconds=1)


def use(used: Any, *, days_ago: int = 0, **fields: Any) -> None:
    row = {"account": "default", "model_name": "m", "status": "done", "generations": 1}
    day = TODAY - timedelta(days=days_ago)
    save_usage(day=day, credits_used=used, **{**row, **fields})


class TestForecast:
    def test_is_the_mean_of_the_last_seven_full_days(self) -> None:
        use(100)
        use(7, days_ago=1)
        use(14, days_ago=7)
        use(1000, days_ago=8)
        assert UsageScope().forecast(today=TODAY).daily == 3

    def test_projects_the_month(self) -> None:
        use(70, days_ago=3)
        use(5, days_ago=30)
        forecast = UsageScope().forecast(today=TODAY)
        assert forecast.month_used == 70
        # Eight days of November are left after the 22nd, and the 30 days ago were in October.
        assert forecast.month_projected == 70 + 8 * forecast.daily

    def test_of_a_young_site_counts_the_days_since_its_first(self) -> None:
        use(6, days_ago=2)
        use(4, days_ago=1)
        assert UsageScope().forecast(today=TODAY).daily == 5

    def test_is_of_its_account_and_owner(self) -> None:
        owner = User.objects.create_user("owner")
        use(7, days_ago=1, owner=owner)
        use(70, days_ago=1, account="other")
        assert UsageScope("default", owner).forecast(today=TODAY).month_used == 7

    @pytest.mark.parametrize(
        ("remaining", "daily", "days"),
        [(10, 4, 2.5), (-1, 4, 0.0), (0, 4, 0.0), (None, 4, None), (10, 0, None)],
    )
    def test_says_how_long_the_balance_lasts(
        self, remaining: int | None, daily: int, days: float | None
    ) -> None:
        left = None if remaining is None else Decimal(remaining)
        assert Forecast(Decimal(daily)).lasts_days(left) == days


class TestScope:
    def test_sums_known_costs_and_counts_the_unknown(self) -> None:
        use(1, credits_unknown=2)
        use(2, days_ago=1)
        use(4, days_ago=2)
        scope = UsageScope(since=TODAY - timedelta(days=2), until=TODAY - timedelta(days=1))
        assert (scope.totals(), UsageScope().totals()) == ((6, 0), (7, 2))

    def test_counts_a_user_in_each_group(self) -> None:
        ada, grace = (User.objects.create_user(name) for name in ("ada", "grace"))
        Group.objects.create(name="a").user_set.set([ada, grace])
        Group.objects.create(name="b").user_set.set([ada])
        use(1, owner=ada)
        use(2, owner=grace)
        use(4)
        found = UsageScope().by_group()
        assert {row["owner__groups__name"]: row["credits_used"] for row in found} == {
            "a": 3,
            "b": 1,
        }


class TestLatest:
    def make(self, seconds: int = 1, **fields: Any) -> None:
        row = {"status": "done", "finished_at": NOW + seconds * SECOND, "created_at": NOW}
        make_generation(**{**row, **fields})

    def test_sums_by_mode_and_error(self) -> None:
        self.make(mode="sync", credits_used=Decimal(2))
        self.make(mode="stream", credits_used=Decimal(5), status="failed", error_code="safety")
        self.make(mode="stream", status="failed", error_code="safety")
        found = UsageScope().latest()
        stream = {"generations": 2, "credits_used": 5, "credits_unknown": 1}
        assert found.by_mode[0] == {"mode": "stream", **stream}
        assert found.by_error == [{"error_code": "safety", **stream}]

    def test_has_the_durations_of_what_was_done(self) -> None:
        for seconds in range(1, 21):
            self.make(seconds)
        self.make(1000, status="failed")
        found = UsageScope().latest()
        assert (found.median_seconds, found.p95_seconds) == (10.0, 19.0)

    def test_has_the_time_to_the_first_chunk_of_streams(self) -> None:
        for seconds in range(1, 21):
            row = make_generation(status="running", mode="stream", created_at=NOW)
            row.events.create(at=NOW + seconds * SECOND, status="running", cause="stream")
            row.events.create(at=NOW + 99 * SECOND, status="running", cause="stream")
        # What a poll has found has no first chunk.
        polled = make_generation(status="running", mode="async", created_at=NOW)
        polled.events.create(at=NOW + 99 * SECOND, status="running", cause="poll")
        found = UsageScope().latest()
        assert (found.median_first_seconds, found.p95_first_seconds) == (10.0, 19.0)

    def test_is_of_its_days(self) -> None:
        self.make()
        self.make(created_at=NOW - timedelta(days=1))
        self.make(created_at=NOW + timedelta(days=1))
        assert UsageScope(since=TODAY, until=TODAY).latest().count == 1

    def test_of_nothing_is_unknown(self) -> None:
        found = UsageScope().latest()
        assert (found.median_seconds, found.median_first_seconds) == (None, None)
