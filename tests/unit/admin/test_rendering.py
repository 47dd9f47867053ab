"""How the admin shows foreign text, credits, durations and statuses."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from creatify_textgen.admin.rendering import (
    TEXT_LIMIT,
    Budget,
    format_credits,
    format_duration,
    format_json,
    format_json_text,
    render_name,
    render_status,
    render_text,
    show_control_chars,
)


def nested(depth: int) -> Any:
    value: Any = list(range(100))
    for _level in range(depth):
        value = [value]
    return value


class TestUnmask:
    @pytest.mark.parametrize(
        "text", ["a\tb\r\nc", "\u05e9\u05dc\u05d5\u05dd", "\U0001f469\u200d\U0001f680"]
    )
    def test_leaves_honest_text_alone(self, text: str) -> None:
        assert show_control_chars(text) == text

    @pytest.mark.parametrize(
        "character",
        [
            *("\x00", "\x1b", "\x85", "\u202e", "\u2066", "\u061c", "\u200f"),
            *("\xad", "\u200b", "\u2028", "\u2060", "\ufeff", "\U000e0041"),
        ],
    )
    def test_spells_out_what_hides(self, character: str) -> None:
        assert show_control_chars(f"a{character}b") == f"a[U+{ord(character):04X}]b"


class TestText:
    def test_breaks_every_500_characters(self) -> None:
        assert render_text("x" * 1_200) == "<wbr>".join(["x" * 500, "x" * 500, "x" * 200])

    @pytest.mark.parametrize("text", ["", "x" * 500, "word " * 1_000, "x" * 499 + "\n" + "x" * 499])
    def test_leaves_lines_that_break_alone(self, text: str) -> None:
        assert render_text(text) == text

    def test_escapes_what_is_beside_a_break(self) -> None:
        shown = render_text("<" * 501)
        assert shown == "&lt;" * 500 + "<wbr>" + "&lt;"

    @pytest.mark.parametrize("text", ["a\0b", "\u202e" * 300, "<wbr>"])
    def test_lets_no_text_make_markup(self, text: str) -> None:
        assert render_text(text).count("<") == render_text(text).count("<wbr>")
        assert "<wbr>" not in render_text("<wbr>")


class TestName:
    def test_is_isolated_and_spelled_out(self) -> None:
        assert render_name("\u202e<b>") == (
            '<bdi class="textgen-name" title="[U+202E]&lt;b&gt;">[U+202E]&lt;b&gt;</bdi>'
        )


class TestBudget:
    def test_shows_a_text_to_its_limit(self) -> None:
        cut = Budget().cut("x" * (TEXT_LIMIT + 3))
        assert (len(cut.text), cut.omitted) == (TEXT_LIMIT, 3)

    def test_is_spent_by_many_small_texts(self) -> None:
        budget = Budget(characters=1000)
        budget.cut("a")
        budget.cut("b")
        assert budget.is_spent

    def test_shows_nothing_once_it_is_spent(self) -> None:
        budget = Budget(characters=1)
        budget.cut("a")
        assert (budget.cut("bc").text, budget.cut("bc").omitted) == ("", 2)


class TestLayout:
    def test_of_deep_json_stays_flat(self) -> None:
        assert len(format_json(nested(900))) < 5_000

    def test_of_shallow_json_is_indented(self) -> None:
        assert format_json({"a": [1]}) == '{\n  "a": [\n    1\n  ]\n}'

    def test_of_json_no_one_can_read_says_so(self) -> None:
        assert "too deeply nested" in format_json(nested(200_000))

    @pytest.mark.parametrize(
        "text", ["", "plain", "12", "{", "[" * 100_000, "[" + "9" * 5_000 + "]"]
    )
    def test_of_other_text_is_none(self, text: str) -> None:
        assert format_json_text(text) is None


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
        assert format_credits(amount) == text


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
        assert format_duration(seconds) == text


class TestStatus:
    def test_keeps_an_unknown_word_out_of_the_class(self) -> None:
        shown = render_status('x" onclick="y')
        assert "textgen-status-other" in shown
        assert '" onclick' not in shown
