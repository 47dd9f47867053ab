"""The balance: how long somebody waits for it, what a failure is worth, and the reserve."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.core.cache import cache

from creatify_textgen import clock, gateway, services
from creatify_textgen.control import find_pause
from creatify_textgen.dispatch.balance import pause_if_low
from creatify_textgen.dispatch.turns import begin_send
from creatify_textgen.exceptions import PolicyRefusal, RemoteUnavailableError
from creatify_textgen.models import Generation, Pause


class Remote:
    """A remote that has a balance, or fails."""

    def __init__(self) -> None:
        self.balance: Decimal | None = None
        self.waits: list[float | None] = []

    def remaining_credits(self, *, seconds: float | None = None) -> Decimal:
        self.waits.append(seconds)
        if self.balance is None:
            raise RemoteUnavailableError("Nobody answers.")
        return self.balance


@pytest.fixture
def remote(monkeypatch: pytest.MonkeyPatch) -> Iterator[Remote]:
    cache.clear()
    remote = Remote()
    monkeypatch.setattr(gateway, "client_for", lambda account: remote)
    yield remote
    cache.clear()


def let_pass(monkeypatch: pytest.MonkeyPatch, *, seconds: float) -> None:
    later = time.time() + seconds
    monkeypatch.setattr("django.core.cache.backends.locmem.time.time", lambda: later)


@pytest.mark.django_db  # whose clock says how old a balance is
class TestRemaining:
    def test_waits_three_seconds_at_most(self, remote: Remote) -> None:
        services.remaining_credits()
        assert remote.waits == [3.0]

    def test_is_not_asked_again_within_a_minute_of_a_failure(self, remote: Remote) -> None:
        answers = [services.remaining_credits() for _ in range(3)]
        assert answers == [(None, None)] * 3
        assert len(remote.waits) == 1

    def test_is_asked_again_after_the_minute(
        self, remote: Remote, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        services.remaining_credits()
        remote.balance = Decimal(7)
        let_pass(monkeypatch, seconds=61)
        assert services.remaining_credits()[0] == 7

    def test_of_another_account_is_not_held_up(self, remote: Remote) -> None:
        services.remaining_credits()
        remote.balance = Decimal(7)
        assert services.remaining_credits("second")[0] == 7

    def test_is_the_last_known_while_the_remote_fails(
        self, remote: Remote, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        remote.balance = Decimal(7)
        services.remaining_credits()
        remote.balance = None
        later = clock.now() + timedelta(seconds=90)
        monkeypatch.setattr(clock, "now", lambda: later)
        assert services.remaining_credits() == (7, pytest.approx(90, abs=9))
        assert len(remote.waits) == 2


@pytest.mark.django_db
class TestReserve:
    @pytest.fixture(autouse=True)
    def _keep_fifty(self, settings: Any) -> None:
        settings.CREATIFY_TEXTGEN = {**settings.CREATIFY_TEXTGEN, "MIN_REMAINING": 50}

    def test_lets_asynchronous_requests_wait(self, remote: Remote) -> None:
        remote.balance = Decimal("49.5")
        row = services.submit("Hello")
        services.send_generation(row.pk)
        row.refresh_from_db()
        assert (row.status, row.attempts) == ("queued", 0)
        pause = Pause.objects.get()
        assert (pause.code, pause.until) == ("insufficient_credits", row.due_at)
        assert pause.reason == "The workspace has 49.5 credits; sending stops below 50."

    @pytest.mark.parametrize("verb", [services.generate, services.begin_stream])
    def test_refuses_who_would_wait_for_an_answer(self, remote: Remote, verb: Any) -> None:
        remote.balance = Decimal(1)
        for _ in range(2):
            with pytest.raises(PolicyRefusal) as caught:
                verb("Hello")
            assert (caught.value.code, caught.value.status) == ("insufficient_credits", 402)
        assert not Generation.objects.exists()

    def test_ends_once_the_balance_is_back(
        self, remote: Remote, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        remote.balance = Decimal(49)
        row = services.submit("Hello")
        assert begin_send(row) is None
        remote.balance = Decimal(50)
        later = clock.now() + timedelta(seconds=61)
        monkeypatch.setattr(clock, "now", lambda: later)
        assert find_pause("default", now=later) is None
        assert pause_if_low("default", now=later) is False

    @pytest.mark.parametrize("age", [None, 601], ids=["unknown", "too old"])
    def test_stops_nothing_where_the_balance_is_not_known(
        self, remote: Remote, monkeypatch: pytest.MonkeyPatch, age: int | None
    ) -> None:
        if age is not None:
            remote.balance = Decimal(1)
            services.remaining_credits()
            later = clock.now() + timedelta(seconds=age)
            monkeypatch.setattr(clock, "now", lambda: later)
            remote.balance = None
        assert pause_if_low("default", now=clock.now()) is False

    def test_leaves_the_pause_of_a_person(self, remote: Remote) -> None:
        remote.balance = Decimal(1)
        services.pause_sending("default", reason="Mine.")
        with pytest.raises(PolicyRefusal, match="paused on this site"):
            services.generate("Hello")
        assert Pause.objects.get().reason == "Mine."

    def test_asks_nothing_without_the_setting(self, remote: Remote, settings: Any) -> None:
        settings.CREATIFY_TEXTGEN = {**settings.CREATIFY_TEXTGEN, "MIN_REMAINING": None}
        assert pause_if_low("default", now=clock.now()) is False
        assert remote.waits == []


@pytest.mark.django_db
class TestCacheThatIsDown:
    @pytest.fixture(autouse=True)
    def _down(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(*_: Any, **__: Any) -> None:
            raise ConnectionError("the cache is down")

        for method in ("get", "set", "add", "incr"):
            monkeypatch.setattr(f"django.core.cache.backends.locmem.LocMemCache.{method}", fail)

    def test_does_not_hide_the_balance(self, remote: Remote) -> None:
        remote.balance = Decimal(7)
        assert services.remaining_credits() == (7, 0.0)
        remote.balance = None
        assert services.remaining_credits() == (None, None)

    @pytest.mark.parametrize(("balance", "is_low"), [(Decimal(1), True), (Decimal(20), False)])
    def test_does_not_change_the_reserve(
        self, remote: Remote, settings: Any, balance: Decimal, *, is_low: bool
    ) -> None:
        settings.CREATIFY_TEXTGEN = {**settings.CREATIFY_TEXTGEN, "MIN_REMAINING": 10}
        remote.balance = balance
        assert pause_if_low("default", now=clock.now()) is is_low
