"""The emulator's own clock and the header that shows it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from creatify_textgen.emulator.faults.clock import date_header, remote_time
from tests.unit.emulator.builders import CREATED_AT, settings_with


class TestRemoteTime:
    @pytest.mark.parametrize("seconds", [0, 180, -660.5])
    def test_is_ahead_by_the_offset(self, seconds: float) -> None:
        shown = remote_time(CREATED_AT, settings=settings_with(clock_offset=seconds))
        assert shown - CREATED_AT == timedelta(seconds=seconds)


class TestDateHeader:
    @pytest.mark.parametrize(
        ("switches", "header"),
        [
            ({}, {"Date": "Sun, 22 Nov 2026 17:00:00 GMT"}),
            ({"clock_offset": 3600}, {"Date": "Sun, 22 Nov 2026 18:00:00 GMT"}),
            ({"date_offset": -3600}, {"Date": "Sun, 22 Nov 2026 16:00:00 GMT"}),
            ({"clock_offset": 60, "date_offset": 60}, {"Date": "Sun, 22 Nov 2026 17:02:00 GMT"}),
            ({"date_header": "none"}, {}),
            ({"date_header": "unreadable"}, {"Date": "soon"}),
        ],
        ids=["honest", "ahead", "of another machine", "of both", "none", "unreadable"],
    )
    def test_is_as_the_switches_say(self, switches: dict[str, Any], header: object) -> None:
        assert date_header(CREATED_AT, settings=settings_with(**switches)) == header
