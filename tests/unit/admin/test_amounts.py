"""Credits, durations and statuses in words."""

from __future__ import annotations

from decimal import Decimal

import pytest

from creatify_textgen.admin.amounts import show_status, spell_credits, spell_duration


class TestCredits:
    @pytest.mark.parametrize(
        ("amount", "text"),
        [
            (None, "unknown"),
            (Decimal(0), "0"),
            (Decimal("0E-10"), "0"),
            (Decimal("0.0005000000"), "0.0005"),
            (Decimal("5E-10"), "0.0000000005"),
            (Decimal("1E+3"), "1000"),
            (Decimal("-1.50"), "-1.5"),
        ],
    )
    def test_read_as_they_were_reported(self, amount: Decimal | None, text: str) -> None:
        assert spell_credits(amount) == text


class TestDuration:
    @pytest.mark.parametrize(
        ("seconds", "text"),
        [
            (None, "\u2013"),
            (0.0004, "0 ms"),
            (0.25, "250 ms"),
            (1.44, "1.4 s"),
            (61, "1 min 1 s"),
            (3720, "1 h 2 min"),
            (90_000, "1 d 1 h"),
        ],
    )
    def test_has_two_units(self, seconds: float | None, text: str) -> None:
        assert spell_duration(seconds) == text


class TestStatus:
    def test_keeps_an_unknown_word_out_of_the_class(self) -> None:
        shown = show_status('x" onclick="y')
        assert "textgen-status-other" in shown
        assert '" onclick' not in shown
