"""Kill a process at each point of a streamed run, and the next at each point at which it takes the
run over: no function is called twice, no stream is begun twice, and every run ends."""

from __future__ import annotations

import signal
from collections import Counter
from typing import Any

import pytest

from creatify_textgen.chat import Run, Step
from creatify_textgen.emulator import Emulator
from tests.faults.kills.journeys import let_a_minute_pass, let_ten_minutes_pass
from tests.faults.kills.points import KillPoint
from tests.faults.kills.table import (
    CLAIMS,
    HEADERS_SENT,
    LIFECYCLE,
    PUBLISH,
    PUMP,
    ROLLUP_LOCKED,
    SENT,
    after,
    before,
)
from tests.faults.kills.test_runs import (
    CALL,
    CLAIM,
    CLIENT,
    LOOP,
    NOTED,
    Case,
    assert_paid_once,
    called,
    sweep_until_the_end,
)
from tests.faults.kills.workers import Workers
from tests.faults.processes import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

STEPS = "creatify_textgen.chat.steps"
LEASE = f"{LIFECYCLE}:mark_submitting"
NEVER_SENT: dict[str, Any] = {"booked": 0, "read": 0, "state": "failed"}
"""A lease without an answer: a reader waits, so a stream is never sent again."""
NOT_ANSWERED: dict[str, Any] = {"state": "failed"}

NOT_SAVED = {
    "before the run is saved": Case(before("creatify_textgen.chat.running:begin_step"), 0, 0),
    "saving the run": Case(before("creatify_textgen.chat.runs:Step.save"), 0, 0),
}
FIRST = {
    "run saved": Case(after("creatify_textgen.chat.running:begin_step")),
    "before the lease": Case(before(LEASE)),
    "lease taken": Case(after(LEASE), **NEVER_SENT),
    "before the send": Case(before(f"{CLIENT}.stream"), **NEVER_SENT),
    "headers sent": Case(HEADERS_SENT, **NEVER_SENT),
    "request sent": Case(SENT),
    "first chunk, not saved": Case(before(f"{LIFECYCLE}:mark_running")),
    "first chunk, not published": Case(before(PUBLISH)),
    "last chunk, not saved": Case(before(f"{PUMP}:judge")),
    "writing the rollup": Case(ROLLUP_LOCKED),
    "end saved, readers not informed": Case(after(f"{PUMP}:_Pump._write_end")),
    "stream ended": Case(after(f"{LOOP}:finish_step")),
}
CALLS = {
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
}
SECOND = {
    "before the next step": Case(before(f"{LOOP}:begin_step")),
    "saving the next step": Case(after(f"{CLAIM}._renew", nth=3)),
    "next step saved": Case(after(f"{LOOP}:begin_step")),
    "before the second lease": Case(before(LEASE, nth=2)),
    "second lease taken": Case(after(LEASE, nth=2), **NOT_ANSWERED),
    "before the second send": Case(before(f"{CLIENT}.stream", nth=2), **NOT_ANSWERED),
    "second request sent": Case(KillPoint(target=SENT.target, when=SENT.when, nth=2)),
    "second stream, first chunk not saved": Case(before(f"{LIFECYCLE}:mark_running", nth=2)),
    "second stream, under way": Case(before(PUBLISH, nth=8)),
    "second stream, saving a checkpoint": Case(before(f"{CLAIMS}:columns")),
    "second stream, last chunk": Case(before(f"{PUMP}:judge", nth=2)),
    "second end saved": Case(after(f"{PUMP}:_Pump._write_end", nth=2)),
    "second stream ended": Case(after(f"{LOOP}:finish_step", nth=2)),
    "before the end": Case(before(f"{CLAIM}._finish")),
    "ended": Case(after(f"{CLAIM}._finish")),
}
CASES = {**NOT_SAVED, **FIRST, **CALLS, **SECOND}
SAVED = {
    "first": after("creatify_textgen.chat.running:begin_step"),
    "second": after(f"{LOOP}:begin_step"),
}
TAKE_OVERS = {
    "run is due": before("creatify_textgen.chat.open_runs:go_on"),
    "readers wait": after(f"{LOOP}:hold_step"),
    "run claimed": after("creatify_textgen.chat.open_runs:claim_run"),
    "before the lease": before(LEASE),
    "request sent": SENT,
    "stream under way": before(PUBLISH, nth=2),
    "stream ended": after(f"{LOOP}:finish_step"),
}


@pytest.fixture(autouse=True)
def two_calls(remote: Emulator) -> None:
    """Have the model ask for two functions, then write for more than a second."""
    remote.switches.set(function_call_count=2, chunk_count=16, chunk_interval=0.08)


class TestKill:
    @pytest.mark.parametrize("case", CASES.values(), ids=CASES)
    def test_calls_nothing_twice_and_ends(
        self, case: Case, workers: Workers, remote: Emulator, run_tally: Counter[str]
    ) -> None:
        die("stream_tools", workers, remote, case.point)
        is_uncertain = case.state == "failed"
        pass_time = let_ten_minutes_pass if is_uncertain else let_a_minute_pass
        sweeps = sweep_until_the_end(workers, pass_time=pass_time)
        count(run_tally, workers, remote, sweeps=sweeps)
        assert Counter(called(workers)) == Counter(book_seat=case.booked, read_plan=case.read)
        is_saved = case not in NOT_SAVED.values()
        assert [run.state for run in Run.objects.all()] == ([case.state] if is_saved else [])

    @pytest.mark.parametrize("point", TAKE_OVERS.values(), ids=TAKE_OVERS)
    @pytest.mark.parametrize("saved", SAVED.values(), ids=SAVED)
    def test_of_the_next_process_leaves_the_run_to_a_third(
        self,
        saved: KillPoint,
        point: KillPoint,
        workers: Workers,
        remote: Emulator,
        run_tally: Counter[str],
    ) -> None:
        die("stream_tools", workers, remote, saved)
        let_runs_wait()
        die("sweep_all", workers, remote, point)
        sweeps = sweep_until_the_end(workers, pass_time=let_a_minute_pass)
        count(run_tally, workers, remote, sweeps=sweeps)
        assert [(run.state, run.error_code) for run in Run.objects.all()] == [("done", "")]
        assert Counter(called(workers)) == Counter(book_seat=1, read_plan=1)
        assert len(remote.generations) == Step.objects.count() == 2


def die(journey: str, workers: Workers, remote: Emulator, point: KillPoint) -> None:
    code = workers.run(journey, kill=point)
    assert code == -signal.SIGKILL, workers.words
    # What the remote has accepted goes on without the process that asked for it.
    wait_until(lambda: all(each.is_final for each in remote.generations))


def let_runs_wait() -> None:
    let_a_minute_pass()
    for run in Run.objects.all():
        Run.objects.filter(pk=run.pk).update(due_at=run.created_at)


def count(tally: Counter[str], workers: Workers, remote: Emulator, *, sweeps: int) -> None:
    tally["points"] += 1
    tally["functions called twice"] += called(workers)["book_seat"] > 1
    tally["second creates"] += max(len(remote.generations) - Step.objects.count(), 0)
    tally["runs ended"] += Run.objects.exclude(finished_at=None).count()
    tally[f"after {sweeps} sweeps"] += 1
    assert_paid_once(remote)
