"""Whether something is stuck, on the index of the app."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from creatify_textgen import clock, services
from creatify_textgen.dispatch.callbacks import make_token, webhook_path
from creatify_textgen.models import Budget, Circuit, SweepSchedule, uuid7
from tests.factories import make_generation, save_usage

INDEX = "/admin/creatify_textgen/"
MINUTE = timedelta(minutes=1)


@pytest.fixture
def read(staff_with: Callable[..., Client]) -> Callable[..., Any]:
    """Return a function that returns a line of the page by its title."""
    client = staff_with("view_generation", "view_budget")

    def line(title: str) -> Any:
        return {line.title: line for line in client.get(INDEX).context["lines"]}[title]

    return line


def make_waiting(status: str = "queued", *, minutes: int = 20, **fields: Any) -> None:
    now = clock.now()
    make_generation(
        status=status, created_at=now - minutes * MINUTE, due_at=now - minutes * MINUTE, **fields
    )


@pytest.mark.usefixtures("still_clock")
class TestLines:
    def test_are_fine_where_nothing_happens(self, staff_with: Callable[..., Client]) -> None:
        client = staff_with("view_generation", "view_budget")
        SweepSchedule.objects.create(pk=1, swept_at=clock.now())
        assert {line.level for line in client.get(INDEX).context["lines"]} == {"fine"}

    def test_count_what_is_in_flight(self, read: Callable[..., Any]) -> None:
        for status in ("queued", "pending", "running", "running"):
            make_waiting(status, minutes=0)
        assert read("In flight").figure == "3 sent, 1 queued"

    def test_link_to_all_that_is_in_flight(
        self, read: Callable[..., Any], staff_with: Callable[..., Client]
    ) -> None:
        for status in ("queued", "submitting", "unconfirmed", "pending", "running", "expired"):
            make_waiting(status, minutes=0)
        line = read("In flight")
        assert line.figure == "4 sent, 1 queued"
        shown = staff_with("view_generation").get(line.link).context["cl"]
        assert shown.result_count == 5

    def test_name_what_waits_for_long(self, read: Callable[..., Any]) -> None:
        make_waiting(minutes=7)
        line = read("Oldest waiting")
        assert (line.level, line.figure) == ("wrong", "for 7 min 0 s")
        assert "textgen_doctor" in line.advice

    def test_say_that_no_sweep_runs(self, read: Callable[..., Any]) -> None:
        make_waiting()
        line = read("Overdue")
        assert (line.level, line.figure) == ("wrong", "1, the oldest for 20 min 0 s")
        assert read("Last sweep").level == "wrong"
        services.sweep()
        assert read("Last sweep").level == "fine"

    def test_link_to_all_that_is_overdue(
        self, read: Callable[..., Any], staff_with: Callable[..., Client]
    ) -> None:
        make_waiting()
        # Its signal waits for a sweep.
        make_waiting("done", finished_at=clock.now())
        line = read("Overdue")
        assert line.figure.startswith("2, ")
        shown = staff_with("view_generation").get(line.link).context["cl"]
        assert shown.result_count == 2

    @pytest.mark.parametrize(
        ("title", "status"), [("Unconfirmed", "unconfirmed"), ("Expired", "expired")]
    )
    def test_link_to_what_may_have_been_charged(
        self, read: Callable[..., Any], title: str, status: str
    ) -> None:
        make_waiting(status)
        line = read(title)
        assert (line.figure, line.level) == ("1", "note")
        assert line.link.endswith(f"?status__exact={status}")

    def test_count_unknown_costs_of_a_month(self, read: Callable[..., Any]) -> None:
        today = clock.utc_now().date()
        for days, count in ((0, 2), (29, 3), (31, 5)):
            save_usage(day=today - timedelta(days=days), status="done", credits_unknown=count)
        assert read("Cost unknown, 30 days").figure == "5"

    @pytest.mark.parametrize(("minutes", "level"), [(1, "wrong"), (-1, "fine")])
    def test_say_that_the_remote_is_unreachable(
        self, read: Callable[..., Any], minutes: int, level: str
    ) -> None:
        Circuit.objects.create(account="default", open_until=clock.now() + minutes * MINUTE)
        assert read("Creatify").level == level

    def test_say_that_sending_is_paused(self, read: Callable[..., Any]) -> None:
        services.pause_sending()
        assert read("Sending").level == "wrong"

    @pytest.mark.parametrize(("limit", "level"), [(10, "fine"), (5, "note"), (4, "wrong")])
    def test_name_budgets_near_their_end(
        self, read: Callable[..., Any], limit: int, level: str
    ) -> None:
        budget = Budget.objects.create(name="Team", unit="generations", limit=limit)
        [state] = services.budget_states([budget])
        budget.periods.create(starts_on=state.starts_on, settled=4)
        line = read("Budgets near their end")
        assert (line.level, "Team" in line.figure) == (level, level != "fine")


class TestWebhooks:
    @pytest.fixture(autouse=True)
    def _receive(self, settings: Any) -> None:
        own = settings.CREATIFY_TEXTGEN
        settings.CREATIFY_TEXTGEN = {**own, "WEBHOOK_BASE_URL": "https://example.com"}

    @pytest.mark.parametrize(("deliveries", "level"), [(0, "wrong"), (1, "fine")])
    def test_are_missed(self, read: Callable[..., Any], deliveries: int, level: str) -> None:
        for number in range(20):
            make_waiting("pending", attempts=1, deliveries=deliveries * (number == 0))
        assert read("Webhooks").level == level

    def test_that_were_refused_are_counted(self, read: Callable[..., Any], client: Client) -> None:
        key = uuid7()
        for token in ("0" * 32, make_token(key)):
            client.post(webhook_path(key, token=token), "x", content_type="application/json")
        assert read("Refused deliveries, today").figure == "2"

    def test_are_answered_without_a_cache(
        self, client: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(*_: Any) -> None:
            raise OSError

        monkeypatch.setattr("django.core.cache.backends.locmem.LocMemCache.add", fail)
        path = webhook_path(uuid7(), token="0" * 32)
        assert client.post(path, "x", content_type="application/json").status_code == 404


class TestPage:
    def test_costs_the_same_whatever_is_wrong(self, staff_with: Callable[..., Client]) -> None:
        client, counts = staff_with("view_generation"), []
        for _ in range(2):
            with CaptureQueriesContext(connection) as captured:
                client.get(INDEX)
            counts.append(len(captured))
            for status in ("queued", "pending", "unconfirmed", "expired"):
                make_waiting(status)
        assert counts[0] == counts[1]

    def test_shows_nothing_without_the_permission(self, staff_with: Callable[..., Client]) -> None:
        make_waiting()
        assert "Oldest waiting" not in staff_with("view_media").get(INDEX).text

    def test_shows_budgets_to_who_may_see_them(self, staff_with: Callable[..., Client]) -> None:
        assert "Budgets near" not in staff_with("view_generation").get(INDEX).text
