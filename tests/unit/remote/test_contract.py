"""Values that guard themselves."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from creatify_textgen.remote.contract import (
    Credentials,
    GenerationRequest,
    RemoteClock,
    Timeouts,
)


class TestCredentials:
    def test_hides_its_values(self) -> None:
        credentials = Credentials("the-id", "the-key", "https://api.creatify.ai")

        assert repr(credentials) == "Credentials(base_url='https://api.creatify.ai')"

    def test_drops_a_trailing_slash(self) -> None:
        assert Credentials("a", "b", "http://127.0.0.1:1/x/").base_url == "http://127.0.0.1:1/x"

    @pytest.mark.parametrize("value", ["", " a", "a\n", "a\r\nX: y", "ä", "a\x00"], ids=repr)
    def test_refuses_what_no_header_may_carry(self, value: str) -> None:
        for pair in ((value, "fine"), ("fine", value)):
            with pytest.raises(ValueError, match="empty or has") as caught:
                Credentials(*pair, "https://api.creatify.ai")
            assert not value.strip() or value not in str(caught.value)

    @pytest.mark.parametrize(
        "url",
        [
            "",
            "api.creatify.ai",
            "ftp://x",
            "https://",
            "https://u:p@x",
            "https://x?y",
            "https://x#y",
        ],
    )
    def test_refuses_what_is_no_base_url(self, url: str) -> None:
        with pytest.raises(ValueError, match="base URL"):
            Credentials("a", "b", url)


class TestTimeouts:
    @pytest.mark.parametrize(
        ("sync", "body_bytes", "seconds"),
        [(False, 0, 35), (True, 0, 125), (False, 128 * 1024 * 100, 135)],
    )
    def test_knows_when_a_send_has_surely_ended(
        self, *, sync: bool, body_bytes: int, seconds: float
    ) -> None:
        assert Timeouts().longest_send(sync=sync, body_bytes=body_bytes) == seconds


class TestGenerationRequest:
    def test_hides_the_webhook_url(self) -> None:
        request = GenerationRequest(model_name="m", messages=[], webhook_url="https://x/token/")

        assert "token" not in repr(request)


class TestRemoteClock:
    @pytest.mark.parametrize("ahead", [-660, 0, 180])
    def test_tells_how_far_it_is_ahead_of_ours(self, ahead: int) -> None:
        """Asked at 12:00:00, answered at 12:00:02, and now it is 12:00:10."""
        noon = datetime(2026, 11, 30, 12, tzinfo=UTC)
        clock = RemoteClock(noon + timedelta(seconds=1 + ahead), asked_at=100, received_at=102)

        least, most = clock.skew(now=noon + timedelta(seconds=10), monotonic=110)

        assert (least.total_seconds(), most.total_seconds()) == (ahead - 1, ahead + 2)

    def test_may_be_at_the_end_of_the_calendar(self) -> None:
        noon = datetime(2026, 11, 30, 12, tzinfo=UTC)
        clock = RemoteClock(datetime.max.replace(tzinfo=UTC), asked_at=100, received_at=102)

        least, most = clock.skew(now=noon, monotonic=110)

        assert timedelta(days=365 * 7_000) < least < most
