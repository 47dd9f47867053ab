"""The credits page."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from creatify_textgen import clock
from creatify_textgen.emulator import Emulator
from creatify_textgen.models import BalanceReading, Budget, UsageDay
from tests.factories import save_usage

from .conftest import HISTORY, make_done

CREDITS = f"{HISTORY}credits/"


def use(**fields: Any) -> UsageDay:
    row = {"day": datetime.now(UTC).date(), "account": "default", "model_name": "gemini-2.5-flash"}
    counts = {"status": "done", "generations": 1, "credits_used": Decimal("0.5")}
    return save_usage(**{**row, **counts, **fields})


def table(response: Any, title: str) -> list[Any]:
    return next(list(one.bars) for one in response.context["tables"] if one.title == title)


class TestCreditsPage:
    def test_shows_what_is_left(self, operator: Client, remote: Emulator) -> None:
        response = operator.get(CREDITS)
        assert response.context["report"].remaining is not None
        assert "ago" in response.text

    def test_exports_the_generations_of_its_period(
        self, operator: Client, staff_with: Callable[..., Client]
    ) -> None:
        this_month, before = make_done(created_at=clock.utc_now()), make_done()
        url = operator.get(CREDITS, {"period": "month"}).context["export_url"]
        lines = b"".join(operator.get(url).streaming_content).decode()
        assert (str(this_month.pk) in lines, str(before.pk) in lines) == (True, False)
        assert not staff_with("view_generation").get(CREDITS).context["export_url"]

    def test_is_shown_if_the_settings_have_no_account(
        self, operator: Client, settings: Any
    ) -> None:
        settings.CREATIFY_TEXTGEN = {**settings.CREATIFY_TEXTGEN, "ACCOUNTS": {}}
        assert operator.get(CREDITS).status_code == 200
        use(account="removed", credits_used=Decimal(2))
        assert operator.get(CREDITS).context["used"] == "2"

    def test_shows_what_an_account_cost_that_is_no_longer_in_the_settings(
        self, operator: Client
    ) -> None:
        use(account="default")
        use(account="renamed", credits_used=Decimal(2))
        for account, used in (("default", "0.5"), ("renamed", "2"), ("*", "2.5")):
            response = operator.get(CREDITS, {"account": account})
            assert response.context["used"] == used
            assert ("Remaining" in response.text) == (account != "renamed")

    def test_leads_to_the_generations_of_its_account_if_another_was_removed(
        self, operator: Client
    ) -> None:
        use(account="default")
        use(account="renamed")
        for account in ("default", "renamed"):
            [model] = table(operator.get(CREDITS, {"account": account}), "By model")
            assert f"account={account}" in model.link

    def test_says_that_the_remote_is_away(self, operator: Client) -> None:
        response = operator.get(CREDITS)
        assert response.context["remaining"] == "unknown"
        assert "Creatify could not be reached" in response.text

    def test_shows_each_day_of_the_period(self, operator: Client) -> None:
        use()
        days = table(operator.get(CREDITS, {"period": "7"}), "By day")
        assert [bar.credits for bar in days] == ["0.5", *["0"] * 6]

    def test_measures_bars_by_the_largest(self, operator: Client) -> None:
        use(model_name="a", credits_used=Decimal(3))
        use(model_name="b", credits_used=Decimal(1))
        models = table(operator.get(CREDITS), "By model")
        assert [(bar.label, bar.share) for bar in models] == [("a", "1.0000"), ("b", "0.3333")]

    def test_says_unknown_where_no_cost_is_known(self, operator: Client) -> None:
        use(credits_used=Decimal(), credits_unknown=1)
        response = operator.get(CREDITS)
        assert table(response, "By model")[0].credits == "unknown"
        assert response.context["report"].unknown == 1

    def test_leaves_out_what_is_older(self, operator: Client) -> None:
        use(day=datetime.now(UTC).date() - timedelta(days=40))
        assert operator.get(CREDITS).context["used"] == "0"
        assert operator.get(CREDITS, {"period": "all"}).context["used"] == "0.5"

    @pytest.mark.parametrize("query", [{"period": "x"}, {"account": "x"}, {"period": "-1"}])
    def test_shows_its_default_for_what_it_does_not_know(
        self, operator: Client, query: dict[str, str]
    ) -> None:
        assert operator.get(CREDITS, query).status_code == 200

    def test_is_for_who_may_view_generations(self, staff_with: Callable[..., Client]) -> None:
        assert staff_with("view_content").get(CREDITS).status_code == 403
        assert staff_with("view_generation").get(CREDITS).status_code == 200

    @pytest.mark.parametrize(
        "page", [HISTORY, reverse("admin:app_list", args=["creatify_textgen"])]
    )
    def test_is_linked(self, operator: Client, page: str) -> None:
        assert f'href="{CREDITS}' in operator.get(page).text

    def test_leads_from_each_sum_to_its_generations(self, operator: Client) -> None:
        owner = User.objects.create_user("grace")
        use(owner=owner, status="failed")
        make_done(owner=owner, mode="sync", created_at=clock.now(), error_code="safety")
        response = operator.get(CREDITS, {"period": "7"})
        today = datetime.now(UTC).date()
        days = f"since={today - timedelta(days=6)}"
        links = {
            "By model": f"{days}&model_name=gemini-2.5-flash",
            "By owner": f"{days}&owner={owner.pk}",
            "By status": f"{days}&status__exact=failed",
            "By mode": f"{days}&mode__exact=sync",
            "By error": f"{days}&error_code=safety",
            "By day": f"since={today}",
        }
        found = {title: table(response, title)[0].link for title in links}
        assert found == {title: f"{HISTORY}?{query}" for title, query in links.items()}
        assert {operator.get(link).status_code for link in found.values()} == {200}

    @pytest.mark.parametrize("period", ["7", "month", "all"])
    def test_leads_to_the_latest_generations_east_of_utc(
        self, operator: Client, settings: Any, monkeypatch: pytest.MonkeyPatch, period: str
    ) -> None:
        # In Tokyo, the next day has begun.
        now = datetime(2026, 10, 20, 20, tzinfo=UTC)
        monkeypatch.setattr(clock, "utc_now", lambda: now)
        settings.TIME_ZONE = "Asia/Tokyo"
        use(day=now.date())
        row = make_done(created_at=now)
        response = operator.get(CREDITS, {"period": period})
        links = [one.bars[0].link for one in response.context["tables"] if one.bars]
        assert len(links) >= 4
        for link in links:
            assert f"{row.pk}/change/" in operator.get(link).text, link
        exported = operator.get(response.context["export_url"]).streaming_content
        assert str(row.pk) in b"".join(exported).decode()

    def test_leads_from_a_part_of_a_month_to_that_part(self, operator: Client) -> None:
        use(day="2020-02-20")
        query = {"since": "2020-02-10", "until": "2020-05-05"}
        links = [bar.link for bar in table(operator.get(CREDITS, query), "By month")]
        assert links[0] == f"{HISTORY}?since=2020-05-01&until=2020-05-05"
        assert links[-1] == f"{HISTORY}?since=2020-02-10&until=2020-02-29"

    def test_leads_nowhere_from_a_model_without_a_name(self, operator: Client) -> None:
        use(model_name="")
        [bar] = table(operator.get(CREDITS), "By model")
        assert (bar.label, bar.link) == ("–", "")  # noqa: RUF001

    def test_names_the_site_itself_as_an_owner(self, operator: Client) -> None:
        use()
        bar = table(operator.get(CREDITS), "By owner")[0]
        assert (bar.label, bar.link.endswith("owner=-")) == ("the site itself", True)

    def test_draws_each_day_with_the_table_beside_it(self, operator: Client) -> None:
        use(model_name="<script>")
        page = operator.get(CREDITS, {"period": "7"}).text
        assert page.count("<rect") == 1
        assert "&lt;script&gt;: 0.5</title>" in page
        assert "style=" not in page[page.index("<svg") : page.index("</svg>")]

    @pytest.mark.parametrize("days", [62, 63])
    def test_sums_up_a_long_period_by_month(self, operator: Client, days: int) -> None:
        today = datetime.now(UTC).date()
        query = {"since": today - timedelta(days=days - 1), "until": today}
        use()
        titles = [one.title for one in operator.get(CREDITS, query).context["tables"]]
        assert titles[-1] == ("By day" if days == 62 else "By month")

    def test_is_of_any_days(self, operator: Client) -> None:
        use(day="2020-02-29", credits_used=7)
        query = {"since": "2020-02-29", "until": "2020-02-29"}
        assert operator.get(CREDITS, query).context["used"] == "7"
        query["until"] = "2020-02-28"
        assert operator.get(CREDITS, query).status_code == 200

    def test_shows_budgets_to_who_may_see_them(self, staff_with: Callable[..., Client]) -> None:
        Budget.objects.create(name="Team of Ada", limit=5)
        shown = [
            "Team of Ada" in staff_with("view_generation", *more).get(CREDITS).text
            for more in ([], ["view_budget"])
        ]
        assert shown == [False, True]

    def test_costs_the_same_for_many_rows(self, operator: Client) -> None:
        counts = []
        for number in range(3):
            owner = User.objects.create_user(f"user-{number}")
            use(owner=owner, model_name=f"model-{number}")
            with CaptureQueriesContext(connection) as captured:
                operator.get(CREDITS)
            counts.append(len(captured))
        assert counts[1] == counts[2]

    def test_is_of_all_accounts_together(self, operator: Client, settings: Any) -> None:
        keys = {"API_ID": "id", "API_KEY": "key", "BASE_URL": "http://127.0.0.1:9"}
        settings.CREATIFY_TEXTGEN = {"ACCOUNTS": {"default": keys, "other": keys}}
        use()
        use(account="other")
        response = operator.get(CREDITS, {"account": "*"})
        assert response.context["used"] == "1"
        assert "account" not in table(response, "By model")[0].link

    @pytest.mark.parametrize(
        ("balance", "text"),
        [(95, "5 credits are not explained"), (600, "500 credits were added"), (100, "It agrees")],
    )
    def test_shows_whether_the_balance_agrees(
        self, operator: Client, staff_with: Callable[..., Client], balance: int, text: str
    ) -> None:
        for day, amount in ((1, 100), (2, balance)):
            at = datetime(2020, 11, day, tzinfo=UTC)
            BalanceReading.objects.create(account="default", at=at, balance=amount, used=7)
        assert text in operator.get(CREDITS).text
        assert "Does the balance agree" not in staff_with("view_generation").get(CREDITS).text

    def test_escapes_model_names(self, operator: Client) -> None:
        use(model_name="<script>\u202e")
        page = operator.get(CREDITS).text
        assert "&lt;script&gt;[U+202E]" in page


class TestUsageTable:
    def test_is_read_only(self, admin_client: Client) -> None:
        row = use(credits_used=Decimal(), credits_unknown=1)
        url = "/admin/creatify_textgen/usageday/"
        assert "unknown" in admin_client.get(url).text
        assert admin_client.get(f"{url}{row.pk}/change/").status_code == 200
        assert admin_client.get(f"{url}add/").status_code == 403
        assert admin_client.post(f"{url}{row.pk}/delete/", {"post": "yes"}).status_code == 403
