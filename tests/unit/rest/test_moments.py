from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from django.test import override_settings
from django.utils.timezone import override

from creatify_textgen.rest.moments import to_stored, to_text

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
NEW_YORK = override_settings(USE_TZ=False, TIME_ZONE="America/New_York")


class TestToText:
    def test_is_in_utc(self) -> None:
        pacific = NOON.astimezone(timezone(timedelta(hours=-8)))
        assert to_text(pacific) == "2026-11-22T12:00:00Z"

    def test_keeps_microseconds(self) -> None:
        assert to_text(NOON.replace(microsecond=5)) == "2026-11-22T12:00:00.000005Z"

    @NEW_YORK
    def test_reads_a_naive_time_in_the_sites_zone(self) -> None:
        assert to_text(datetime(2026, 11, 22, 7)) == "2026-11-22T12:00:00Z"  # noqa: DTZ001

    def test_has_no_text_for_none(self) -> None:
        assert to_text(None) is None


class TestToStored:
    def test_is_aware_with_time_zones(self) -> None:
        assert to_stored(NOON.astimezone(timezone(timedelta(hours=5)))) == NOON

    @NEW_YORK
    def test_is_naive_in_the_sites_zone_without(self) -> None:
        assert to_stored(NOON) == datetime(2026, 11, 22, 7)  # noqa: DTZ001

    @pytest.mark.parametrize("zones", [True, False])
    def test_reads_no_time_in_the_zone_of_the_request(self, *, zones: bool) -> None:
        written = datetime(2026, 11, 22, 7)  # noqa: DTZ001
        with (
            override_settings(USE_TZ=zones, TIME_ZONE="America/New_York"),
            override("Asia/Tokyo"),
        ):
            assert to_stored(written) == (NOON if zones else written)

    @pytest.mark.parametrize("zones", [True, False])
    @pytest.mark.parametrize(
        "edge",
        [
            datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14))),
            datetime(9999, 12, 31, 23, 59, tzinfo=timezone(timedelta(hours=-14))),
        ],
        ids=["before the calendar", "after the calendar"],
    )
    def test_refuses_the_calendars_edges(self, edge: datetime, *, zones: bool) -> None:
        with override_settings(USE_TZ=zones), pytest.raises(ValueError, match="calendar"):
            to_stored(edge)
