"""Kill a process at each point of its work, start another, and nothing is lost or paid twice."""

from __future__ import annotations

import signal
from collections import Counter
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db.models import Sum
from django.utils import timezone

from creatify_textgen import lifecycle
from creatify_textgen.emulator import Emulator
from creatify_textgen.models import Generation, UsageDay
from creatify_textgen.states import TERMINAL, TRANSITIONS, Status
from tests.faults.kills.journeys import past_due
from tests.faults.kills.points import KillPoint
from tests.faults.kills.table import CASES, CORRECTIONS, Case
from tests.faults.kills.workers import Workers
from tests.faults.processes import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

SWEEPS = 2
CREDIT_PLACES = 10
LONGEST_WAIT = timedelta(seconds=150)
"""A lease of a send that may take `TIMEOUTS["sync"]`, the longest of all, and some grace."""


class TestKill:
    @pytest.mark.parametrize("case", CASES.values(), ids=CASES)
    def test_loses_nothing_and_pays_once(
        self,
        case: Case,
        workers: Workers,
        remote: Emulator,
        settings: Any,
        tally: Counter[str],
    ) -> None:
        settings.CREATIFY_TEXTGEN = {**settings.CREATIFY_TEXTGEN, **case.settings}
        prepare(remote, case)

        code = workers.run(case.journey, kill=case.point)
        assert code == -signal.SIGKILL, workers.words
        wait_until(lambda: has_come_to_rest(remote, accepted=case.accepted))
        died_at = timezone.now()
        row = Generation.objects.get()
        assert row.is_final or row.next_check_at <= died_at + LONGEST_WAIT

        sweeps = sweep_until_rest(workers)

        row = Generation.objects.select_related("content").get()
        count(tally, row, remote, sweeps=sweeps)
        assert row.status == case.status, list(row.events.all())
        assert_paid_once(row, remote)
        assert_told_right(row)
        assert workers.finished_ids() == [str(row.pk)] * case.signals

    @pytest.mark.parametrize("point", CORRECTIONS.values(), ids=CORRECTIONS)
    def test_corrects_credits_whole_or_not_at_all(
        self, point: KillPoint, workers: Workers, remote: Emulator, tally: Counter[str]
    ) -> None:
        assert workers.run("work_through") == 0, workers.words
        lifecycle.correct_credits(Generation.objects.get(), Decimal("0.5"))

        code = workers.run("reconcile_all", kill=point)
        assert code == -signal.SIGKILL, workers.words
        assert_rollup_agrees(Generation.objects.get())
        assert workers.run("reconcile_all") == 0, workers.words

        row = Generation.objects.select_related("content").get()
        count(tally, row, remote, sweeps=sweep_until_rest(workers))
        assert_paid_once(row, remote)
        assert_told_right(row)
        assert workers.finished_ids() == [str(row.pk)]


def prepare(remote: Emulator, case: Case) -> None:
    if case.journey == "listen":
        # Long enough for a checkpoint, which is written every second.
        remote.switches.set(chunk_count=16, chunk_interval=0.08)
    if case.switches:
        remote.switches.set(times=1, **case.switches)


def has_come_to_rest(remote: Emulator, *, accepted: bool) -> bool:
    """Whether the remote has heard all that was on its way and is done with it."""
    generations = remote.generations
    return len(generations) == accepted and all(each.is_final for each in generations)


def sweep_until_rest(workers: Workers) -> int:
    """Start processes that sweep, each once its time has come, until there is nothing to do."""
    sweeps = 0
    while Generation.objects.exclude(next_check_at=None).exists():
        sweeps += 1
        assert sweeps <= SWEEPS, list(Generation.objects.get().events.all())
        past_due()
        assert workers.run("sweep_once") == 0, workers.words
    return sweeps


def count(tally: Counter[str], row: Generation, remote: Emulator, *, sweeps: int) -> None:
    tally["points"] += 1
    tally["rows final"] += row.is_final
    tally["second creates"] += max(len(remote.generations) - 1, 0)
    tally[f"at rest after {sweeps} sweeps"] += 1


def assert_paid_once(row: Generation, remote: Emulator) -> None:
    """What was charged is on the row, in the rollup, and there once."""
    charged = [generation for generation in remote.generations if generation.credits_used]
    assert len(remote.generations) == len(charged) == (row.status == Status.DONE)
    for generation in charged:
        assert row.remote_id == generation.id
        assert float(row.credits_used) == generation.credits_used
        assert row.content.response_text == generation.response_text
    assert_rollup_agrees(row)


def assert_rollup_agrees(row: Generation) -> None:
    used = UsageDay.objects.aggregate(rows=Sum("generations"), credits=Sum("credits_used"))
    # SQLite keeps and adds decimals as floats, beyond the column's places.
    assert used["rows"] == 1
    assert round(used["credits"], CREDIT_PLACES) == (row.credits_used or 0)


def assert_told_right(row: Generation) -> None:
    """The timeline follows the table, with one end."""
    status = Status.QUEUED
    for event in row.events.order_by("id"):
        assert event.status in TRANSITIONS[status]
        status = Status(event.status)
    assert status in TERMINAL
