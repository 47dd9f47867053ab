"""The spreadsheet."""

from __future__ import annotations

import csv
from collections.abc import Callable

import pytest
from django.test import Client

from creatify_textgen.admin.exporting import defuse
from creatify_textgen.models import Generation

from .conftest import HISTORY, make_done


def export(client: Client, *rows: Generation) -> list[dict[str, str]]:
    form = {"action": "export_selected", "_selected_action": [str(row.pk) for row in rows]}
    response = client.post(HISTORY, form)
    assert response["Content-Type"].startswith("text/csv")
    return list(csv.DictReader(response.text.removeprefix("\ufeff").splitlines()))


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
        (line,) = export(staff_with("view_generation"), make_done())
        assert "excerpt" not in line

    def test_defuses_formulas(self, operator: Client) -> None:
        (line,) = export(operator, make_done(excerpt="=HYPERLINK(1)"))
        assert line["excerpt"] == "'=HYPERLINK(1)"

    def test_says_where_there_are_too_many(
        self, operator: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("creatify_textgen.admin.exporting.MOST_ROWS", 0)
        form = {"action": "export_selected", "_selected_action": [str(make_done().pk)]}
        assert "Nothing was exported" in operator.post(HISTORY, form, follow=True).text


class TestDefuse:
    @pytest.mark.parametrize(
        "text", ["=1", "+1", "-1", "@a", "\t=1", "\r=1", "\n=1", "  =1", "\uff1d1"]
    )
    def test_quotes_what_a_spreadsheet_would_run(self, text: str) -> None:
        assert defuse(text) == f"'{text}"

    @pytest.mark.parametrize("text", ["a=1", "", "1-2", "'=1"])
    def test_leaves_other_text_alone(self, text: str) -> None:
        assert defuse(text) == text
