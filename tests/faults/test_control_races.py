"""Limits and budgets while many requests arrive at once, and while processes are killed."""

from __future__ import annotations

import base64
import threading
import time
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from creatify_textgen import databases, lifecycle, services
from creatify_textgen.control import budgets
from creatify_textgen.control.limits import count_refresh
from creatify_textgen.exceptions import PolicyRefusal
from creatify_textgen.lifecycle import Outcome
from creatify_textgen.models import Allowance, Budget, BudgetHold, BudgetPeriod, Generation, Media
from creatify_textgen.states import Cause
from tests.bad_requests import PNG
from tests.faults.crowd import all_at_once

pytestmark = pytest.mark.django_db(transaction=True)

CALLERS = 16
CROWD, EACH, SEATS = 20, 10, 50
"""Two hundred requests; a database allows fewer connections than that."""
ROOM = 5
ROUNDS, BUSY = 3, 5


@pytest.fixture
def user() -> User:
    return User.objects.create_user("owner")


def picture_of(number: int) -> bytes:
    """Return an image that is another one for each number."""
    return PNG + bytes([number])


def limit(settings: Any, **limits: Any) -> None:
    settings.CREATIFY_TEXTGEN = {**settings.CREATIFY_TEXTGEN, "LIMITS": limits}


def is_allowed(ask: Any) -> bool:
    try:
        ask()
    except PolicyRefusal:
        return False
    return True


