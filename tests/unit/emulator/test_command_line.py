"""What the command line takes and says before it serves."""

from __future__ import annotations

import pytest

from creatify_textgen.emulator.__main__ import main, split_setting
from creatify_textgen.emulator.faults.switch import SwitchError
from creatify_textgen.emulator.faults.switches import SWITCHES


class TestMain:
    def test_lists_every_switch(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["--switches"]) == 0
        listed = capsys.readouterr().out
        assert [name for name in SWITCHES if f"{name} = " not in listed] == []

    def test_refuses_an_unknown_switch_with_a_suggestion(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with pytest.raises(SystemExit):
            main(["--switch", "latancy=1"])
        assert "Did you mean 'latency'?" in capsys.readouterr().err


class TestSplitSetting:
    def test_keeps_what_follows_the_first_equals_sign(self) -> None:
        assert split_setting("failed_reason=a=b") == ("failed_reason", "a=b")

    def test_refuses_a_name_alone(self) -> None:
        with pytest.raises(SwitchError):
            split_setting("stuck")
