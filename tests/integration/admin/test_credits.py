"""The credits page."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from creatify_textgen.emulator import Emulator
from creatify_textgen.models import UsageDay

from .conftest import HISTORY

CREDITS = f"{HISTORY}credits/"


def use(**fields: Any) -> UsageDay:
    key = str(UsageDay.objects.count())
    row = {"day": datetime.now(UTC).date(), "account": "default", "model_name": "gemini-2.5-flash"}
    counts = {"status": "done", "generations": 1, "credits_used": Decimal("0.5")}
    return UsageDay.objects.create(**{"key": key, **row, **counts, **fields})


def table(response: Any, number: int) -> list[Any]:
    return list(response.context["tables"][number]["bars"])


class TestCreditsPage:
    def test_shows_what_is_left(self, operator: Client, remote: Emulator) -> None:
        response = operator.get(CREDITS)
        assert response.context["report"].remaining is not None
        assert "ago" in response.text

    def test_says_that_the_remote_is_away(self, operator: Client) -> None:
        response = operator.get(CREDITS)
        assert response.context["remaining"] == "unknown"
        assert "The remote could not be asked" in response.text

    def test_shows_each_day_of_the_period(self, operator: Client) -> None:
        use()
        days = table(operator.get(CREDITS, {"period": "7"}), 0)
        assert [bar.credits for bar in days] == ["0.5", *["0"] * 6]

    def test_measures_bars_by_the_largest(self, operator: Client) -> None:
        use(model_name="a", credits_used=Decimal(3))
        use(model_name="b", credits_used=Decimal(1))
        models = table(operator.get(CREDITS), 1)
        assert [(bar.label, bar.share) for bar in models] == [("a", "1.0000"), ("b", "0.3333")]

    def test_says_unknown_where_no_cost_is_known(self, operator: Client) -> None:
        use(credits_used=Decimal(), credits_unknown=1)
        response = operator.get(CREDITS)
        assert table(response, 1)[0].credits == "unknown"
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
        assert f'href="{CREDITS}"' in operator.get(page).text

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
