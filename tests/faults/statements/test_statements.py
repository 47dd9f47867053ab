"""Break the database at each statement of a journey: nothing is lost, and nothing is paid twice.

Each run breaks one statement in 32 of each journey in each way, others in each way; `make
properties` breaks one in eight, and `STATEMENTS_SHARE=1` all of them.
"""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import suppress
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.core.management.commands.flush import Command
from django.db import Error, connection
from django.db.models import Sum
from django.utils import timezone

from creatify_textgen import chat, clock, enqueue, gateway, services
from creatify_textgen.chat import Run, ToolCall
from creatify_textgen.dispatch import sweep_schedule
from creatify_textgen.models import BudgetHold, BudgetPeriod, Generation, UsageDay
from creatify_textgen.signals import generation_finished
from creatify_textgen.states import TERMINAL, TRANSITIONS, Status
from creatify_textgen.streams import database
from creatify_textgen.streams.pump import CAME_LATE
from tests.emptying import empty
from tests.faults.statements.breaking import AWAY, COMMITTED, KINDS, Break
from tests.faults.statements.journeys import A_WHILE, JOURNEYS, Journey, World

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]
if connection.vendor != "sqlite":
    pytestmark.append(pytest.mark.service)

SHARE = int(os.environ.get("STATEMENTS_SHARE", "32"))
A_MINUTE, A_MONTH = timedelta(seconds=61), timedelta(days=31)
UNCERTAIN = ("done", "failed", "cancelled", "expired")
"""How rows may end if the database was away for too long, or committed a lease unseen."""


@pytest.fixture(autouse=True)
def host(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Have all work done in this thread, by a clock that only moves when something waits."""
    monkeypatch.setattr(gateway, "client_for", lambda account: World.here.remote)
    monkeypatch.setattr(enqueue, "stream", lambda generation_id: None)
    monkeypatch.setattr(database, "start", start_here)
    monkeypatch.setattr(clock, "utc_now", lambda: World.here.clock)
    monkeypatch.setattr(clock, "known_now", clock.now)
    monkeypatch.setattr(timezone, "now", lambda: World.here.clock)
    monkeypatch.setattr(time, "sleep", lambda span: World.here.let_pass(timedelta(seconds=span)))

    def count(generation: Generation, **_: Any) -> None:
        World.here.finished[generation.pk] += 1

    generation_finished.connect(count)
    yield
    generation_finished.disconnect(count)
    vars(database._here).clear()


def start_here(work: Callable[[], Any]) -> Future[Any]:
    """As `database.start`: what fails is raised where the result is wanted."""
    done: Future[Any] = Future()
    try:
        done.set_result(database._with_connection(work))
    except Exception as error:  # noqa: BLE001  as a thread of a pool does
        done.set_exception(error)
    return done


@pytest.mark.statements
class TestBroken:
    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("name", JOURNEYS)
    def test_at_any_statement_pays_once_and_ends(self, name: str, kind: str, settings: Any) -> None:
        journey = JOURNEYS[name]
        settings.CREATIFY_TEXTGEN = {**settings.CREATIFY_TEXTGEN, **journey.settings}
        first = 1 + (3 * list(JOURNEYS).index(name) + 5 * KINDS.index(kind)) % SHARE
        wrong: dict[str, list[str]] = {}
        number = first
        while (breaking := make(journey, kind, number)).is_broken:
            come_to_rest()
            if found := [*money_is_wrong(journey), *ends_are_wrong(journey, kind)]:
                wrong[f"{number}: {breaking.sql}"] = found
            number += SHARE
        assert not wrong, json.dumps(wrong, indent=1)


def make(journey: Journey, kind: str, number: int) -> Break:
    """Make a journey in a new world, in which this statement breaks."""
    empty(Command(), database="default")
    World.here = World()
    sweep_schedule._LastRequest.until = sweep_schedule._NextSweep.at = None
    prepared = journey.prepare()
    World.here.remote.faults.clear()
    World.here.remote.faults.append(journey.fault)
    breaking = Break(kind, number)
    with suppress(Error), breaking.during():
        journey.act(prepared)
    World.here.remote.faults.clear()
    return breaking


def come_to_rest() -> None:
    for span in (*[A_MINUTE] * 3, *[A_WHILE] * 3, *[A_MONTH] * 2):
        for remote_id in list(World.here.remote.generations):
            World.here.remote.advance(remote_id, "done")
        World.here.let_pass(span)
        services.sweep()
        chat.sweep_runs(here=True)


def money_is_wrong(journey: Journey) -> Iterator[str]:
    """Say what was paid twice or lost, and what a budget still holds."""
    remote = World.here.remote
    accepted = accepted_requests()
    ids = list(Generation.objects.exclude(remote_id=None).values_list("remote_id", flat=True))
    if accepted and max(accepted.values()) > 1:
        yield "accepted twice"
    if remote.posts and max(remote.posts.values()) > journey.posts:
        yield "sent too often"
    if sorted(ids) != sorted(remote.generations):
        yield "a remote id is on no row"
    if World.here.booked > 1:
        yield "a function was called twice"
    yield from sums_are_wrong()


def sums_are_wrong() -> Iterator[str]:
    final = Generation.objects.final()
    if (UsageDay.objects.aggregate(n=Sum("generations"))["n"] or 0) != final.count():
        yield "the rollup is wrong"
    if BudgetHold.objects.filter(generation__in=final, counts_as="reserved").exists():
        yield "a reservation is left"
    for period in BudgetPeriod.objects.all():
        sums = dict.fromkeys(BudgetHold.Sum.values, Decimal(0))
        for hold in period.holds.all():
            sums[hold.counts_as] += hold.amount
        if sums != {name: round(getattr(period, name), 8) for name in sums}:
            yield "a budget differs from its holds"


def ends_are_wrong(journey: Journey, kind: str) -> Iterator[str]:
    """Say which rows and runs did not end, or not as they should."""
    accepted = accepted_requests()
    may_end = UNCERTAIN if kind in (AWAY, COMMITTED) else journey.ends
    for row in Generation.objects.select_related("content"):
        told = list(row.events.order_by("id").values_list("status", "detail"))
        is_accepted = accepted[json.dumps(row.content.messages)] > 0
        if row.status not in (("done",) if is_accepted else may_end):
            yield f"ended as {row.status}: {told}"
        if World.here.finished[row.pk] != row.is_final:
            yield f"reported {World.here.finished[row.pk]} times"
        if not follows_the_table(told):
            yield f"told wrong: {told}"
    for run in Run.objects.all():
        if run.state not in (["done"] if may_end == ("done",) else ["done", "failed"]):
            yield f"the run is {run.state}"
    if kind not in (AWAY, COMMITTED) and ToolCall.objects.exclude(state="done").exists():
        yield "the result of a function is lost"


def accepted_requests() -> Counter[str]:
    remote = World.here.remote
    return Counter(json.dumps(each.messages) for each in remote.generations.values())


def follows_the_table(told: list[tuple[str, str]]) -> bool:
    status = Status.QUEUED
    for new, detail in told:
        is_note = new == status and status in TERMINAL and detail
        if detail == CAME_LATE or not (is_note or new in TRANSITIONS[status]):
            return False
        status = Status(new)
    return True
