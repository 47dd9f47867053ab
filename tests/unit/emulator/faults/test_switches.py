"""The table of switches, and how values are read, set, limited and reset."""

from __future__ import annotations

from typing import Any

import pytest

from creatify_textgen.emulator.faults.switch import SwitchError
from creatify_textgen.emulator.faults.switchboard import Switchboard, read_value
from creatify_textgen.emulator.faults.switches import SWITCHES


class TestTable:
    @pytest.mark.parametrize("name", SWITCHES)
    def test_has_a_default_that_the_switch_itself_accepts(self, name: str) -> None:
        assert read_value(name, value=SWITCHES[name].default) == SWITCHES[name].default

    @pytest.mark.parametrize("name", SWITCHES)
    def test_says_what_each_switch_means(self, name: str) -> None:
        assert SWITCHES[name].meaning.endswith(".")

    @pytest.mark.parametrize("name", SWITCHES)
    def test_says_which_requests_count(self, name: str) -> None:
        assert SWITCHES[name].counted_by in {"create", "get", "list", "credits", "any"}


class TestReadValue:
    @pytest.mark.parametrize(
        ("name", "text", "value"),
        [
            ("stuck", "true", True),
            ("stuck", "off", False),
            ("latency", "0.5", 0.5),
            ("word_count", "12", 12),
            ("error_at_create", 503, "503"),
            ("error_at_create", None, "none"),
            ("failed_reason", "No.", "No."),
            ("api_keys", "a:1,b:2", ("a:1", "b:2")),
            ("api_keys", [("a", "1")], ("a:1",)),
            ("balance", "-1.5", -1.5),
        ],
    )
    def test_takes_text_and_values(self, name: str, text: Any, value: Any) -> None:
        assert read_value(name, value=text) == value

    @pytest.mark.parametrize(
        ("name", "value", "words"),
        [
            ("latancy", 1, "Did you mean 'latency'?"),
            ("final_state", "faild", "Did you mean 'failed'?"),
            ("stuck", "maybe", "true or false"),
            ("latency", "soon", "a number"),
            ("latency", -1, "0 or more"),
            ("latency", float("nan"), "up to 1,000,000,000"),
            ("latency", float("inf"), "up to 1,000,000,000"),
            ("clock_offset", "-inf", "up to 1,000,000,000"),
            ("clock_offset", 1e15, "up to 1,000,000,000"),
            ("latency", True, "a number"),
            ("word_count", "1e400", "a number"),
            ("failed_reason", 3, "is text"),
            ("api_keys", "alone", "id:key"),
            ("api_keys", 3, "id:key"),
        ],
    )
    def test_refuses_what_it_does_not_know(self, name: str, value: Any, words: str) -> None:
        with pytest.raises(SwitchError, match=words.replace("?", r"\?")):
            read_value(name, value=value)


class TestSwitchboard:
    def test_sets_for_good(self) -> None:
        board = Switchboard()
        board.set(latency=2, stuck=True)
        assert (board.settings.latency, board.settings.stuck) == (2.0, True)

    def test_sets_nothing_when_one_value_is_wrong(self) -> None:
        board = Switchboard()
        with pytest.raises(SwitchError):
            board.set(latency=2, final_state="nonsense")
        assert board.settings.latency == 0

    def test_limits_a_value_to_the_next_requests_of_its_kind(self) -> None:
        board = Switchboard()
        board.set(error_at_create="503", times=2)
        kinds = ["get", "create", "list", "create", "create"]
        taken = [board.take(kind).error_at_create for kind in kinds]
        assert taken == ["none", "503", "none", "503", "none"]

    def test_counts_any_request_for_what_concerns_them_all(self) -> None:
        board = Switchboard()
        board.set(latency=1, times=2)
        assert [board.take(kind).latency for kind in ("get", "list", "get")] == [1, 1, 0]

    def test_a_value_for_good_ends_a_limited_one(self) -> None:
        board = Switchboard()
        board.set(latency=1, times=5)
        board.set(latency=0)
        assert board.take("get").latency == 0

    @pytest.mark.parametrize("times", [0, -1, True, "2", 1.5])
    def test_refuses_a_wrong_number_of_times(self, times: Any) -> None:
        with pytest.raises(SwitchError, match="times"):
            Switchboard().set(latency=1, times=times)

    def test_resets_to_the_values_of_the_start(self) -> None:
        board = Switchboard(latency=3)
        board.set(latency=1)
        board.set(stuck=True, times=3)
        board.reset()
        assert (board.settings.latency, board.settings.stuck) == (3, False)

    def test_describes_every_switch_with_its_value(self) -> None:
        board = Switchboard()
        board.set(error_at_get="404", times=3)
        row = board.describe()["error_at_get"]
        assert (row["value"], row["times"], row["default"]) == ("404", 3, "none")
        assert set(board.describe()) == set(SWITCHES)