class TestLimit:
    def test_lets_as_many_in_as_there_is_room_for(self, settings: Any, user: User) -> None:
        limit(settings, in_flight=ROOM)
        submit = partial(services.submit, "Hello", owner=user)
        allowed = all_at_once(*[partial(is_allowed, submit)] * CALLERS)
        assert (sum(allowed), Generation.objects.count()) == (ROOM, ROOM)

    def test_keeps_no_other_user_out(self, settings: Any, user: User) -> None:
        limit(settings, in_flight=ROOM)
        other = User.objects.create_user("other")
        asks = [partial(services.submit, "Hello", owner=one) for one in (user, other)]
        allowed = all_at_once(*[partial(is_allowed, ask) for ask in asks * (CALLERS // 2)])
        assert sum(allowed) == 2 * ROOM
        assert Generation.objects.filter(owner=other).count() == ROOM

    def test_of_one_gives_every_caller_of_one_key_the_same(self, settings: Any, user: User) -> None:
        limit(settings, in_flight=1)
        submit = partial(services.submit, "Hello", owner=user, idempotency_key="a")
        rows = all_at_once(*[submit] * CALLERS)
        assert {row.pk for row in rows} == {Generation.objects.get().pk}

    def test_counts_each_refresh_once(self, settings: Any, user: User) -> None:
        limit(settings, refreshes_per_minute=ROOM)
        refresh = partial(count_refresh, user.pk, now=timezone.now())
        allowed = all_at_once(*[partial(is_allowed, refresh)] * CALLERS)
        assert sum(allowed) == ROOM

    @pytest.mark.parametrize(
        ("name", "room"),
        [("uploads_per_day", ROOM), ("upload_bytes_per_day", ROOM * (len(PNG) + 1))],
    )
    def test_of_uploads_lets_as_many_in_as_there_is_room_for(
        self, settings: Any, user: User, tmp_path: Path, name: str, room: int
    ) -> None:
        settings.MEDIA_ROOT = tmp_path
        limit(settings, **{name: room})

        def upload(number: int) -> Any:
            return services.store_media(picture_of(number), owner=user)

        uploads = [partial(is_allowed, partial(upload, number)) for number in range(CALLERS)]
        assert sum(all_at_once(*uploads)) == ROOM
        assert Media.objects.count() == ROOM
        assert Allowance.objects.get().uploads == ROOM

    def test_of_uploads_counts_the_same_content_once(
        self, settings: Any, user: User, tmp_path: Path
    ) -> None:
        settings.MEDIA_ROOT = tmp_path
        upload = partial(services.store_media, PNG, owner=user)
        kept = all_at_once(*[upload] * CALLERS)
        assert len({media.pk for media in kept}) == 1
        counted = Allowance.objects.values_list("uploads", "upload_bytes").get()
        assert counted == (1, len(PNG))

    def test_of_uploads_inside_requests_is_kept_too(
        self, settings: Any, user: User, tmp_path: Path
    ) -> None:
        settings.MEDIA_ROOT = tmp_path
        limit(settings, uploads_per_day=ROOM, in_flight=None, streams=None, sync=None)

        def ask(number: int) -> Any:
            part = {"type": "image", "data": base64.b64encode(picture_of(number)).decode()}
            message = {"role": "user", "content": [{**part, "mime_type": "image/png"}]}
            return services.submit([message], owner=user)

        asks = [partial(is_allowed, partial(ask, number)) for number in range(CALLERS)]
        assert sum(all_at_once(*asks)) == ROOM
        assert Generation.objects.count() == ROOM


class TestBudget:
    def test_lets_as_many_in_as_there_is_room_for(self) -> None:
        Budget.objects.create(name="Team", unit="generations", limit=ROOM)
        submit = partial(services.submit, "Hello")
        allowed = all_at_once(*[partial(is_allowed, submit)] * CALLERS)
        assert (sum(allowed), Generation.objects.count()) == (ROOM, ROOM)
        period = BudgetPeriod.objects.get()
        assert (period.reserved, BudgetHold.objects.count()) == (ROOM, ROOM)

    def test_lets_exactly_fifty_of_two_hundred_in(self) -> None:
        budget = Budget.objects.create(name="Team", unit="generations", limit=SEATS)
        submit = partial(services.submit, "Hello")

        def ask() -> int:
            return sum(is_allowed(submit) for _ in range(EACH))

        allowed = all_at_once(*[ask] * CROWD)
        assert (sum(allowed), Generation.objects.count()) == (SEATS, SEATS)
        [state] = services.budget_states([budget])
        assert (state.reserved, state.left, BudgetHold.objects.count()) == (SEATS, 0, SEATS)


class TestDeletionOfABudget:
    @pytest.mark.parametrize("is_hard", [True, False], ids=["hard", "soft"])
    def test_fails_neither_for_staff_nor_for_requests(self, is_hard: bool) -> None:
        for number in range(ROUNDS):
            budget = Budget.objects.create(
                name=f"Team {number}", unit="generations", limit=1000, is_hard=is_hard
            )
            services.submit("Hello")  # makes the period
            over = threading.Event()

            def ask(over: threading.Event = over) -> None:
                while not over.is_set():
                    services.submit("Hello")

            def delete(budget: Budget = budget, over: threading.Event = over) -> None:
                time.sleep(0.1)
                try:
                    budget.delete()
                finally:
                    over.set()

            all_at_once(delete, *[ask] * BUSY)
        assert not BudgetPeriod.objects.exists()
        assert not BudgetHold.objects.exists()

    def test_leaves_no_period_that_is_made_in_that_moment(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        budget = Budget.objects.create(name="Team", unit="generations", limit=1)

        def use_and_delete(asked: list[Budget], **_: Any) -> dict[Budget, Decimal]:
            used = dict.fromkeys(asked, Decimal())
            budget.delete()
            return used

        monkeypatch.setattr(budgets, "used_before", use_and_delete)
        assert services.submit("Hello").status == "queued"
        assert not BudgetPeriod.objects.exists()


class Killed(BaseException):
    """The process ends here."""


def killed_at(number: int, act: Any) -> bool:
    """Do this, and die before the statement of this number; return whether it came so far."""
    left = [number]

    def wrapper(execute: Any, *arguments: Any) -> Any:
        left[0] -= 1
        if left[0] == 0:
            raise Killed
        return execute(*arguments)

    try:
        with databases.connection().execute_wrapper(wrapper):
            act()
    except Killed:
        return True
    return False


def check_sums(budget: Budget) -> None:
    """Check that each open row has its hold, and that the sums are those of the holds."""
    held = dict.fromkeys(("settled", "reserved", "unknown"), 0)
    for hold in BudgetHold.objects.select_related("generation"):
        held[hold.counts_as] += int(hold.amount)
        assert (hold.counts_as == "reserved") == (not hold.generation.is_final)
    [state] = services.budget_states([budget])
    assert {name: getattr(state, name) for name in held} == held
    assert Generation.objects.count() == BudgetHold.objects.count()


class TestKill:
    @pytest.fixture
    def budget(self) -> Budget:
        return Budget.objects.create(name="Team", unit="generations", limit=1000)

    def test_of_a_submit_leaves_no_hold_alone_and_no_row_without_one(self, budget: Budget) -> None:
        services.submit("Hello")  # makes the period
        number = 1
        while killed_at(number, partial(services.submit, "Hello")):
            check_sums(budget)
            number += 1
        check_sums(budget)
        assert number > 5

    @pytest.mark.parametrize("cost", [Decimal(1), None], ids=["known", "unknown"])
    def test_of_a_settlement_frees_nothing_early(
        self, budget: Budget, cost: Decimal | None
    ) -> None:
        row = services.submit("Hello")
        now = timezone.now()
        lifecycle.mark_submitting(row, now=now, lease_seconds=1)
        outcome = Outcome(credits_used=cost)
        finish = partial(lifecycle.mark_done, row.pk, cause=Cause.POLL, now=now, outcome=outcome)
        number = 1
        while killed_at(number, finish):
            check_sums(budget)
            number += 1
        check_sums(budget)
        row.refresh_from_db()
        assert (row.status, number > 5) == ("done", True)
