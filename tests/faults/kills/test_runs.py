"""Kill a process at each point of a run: no function is called twice, and every run ends."""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from django.utils import timezone

from creatify_textgen.chat import Run, Step
from creatify_textgen.emulator import Emulator
from creatify_textgen.states import Status
from tests.faults.kills.journeys import let_ten_minutes_pass, past_due
from tests.faults.kills.points import KillPoint
from tests.faults.kills.table import SENT, UNCERTAIN, after, before
from tests.faults.kills.workers import Workers

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

LOOP = "creatify_textgen.chat.loop"
CLAIM = f"{LOOP}:Claim"
CALL = "creatify_textgen.chat.toolbox:Tool.call"
NOTED = "tests.faults.kills.journeys:note_in"
"""The first line is of the first generation, then come those of the functions."""
CLIENT = "creatify_textgen.remote.client:RemoteClient"
MOST_SWEEPS = 6


class Case(NamedTuple):
    point: KillPoint
    booked: int = 1
    """How often the function was called that is not idempotent."""
    read: int = 1
    state: str = "done"
    settings: dict[str, Any] = {}


CASES = {
    "before the run is saved": Case(before("creatify_textgen.chat.running:begin_step"), 0, 0),
    "saving the run": Case(before("creatify_textgen.chat.runs:Step.save"), 0, 0),
    "run saved": Case(after("creatify_textgen.chat.running:begin_step")),
    "before the first send": Case(
        before(f"{CLIENT}.create"), 0, 0, "failed", UNCERTAIN["settings"]
    ),
    "first request sent": Case(SENT),
    "first answer received": Case(after(f"{CLIENT}.create")),
    "first answer saved": Case(after(f"{LOOP}:finish_step")),
    "before the calls are saved": Case(before(f"{LOOP}:save_calls")),
    "calls saved": Case(after(f"{LOOP}:save_calls")),
    "before a call is claimed": Case(before(f"{CLAIM}._execute")),
    "call claimed": Case(before(CALL), booked=0),
    "call begun": Case(before(NOTED, nth=2), booked=0),
    "call done": Case(after(NOTED, nth=2)),
    "call returned": Case(after(CALL)),
    "result saved": Case(after(f"{CLAIM}._execute")),
    "idempotent call claimed": Case(before(CALL, nth=2)),
    "idempotent call done": Case(after(NOTED, nth=3), read=2),
    "idempotent result saved": Case(after(f"{CLAIM}._execute", nth=2)),
    "before the next step": Case(before(f"{LOOP}:begin_step")),
    "saving the next step": Case(after(f"{CLAIM}._renew", nth=3)),
    "next step saved": Case(after(f"{LOOP}:begin_step")),
    "before the second send": Case(
        before(f"{CLIENT}.create", nth=2), 1, 1, "failed", UNCERTAIN["settings"]
    ),
    "second request sent": Case(KillPoint(target=SENT.target, when=SENT.when, nth=2)),
    "second answer received": Case(after(f"{CLIENT}.create", nth=2)),
    "second answer saved": Case(after(f"{LOOP}:finish_step", nth=2)),
    "before the end": Case(before(f"{CLAIM}._finish")),
    "ended": Case(after(f"{CLAIM}._finish")),
}


class TestKill:
    @pytest.mark.parametrize("case", CASES.values(), ids=CASES)
    def test_calls_nothing_twice_and_ends(
        self,
        case: Case,
        workers: Workers,
        remote: Emulator,
        settings: Any,
        run_tally: Counter[str],
    ) -> None:
        settings.CREATIFY_TEXTGEN = {**settings.CREATIFY_TEXTGEN, **case.settings}
        remote.switches.set(function_call_count=2)
        code = workers.run("run_tools", kill=case.point)
        assert code == -signal.SIGKILL, workers.words

        is_uncertain = case.state == "failed"
        pass_time = let_ten_minutes_pass if is_uncertain else past_due
        sweeps = sweep_until_the_end(workers, pass_time=pass_time)

        calls = called(workers)
        runs = Run.objects.all()
        run_tally["points"] += 1
        run_tally["functions called twice"] += calls["book_seat"] > 1
        run_tally["second creates"] += max(len(remote.generations) - Step.objects.count(), 0)
        run_tally["runs ended"] += len(runs)
        run_tally[f"after {sweeps} sweeps"] += 1
        assert (calls["book_seat"], calls["read_plan"]) == (case.booked, case.read)
        assert [run.state for run in runs] == ([case.state] if runs_begin(case) else [])
        assert_paid_once(remote)


def runs_begin(case: Case) -> bool:
    return case is not CASES["before the run is saved"] and case is not CASES["saving the run"]


def sweep_until_the_end(workers: Workers, *, pass_time: Callable[[], None]) -> int:
    """Start processes that sweep, each once its time has come, until every run has ended."""
    sweeps = 0
    while Run.objects.filter(finished_at=None).exists():
        sweeps += 1
        assert sweeps <= MOST_SWEEPS, list(Run.objects.values())
        pass_time()
        Run.objects.filter(state="running").update(due_at=timezone.now())
        assert workers.run("sweep_all") == 0, workers.words
    return sweeps


def called(workers: Workers) -> Counter[str]:
    path = workers.finished.with_name(f"{workers.finished.name}.called")
    return Counter(path.read_text().split() if path.exists() else [])


def assert_paid_once(remote: Emulator) -> None:
    """Each step was accepted once at most, and what was charged is on its row."""
    charged = {each.id: each.credits_used for each in remote.generations}
    rows = [step.generation for step in Step.objects.select_related("generation")]
    known = {row.remote_id: row.credits_used for row in rows if row.status == Status.DONE}
    assert {key: float(cost or 0) for key, cost in known.items()} == charged
