"""Export and deletion of what a filter shows."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.models import User
from django.db import connection
from django.test import AsyncClient, Client
from django.test.utils import CaptureQueriesContext

from creatify_textgen import clock
from creatify_textgen.admin.export import defuse
from creatify_textgen.models import Generation
from tests import factories

from .conftest import HISTORY, make_done


def export(client: Client, *rows: Generation) -> list[dict[str, str]]:
    form = {"action": "export_selected", "_selected_action": [str(row.pk) for row in rows]}
    return cells_of(client.post(HISTORY, form))


def cells_of(response: Any) -> list[dict[str, str]]:
    assert response["Content-Type"].startswith("text/csv")
    return list(csv.DictReader(text_of(response).removeprefix("\ufeff").splitlines()))


def text_of(response: Any) -> str:
    return b"".join(response.streaming_content).decode()


class TestExport:
    def test_has_a_line_a_generation(self, operator: Client) -> None:
        row = make_done()
        (line,) = export(operator, row)
        assert (line["id"], line["credits_used"]) == (str(row.pk), "0.0005000000")

    def test_says_unknown_where_credits_are_unknown(self, operator: Client) -> None:
        (line,) = export(operator, make_done(credits_used=None))
        assert line["credits_used"] == "unknown"

    def test_has_no_excerpt_for_who_may_not_read_it(
        self, staff_with: Callable[..., Client]
    ) -> None:
        (line,) = export(staff_with("view_generation", "export_generation"), make_done())
        assert "excerpt" not in line

    def test_defuses_formulas(self, operator: Client) -> None:
        (line,) = export(operator, make_done(excerpt="=HYPERLINK(1)"))
        assert line["excerpt"] == "'=HYPERLINK(1)"

    def test_has_times_with_their_zone(self, operator: Client, settings: Any) -> None:
        settings.USE_TZ, settings.TIME_ZONE = False, "Asia/Tokyo"
        at = clock.to_stored(datetime(2026, 1, 1, 18, tzinfo=UTC))
        (line,) = export(operator, make_done(created_at=at, finished_at=at))
        expected = "2026-01-01T18:00:00+00:00"
        assert (line["created_at"], line["finished_at"]) == (expected, expected)

    def test_is_kept_nowhere(self, operator: Client) -> None:
        response = operator.get(f"{HISTORY}export/csv/")
        assert {"private", "no-store"} <= set(response["Cache-Control"].split(", "))


class TestExportOfAFilter:
    def test_has_every_row_in_many_slices(
        self, operator: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("creatify_textgen.admin.export.SLICE", 2)
        monkeypatch.setattr("creatify_textgen.admin.filters.COUNTED", 2)
        rows = [make_done() for _ in range(5)]
        lines = cells_of(operator.get(f"{HISTORY}export/csv/"))
        assert {line["id"] for line in lines} == {str(row.pk) for row in rows}
        assert len(lines) == 5

    def test_has_every_row_that_was_selected_across_pages(
        self, operator: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("creatify_textgen.admin.filters.COUNTED", 2)
        rows = [make_done() for _ in range(3)]
        selected = {"_selected_action": [str(rows[0].pk)], "select_across": "1"}
        response = operator.post(HISTORY, {"action": "export_selected", **selected})
        assert len(cells_of(response)) == 3

    def test_takes_a_query_per_slice(
        self, operator: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("creatify_textgen.admin.export.SLICE", 2)
        for _row in range(6):
            make_done()
        response = operator.get(f"{HISTORY}export/csv/")
        with CaptureQueriesContext(connection) as queries:
            list(response.streaming_content)
        assert len(queries) == 4
        assert all("LIMIT 2" in query["sql"] for query in queries)

    def test_holds_a_slice_at_a_time(
        self, operator: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("creatify_textgen.admin.export.SLICE", 1)
        for _row in range(3):
            make_done()
        blocks = list(operator.get(f"{HISTORY}export/jsonl/").streaming_content)
        assert [block.count(b"\n") for block in blocks] == [1, 1, 1]

    def test_has_only_what_the_filter_shows(self, operator: Client) -> None:
        wanted = make_done(status="failed")
        make_done()
        lines = cells_of(operator.get(f"{HISTORY}export/csv/", {"status__exact": "failed"}))
        assert [line["id"] for line in lines] == [str(wanted.pk)]

    def test_is_json_lines_too(self, operator: Client) -> None:
        make_done(credits_used=Decimal("0.0000001"), excerpt="=1")
        (line,) = text_of(operator.get(f"{HISTORY}export/jsonl/")).splitlines()
        record = json.loads(line)
        assert (record["credits_used"], record["excerpt"]) == ("0.0000001000", "=1")

    @pytest.mark.parametrize("amount", ["0.0000000001", "0.1000000000", "12345.0000000001"])
    def test_is_exact(self, operator: Client, amount: str) -> None:
        make_done(credits_used=Decimal(amount))
        (line,) = cells_of(operator.get(f"{HISTORY}export/csv/"))
        assert line["credits_used"] == amount

    def test_is_unknown_as_json_null(self, operator: Client) -> None:
        make_done(credits_used=None)
        assert '"credits_used": null' in text_of(operator.get(f"{HISTORY}export/jsonl/"))

    def test_has_no_excerpt_for_who_may_not_read_it(
        self, staff_with: Callable[..., Client]
    ) -> None:
        make_done(excerpt="a plan")
        client = staff_with("view_generation", "export_generation")
        text = text_of(client.get(f"{HISTORY}export/jsonl/"))
        assert "a plan" not in text

    def test_is_for_who_may_view_generations(self, staff_with: Callable[..., Client]) -> None:
        assert staff_with("view_generation").get(f"{HISTORY}export/csv/").status_code == 403

    @pytest.mark.parametrize("path", ["export/xls/", "export/csv/?owner=x"])
    def test_is_404_for_what_is_not_understood(self, operator: Client, path: str) -> None:
        assert operator.get(f"{HISTORY}{path}").status_code == 404

    def test_is_linked_with_the_filter(self, operator: Client) -> None:
        make_done(status="failed")
        page = operator.get(HISTORY, {"status__exact": "failed"}).text
        assert f'href="{HISTORY}export/csv/?status__exact=failed"' in page

    @pytest.mark.django_db(transaction=True)
    def test_is_sent_in_blocks_by_an_async_server(self, admin_user: User) -> None:
        row, client = make_done(), AsyncClient()
        client.force_login(admin_user)
        assert str(row.pk) in async_to_sync(read_async)(client, f"{HISTORY}export/jsonl/")


class TestTotals:
    def sums(self, client: Client, **query: str) -> str:
        response = client.get(f"{HISTORY}totals/", query, follow=True)
        (message,) = response.context["messages"]
        return str(message)

    def test_are_of_all_that_the_filter_shows(
        self, operator: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("creatify_textgen.admin.filters.COUNTED", 1)
        make_done(credits_used=Decimal("0.1"))
        make_done(credits_used=Decimal("0.0005"))
        make_done(credits_used=None)
        make_done(status="failed", credits_used=Decimal(9))
        factories.make_generation(status="pending")
        assert self.sums(operator, status__exact="done") == (
            "3 generations, 0.1005 credits; of 1 the cost is unknown."
        )

    def test_of_nothing_are_none(self, operator: Client) -> None:
        assert self.sums(operator).startswith("0 generations, 0 credits")

    def test_come_back_to_the_same_list(self, operator: Client) -> None:
        response = operator.get(f"{HISTORY}totals/", {"status__exact": "done"})
        assert response["Location"] == f"{HISTORY}?status__exact=done"

    def test_are_for_who_may_view_generations(self, staff_with: Callable[..., Client]) -> None:
        assert staff_with("view_content").get(f"{HISTORY}totals/").status_code == 403


async def read_async(client: AsyncClient, url: str) -> str:
    response: Any = await client.get(url)
    return b"".join([block async for block in response.streaming_content]).decode()


class TestDefuse:
    @pytest.mark.parametrize(
        "text", ["=1", "+1", "-1", "@a", "\t=1", "\r=1", "\n=1", "  =1", "\uff1d1"]
    )
    def test_quotes_what_a_spreadsheet_would_run(self, text: str) -> None:
        assert defuse(text) == f"'{text}"

    @pytest.mark.parametrize("text", ["a=1", "", "1-2", "'=1"])
    def test_leaves_other_text_alone(self, text: str) -> None:
        assert defuse(text) == text
