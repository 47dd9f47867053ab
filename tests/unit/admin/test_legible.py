"""Foreign text made fit to look at."""

from __future__ import annotations

from typing import Any

import pytest

from creatify_textgen.admin.legible import TEXT_LIMIT, Budget, lay_out, lay_out_text, unmask


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
        assert unmask(text) == text

    @pytest.mark.parametrize("character", ["\x00", "\x1b", "\x85", "\u202e", "\u2066"])
    def test_spells_out_what_hides(self, character: str) -> None:
        assert unmask(f"a{character}b") == f"a[U+{ord(character):04X}]b"


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
        assert len(lay_out(nested(900))) < 5_000

    def test_of_shallow_json_is_indented(self) -> None:
        assert lay_out({"a": [1]}) == '{\n  "a": [\n    1\n  ]\n}'

    def test_of_json_no_one_can_read_says_so(self) -> None:
        assert "too deeply nested" in lay_out(nested(200_000))

    @pytest.mark.parametrize(
        "text", ["", "plain", "12", "{", "[" * 100_000, "[" + "9" * 5_000 + "]"]
    )
    def test_of_other_text_is_none(self, text: str) -> None:
        assert lay_out_text(text) is None
