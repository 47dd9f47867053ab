"""Kill a process at each point of its work, start another, and nothing is lost or paid twice."""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db.models import F, Sum
from django.utils import timezone

from creatify_textgen import lifecycle
from creatify_textgen.emulator import Emulator
from creatify_textgen.emulator.api.state import RemoteGeneration
from creatify_textgen.models import Generation, UsageDay
from creatify_textgen.states import TERMINAL, TRANSITIONS, Status
from tests.faults.kills.journeys import PROMPT, let_ten_minutes_pass, past_due
from tests.faults.kills.points import KillPoint
from tests.faults.kills.table import CASES, CORRECTIONS, Case
from tests.faults.kills.workers import Workers
from tests.faults.processes import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

CREDIT_PLACES = 10
A_DAY = timedelta(days=1)
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
        kill_tally: Counter[str],
    ) -> None:
        settings.CREATIFY_TEXTGEN = {**settings.CREATIFY_TEXTGEN, **case.settings}
        prepare(remote, case, workers)

        code = workers.run(case.journey, kill=case.point)
        assert code == -signal.SIGKILL, workers.words
        wait_until(lambda: has_come_to_rest(remote, accepted=case.accepted))
        died_at = timezone.now()
        row = row_of_prompt()
        assert row.is_final or row.due_at <= died_at + LONGEST_WAIT

        # The times of what the remote has are its own.
        pass_time = past_due if case.accepted else let_ten_minutes_pass
        sweeps = sweep_until_rest(workers, at_most=case.sweeps, pass_time=pass_time)

        row = row_of_prompt()
        count(kill_tally, row, remote, sweeps=sweeps)
        assert row.status == case.status, list(row.events.all())
        assert_paid_once(remote)
        assert_told_right(row)
        witnesses = Generation.objects.exclude(pk=row.pk)
        reported = Counter(str(each.pk) for each in witnesses)
        assert Counter(workers.finished_ids()) == reported + Counter({str(row.pk): case.signals})

    @pytest.mark.parametrize("point", CORRECTIONS.values(), ids=CORRECTIONS)
    def test_corrects_credits_whole_or_not_at_all(
        self, point: KillPoint, workers: Workers, remote: Emulator, kill_tally: Counter[str]
    ) -> None:
        assert workers.run("work_through") == 0, workers.words
        lifecycle.correct_credits(Generation.objects.get(), Decimal("0.5"))

        code = workers.run("reconcile_all", kill=point)
        assert code == -signal.SIGKILL, workers.words
        assert_rollup_agrees()
        assert workers.run("reconcile_all") == 0, workers.words

        row = row_of_prompt()
        count(kill_tally, row, remote, sweeps=sweep_until_rest(workers))
        assert_paid_once(remote)
        assert_told_right(row)
        assert workers.finished_ids() == [str(row.pk)]


def prepare(remote: Emulator, case: Case, workers: Workers) -> None:
    if case.journey == "listen":
        # Long enough for a checkpoint, which is written every second.
        remote.switches.set(chunk_count=16, chunk_interval=0.08)
    if case.journey == "prove_absence":
        # A row of yesterday shows how far back the list goes.
        assert workers.run("send_a_witness") == 0, workers.words
        for generation in remote.generations:
            generation.created_at -= A_DAY
        columns = ("created_at", "submitted_at", "first_submitted_at", "sent_until")
        Generation.objects.update(**{column: F(column) - A_DAY for column in columns})
    if case.switches:
        remote.switches.set(times=1, **case.switches)


def row_of_prompt() -> Generation:
    return Generation.objects.select_related("content").get(excerpt=PROMPT)


def created(remote: Emulator) -> list[RemoteGeneration]:
    """Return what the remote accepted for the row, not for its witnesses."""
    return [each for each in remote.generations if each.request["messages"][0]["content"] == PROMPT]


def has_come_to_rest(remote: Emulator, *, accepted: bool) -> bool:
    """Whether the remote has received all that was on its way and is done with it."""
    return len(created(remote)) == accepted and all(each.is_final for each in remote.generations)


def sweep_until_rest(
    workers: Workers, *, at_most: int = 2, pass_time: Callable[[], None] = past_due
) -> int:
    """Start processes that sweep, each once its time has come, until all is final or expired."""
    sweeps = 0
    while Generation.objects.exclude(status=Status.EXPIRED).exclude(due_at=None).exists():
        sweeps += 1
        assert sweeps <= at_most, list(row_of_prompt().events.all())
        pass_time()
        assert workers.run("sweep_once") == 0, workers.words
    # What has expired is looked for all the same, and must stay as it is.
    pass_time()
    assert workers.run("sweep_once") == 0, workers.words
    return sweeps


def count(tally: Counter[str], row: Generation, remote: Emulator, *, sweeps: int) -> None:
    tally["points"] += 1
    tally["rows final"] += row.is_final
    tally["rows expired, may have been charged"] += row.status == Status.EXPIRED
    tally["second creates"] += max(len(created(remote)) - 1, 0)
    tally[f"at rest after {sweeps} sweeps"] += 1


def assert_paid_once(remote: Emulator) -> None:
    """What was charged is on its row, in the rollup, and there once."""
    charged = [generation for generation in remote.generations if generation.credits_used]
    done = Generation.objects.filter(status=Status.DONE).select_related("content")
    rows = {row.remote_id: row for row in done}
    assert len(remote.generations) == len(charged) == len(rows)
    for generation in charged:
        row = rows[generation.id]
        assert float(row.credits_used) == generation.credits_used
        assert row.content.response_text == generation.response_text
    assert_rollup_agrees()


def assert_rollup_agrees() -> None:
    used = UsageDay.objects.aggregate(rows=Sum("generations"), credits=Sum("credits_used"))
    final = Generation.objects.final()
    assert (used["rows"] or 0) == len(final)
    # SQLite keeps and adds decimals as floats, beyond the column's places.
    assert round(used["credits"] or 0, CREDIT_PLACES) == sum(row.credits_used or 0 for row in final)


def assert_told_right(row: Generation) -> None:
    """The timeline follows the table, with one end; what may have been charged is unknown."""
    status = Status.QUEUED
    for event in row.events.order_by("id"):
        assert event.status in TRANSITIONS[status]
        status = Status(event.status)
    if status == Status.EXPIRED:
        assert (row.error_code, row.credits_used) == ("may_have_been_charged", None)
        assert "may have been charged" in row.content.failed_reason
    else:
        assert status in TERMINAL
