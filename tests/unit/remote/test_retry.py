"""What may be sent again: the rule by a table."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from creatify_textgen.exceptions import (
    ContractError,
    RateLimitedError,
    RemoteError,
    RemoteRejectedError,
    RemoteUnavailableError,
    RequestError,
    StreamError,
    TextgenError,
)
from creatify_textgen.remote.retry import Decision, asked_seconds, backoff_seconds, decide

NOW = datetime(2026, 11, 22, 17, 0, 0, tzinfo=UTC)
REFUSED = (400, 401, 402, 403, 404, 405, 410, 413, 415, 422, 451)


def decided(error: TextgenError, attempt: int = 1, *, random: float = 0.0) -> Decision:
    return decide(error, attempt, now=NOW, random=lambda: random)


class TestDecide:
    @pytest.mark.parametrize(
        "error",
        [
            RemoteUnavailableError("no route", request_sent=False),
            RateLimitedError("busy", status=429),
            RemoteUnavailableError("down", status=503),
        ],
        ids=["never sent", "429", "503"],
    )
    def test_retries_what_was_surely_not_accepted(self, error: RemoteError) -> None:
        decision = decided(error, random=1.0)

        assert (decision.action, decision.error_code) == ("retry", error.code)
        assert decision.after_seconds == 1
        assert decision.retry_at == NOW + timedelta(seconds=1)

    @pytest.mark.parametrize("status", REFUSED)
    def test_fails_what_was_refused(self, status: int) -> None:
        decision = decided(RemoteRejectedError("no", status=status, code="authentication"))

        assert (decision.action, decision.error_code) == ("fail", "authentication")
        assert decision.retry_at is None

    @pytest.mark.parametrize(
        "error",
        [
            RemoteUnavailableError("read timeout"),
            RemoteUnavailableError("crash", status=500),
            RemoteUnavailableError("bad gateway", status=502),
            RemoteUnavailableError("gateway timeout", status=504),
            RemoteUnavailableError("proxy's own", status=520),
            RemoteUnavailableError("gave up on us", status=408),
            RemoteRejectedError("there is one already", status=409),
            RemoteRejectedError("too early", status=425),
            RemoteRejectedError("a balancer's own", status=460),
            RemoteRejectedError("cancelled", status=499),
            ContractError("not modified", status=304),
            ContractError("see over there", status=303),
            ContractError("unreadable", status=201),
            StreamError("cut"),
            RateLimitedError("busy, but yours", status=429, accepted_as="r1"),
            RemoteUnavailableError("down, but yours", status=503, accepted_as="r1"),
            RemoteRejectedError("refused, but yours", status=400, accepted_as="r1"),
        ],
        ids=str,
    )
    def test_does_not_touch_what_may_have_been_accepted(self, error: TextgenError) -> None:
        assert decided(error).action == "unconfirmed"

    @pytest.mark.parametrize(
        "words",
        [
            "upstream connect error or disconnect/reset before headers. "
            "reset reason: connection termination",
            "disconnect/reset before headers. reset reason: remote reset",
            "<html><h1>Error 503 Backend fetch failed</h1>",
            "<html><h1>Error 503 backend read error</h1>",
            "<p>first byte timeout</p>",
            "upstream request timeout",
            "The upstream server timed out",
            "504 DEADLINE_EXCEEDED: Deadline exceeded.",
        ],
    )
    @pytest.mark.parametrize("name", ["excerpt", "reason"])
    def test_does_not_touch_what_a_proxy_had_passed_on(self, name: str, words: str) -> None:
        error = RemoteUnavailableError("down", status=503, **{name: words})  # type: ignore[arg-type]
        assert decided(error).action == "unconfirmed"

    @pytest.mark.parametrize(
        "words",
        [
            "",
            "Service Unavailable",
            "no healthy upstream",
            "The model is overloaded. Please try again later.",
            "<html><h1>503 Service Temporarily Unavailable</h1>",
            "upstream connect error or disconnect/reset before headers. "
            "reset reason: connection failure",
            "upstream connect error or disconnect/reset before headers. reset reason: overflow",
        ],
    )
    def test_sends_again_what_a_proxy_did_not_pass_on(self, words: str) -> None:
        assert decided(RemoteUnavailableError("down", status=503, excerpt=words)).action == "retry"

    def test_reads_no_words_of_the_request_into_it(self) -> None:
        error = RemoteUnavailableError(
            "down", status=503, reason="busy", excerpt='{"error": "busy", "x": "Deadline exceeded"}'
        )
        assert decided(error).action == "retry"

    def test_fails_a_redirect(self) -> None:
        assert decided(ContractError("elsewhere", status=307)).action == "fail"

    def test_fails_what_never_was_a_request(self) -> None:
        assert decided(RequestError("no JSON")).action == "fail"

    @pytest.mark.parametrize("seconds", [5.0, 600.0])
    def test_waits_as_long_as_asked(self, seconds: float) -> None:
        decision = decided(RateLimitedError("busy", status=429, retry_after=seconds))

        assert decision.action == "retry"
        assert seconds < decision.after_seconds <= seconds + 1

    @pytest.mark.parametrize("seconds", [601.0, 31_536_000.0])
    def test_waits_for_ten_minutes_when_asked_for_more(self, seconds: float) -> None:
        decision = decided(RemoteUnavailableError("down", status=503, retry_after=seconds))

        assert decision.action == "retry"
        assert 600 < decision.after_seconds <= 601

    def test_never_gives_up_on_a_remote_that_is_down(self) -> None:
        error = RemoteUnavailableError("no route", request_sent=False)

        assert decided(error, 10_000, random=1.0).after_seconds == 300


class TestBackoff:
    @pytest.mark.parametrize(
        ("attempt", "longest"), [(1, 1), (2, 2), (3, 4), (9, 256), (10, 300), (5000, 300)]
    )
    def test_doubles_up_to_a_cap_and_draws_the_upper_half(
        self, attempt: int, longest: float
    ) -> None:
        assert backoff_seconds(attempt, random=lambda: 0.0) == longest / 2
        assert backoff_seconds(attempt, random=lambda: 1.0) == longest

    def test_takes_other_bounds(self) -> None:
        assert backoff_seconds(9, random=lambda: 1.0, first=2, longest=60) == 60

    def test_is_never_less_than_asked(self) -> None:
        assert backoff_seconds(1, random=lambda: 0.0, retry_after=30) == 30.5
        assert backoff_seconds(20, random=lambda: 1.0, retry_after=30) == 300

    @pytest.mark.parametrize("asked", [31_536_000.0, 2.3e9])
    def test_is_at_most_ten_minutes_more_whatever_is_asked(self, asked: float) -> None:
        assert backoff_seconds(1, random=lambda: 1.0, retry_after=asked) == 601


class TestAskedSeconds:
    @pytest.mark.parametrize(
        ("retry_after", "seconds"), [(None, 0), (7.0, 7), (600.0, 600), (31_536_000.0, 600)]
    )
    def test_are_ten_minutes_at_most(self, retry_after: float | None, seconds: float) -> None:
        error = RateLimitedError("busy", status=429, retry_after=retry_after)

        assert asked_seconds(error) == seconds

    def test_are_none_of_another_error(self) -> None:
        assert asked_seconds(StreamError("cut")) == 0
