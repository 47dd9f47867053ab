"""The sums of a budget, as pages show them."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from creatify_textgen.control import BudgetState
from creatify_textgen.models import Budget


def state(held: str, limit: str) -> BudgetState:
    budget = Budget(name="Team", limit=Decimal(limit))
    return BudgetState(budget, date(2026, 1, 1), Decimal(held), Decimal(), Decimal())


class TestPercent:
    @pytest.mark.parametrize("percent", range(101))
    def test_is_exact(self, percent: int) -> None:
        assert state(str(percent), "100").percent == percent

    @pytest.mark.parametrize(
        ("held", "limit", "percent"),
        [
            pytest.param("0.9999999999", "1", 99, id="almost used up"),
            pytest.param("3", "2", 150, id="exceeded"),
            pytest.param("9999999999", "0.0000000001", 99999999990000000000 * 100, id="largest"),
            pytest.param("0", "0", 100, id="nothing allowed"),
        ],
    )
    def test_is_rounded_down(self, held: str, limit: str, percent: int) -> None:
        assert state(held, limit).percent == percent
