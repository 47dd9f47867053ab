"""`manage.py textgen_credits`."""

from __future__ import annotations

import json
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from tests.factories import NOW, make_generation, save_usage

pytestmark = pytest.mark.django_db


def use(used: Any, **fields: Any) -> None:
    row = {"day": date(2020, 11, 22), "account": "default", "status": "done", "generations": 1}
    save_usage(credits_used=used, **{**row, **fields})


class TestCredits:
    def test_are_listed_by_model(self, capsys: Any) -> None:
        use(Decimal("0.5"), model_name="größer")
        use(Decimal(2), model_name="large\x1b[31m", credits_unknown=1)
        call_command("textgen_credits", account="default")
        lines = capsys.readouterr().out.splitlines()
        assert lines[0].startswith("Remaining: ")
        assert lines[1] == "Used: 2.5; of 1 generations the cost is unknown"
        assert [line.split() for line in lines[-2:]] == [
            ["large[U+001B][31m", "2", "1", "1"],
            ["größer", "0.5", "1", "0"],
        ]

    @pytest.mark.parametrize("by", ["day", "model", "status", "owner"])
    def test_are_json(self, capsys: Any, by: str) -> None:
        use(Decimal("0.50"), model_name="small")
        call_command("textgen_credits", by=by, json=True, since=date(2020, 11, 1))
        found = json.loads(capsys.readouterr().out)
        assert (found["used"], found["unknown"], found[f"by_{by}"][0]["credits_used"]) == (
            "0.5",
            0,
            "0.5",
        )

    def test_of_an_account_that_was_removed_are_shown(self, capsys: Any) -> None:
        use(Decimal("0.5"), model_name="small", account="renamed")
        call_command("textgen_credits", account="renamed")
        lines = capsys.readouterr().out.splitlines()
        assert lines[:2] == [
            "Remaining: unknown",
            "Used: 0.5; of 0 generations the cost is unknown",
        ]

    def test_of_an_unknown_account_are_refused(self) -> None:
        with pytest.raises(CommandError, match="It has: default"):
            call_command("textgen_credits", account="x")

    @pytest.mark.parametrize("text", ["yesterday", "2026-02-30", "", "1"])
    def test_of_no_day_are_refused(self, text: str) -> None:
        with pytest.raises(CommandError, match="--since: must be a day, such as 2026-11-30"):
            call_command("textgen_credits", f"--since={text}")


class TestDurations:
    @pytest.fixture(autouse=True)
    def _streams(self) -> None:
        for seconds in (2, 4):
            end = NOW + timedelta(seconds=seconds)
            row = make_generation(status="done", mode="stream", created_at=NOW, finished_at=end)
            at = NOW + timedelta(seconds=seconds / 2)
            row.events.create(at=at, status="running", cause="stream")

    def test_are_listed(self, capsys: Any) -> None:
        call_command("textgen_credits")
        lines = capsys.readouterr().out.splitlines()
        assert "Duration: median 2.0 s, 95 of 100 at most 4.0 s" in lines
        assert "First text of a stream: median 1.0 s, 95 of 100 at most 2.0 s" in lines

    def test_are_json(self, capsys: Any) -> None:
        call_command("textgen_credits", json=True)
        assert json.loads(capsys.readouterr().out)["durations"] == {
            "sample": 2,
            "median_seconds": 2,
            "p95_seconds": 4,
            "median_first_seconds": 1,
            "p95_first_seconds": 2,
        }

    def test_of_other_days_are_unknown(self, capsys: Any) -> None:
        call_command("textgen_credits", since=NOW.date() + timedelta(days=1))
        assert "Duration: unknown" in capsys.readouterr().out
