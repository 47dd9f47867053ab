"""How a host's functions are marked, without a run."""

from __future__ import annotations

import math
from typing import Any

import pytest

from creatify_textgen import chat
from creatify_textgen.chat.toolbox import Toolbox
from creatify_textgen.exceptions import RequestError


class TestTool:
    @pytest.mark.parametrize(
        "timeout", [None, "60", True, 0, -1, math.nan, math.inf, 10**10], ids=repr
    )
    def test_refuses_a_timeout_that_no_call_could_have(self, timeout: Any) -> None:
        with pytest.raises(RequestError, match="number of seconds"):
            chat.tool(timeout=timeout)

    @pytest.mark.parametrize("timeout", [0.5, 60, 10**9])
    def test_keeps_its_timeout(self, timeout: float) -> None:
        def get_time() -> str:
            """Return the time."""
            return "noon"

        found = Toolbox.of([chat.tool(timeout=timeout)(get_time)]).get("get_time")
        assert found is not None
        assert found.timeout == timeout
