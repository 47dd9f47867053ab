"""The invariants of a generation under any order of events, faults and jumps of the clock.

Hypothesis chooses what happens; after each step, and once everything has come to rest, the
invariants must hold. `make properties` runs it for longer, and `make machine` for hours.
"""

from __future__ import annotations

import json
import os
import uuid
from collections import Counter
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from django.db.models import Sum
from django.utils import timezone
from hypothesis import seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from creatify_textgen import clock, enqueue, gateway, services
from creatify_textgen.dispatch import sweep_schedule
from creatify_textgen.dispatch.callbacks import make_token
from creatify_textgen.exceptions import RemoteError, TransitionError, WebhookError
from creatify_textgen.models import Circuit, Generation, GenerationEvent, SweepSchedule, UsageDay
from creatify_textgen.remote import RemoteGeneration
from creatify_textgen.signals import generation_finished
from creatify_textgen.states import TERMINAL, TRANSITIONS, Mode, Status
from creatify_textgen.streams import database
from tests.factories import NOW
from tests.faults.remote_double import FAULTS, STREAM_FAULTS, KilledError, RemoteDouble

PARTS = 2
"""Each part tries its share of the sequences, so that two processes can."""
SEQUENCES = settings(max_examples=int(os.environ.get("MACHINE_SEQUENCES", "20")) // PARTS)
CHARGED_UNKNOWN = {
    "status": Status.EXPIRED,
    "error_code": "may_have_been_charged",
    "remote_id": None,
    "credits_used": None,
}
"""A row whose send had no answer, and nothing testified to the lists that lack it."""
PROMPTS = ("alpha", "beta")
PICK = st.integers(min_value=0, max_value=10_000)


def of_part(machine: Any, part: int) -> Any:
    """Return the machine, with other sequences for each part if every run tries the same ones."""
    return seed(part)(machine) if settings().derandomize else machine


class GenerationMachine(RuleBasedStateMachine):
    """Everything that may happen to generations, and what must hold all the while."""

    clock = NOW
    remote = RemoteDouble()

    @initialize()
    def begin(self) -> None:
        for model in (Generation, UsageDay, Circuit, SweepSchedule):
            model.objects.all().delete()
        type(self).clock = NOW
        type(self).remote = RemoteDouble()
        sweep_schedule._LastRequest.until = None
        self.asked: Counter[str] = Counter()
        self.accepted: dict[uuid.UUID, str] = {}
        """What the remote made of a row's own request, as far as a rule has reported it."""
        self.finals: dict[uuid.UUID, str] = {}
        self.finished: Counter[uuid.UUID] = Counter()
        self.pruned = 0
        generation_finished.connect(self._count_finished)

    def teardown(self) -> None:
        if hasattr(self, "asked"):
            self._come_to_rest()
            generation_finished.disconnect(self._count_finished)

    # What people and processes do.

    @rule(prompt=st.sampled_from(PROMPTS), fault=st.sampled_from(FAULTS))
    def submit_and_send(self, prompt: str, fault: str) -> None:
        generation = services.submit(prompt)
        self.asked[prompt] += 1
        self._send(services.send_generation, generation, fault)

    @rule(prompt=st.sampled_from(PROMPTS))
    def submit_and_lose_the_message(self, prompt: str) -> None:
        services.submit(prompt)
        self.asked[prompt] += 1

    @rule(prompt=st.sampled_from(PROMPTS), fault=st.sampled_from(STREAM_FAULTS))
    def stream(self, prompt: str, fault: str) -> None:
        generation = services.begin_stream(prompt)
        self.asked[prompt] += 1
        self._send(services.pump_stream, generation, fault)

    @rule(prompt=st.sampled_from(PROMPTS))
    def stream_that_no_pump_takes_up(self, prompt: str) -> None:
        services.begin_stream(prompt)
        self.asked[prompt] += 1

    @rule(pick=PICK)
    def pump_again(self, pick: int) -> None:
        self._with_row(pick, lambda row: services.pump_stream(row.pk))

    @rule(pick=PICK)
    def deliver_a_task_again(self, pick: int) -> None:
        self._with_row(pick, lambda row: services.send_generation(row.pk))

    @rule(fault=st.sampled_from([fault for fault in FAULTS if not fault.startswith("killed")]))
    def sweep(self, fault: str) -> None:
        self.remote.faults.append(fault)
        services.sweep()
        self.remote.faults.clear()

    @rule(pick=PICK)
    def cancel(self, pick: int) -> None:
        self._with_row(pick, services.cancel)

    @rule(pick=PICK)
    def refresh(self, pick: int) -> None:
        self._with_row(pick, services.refresh)

    @rule(pick=PICK)
    def retry(self, pick: int) -> None:
        self._with_row(pick, self._retry)

    @rule(fix=st.booleans())
    def reconcile(self, fix: bool) -> None:
        if not self.remote.is_down:
            services.reconcile(fix=fix)

    @rule(seconds=st.sampled_from([0, 170, 720, 3600, -720, -3600]))
    def remote_dates_its_answers_by_another_clock(self, seconds: int) -> None:
        self.remote.date_ahead = timedelta(seconds=seconds)

    @rule(pick=PICK)
    def prune(self, pick: int) -> None:
        row = self._row(pick)
        if row is not None and row.is_final and row.remote_id and not row.due_at:
            self.remote.generations.pop(row.remote_id, None)
            self.asked[row.content.messages[0]["content"]] -= 1
            self.finals.pop(row.pk, None)
            self.pruned += 1
            row.delete()

    @rule(seconds=st.sampled_from([1, 20, 60, 130, 7200, 90_000]))
    def let_time_pass(self, seconds: int) -> None:
        type(self).clock = self.clock + timedelta(seconds=seconds)

    # What the remote does.

    @rule(pick=PICK, status=st.sampled_from(["running", "done", "failed", "thinking"]))
    def remote_moves_on(self, pick: int, status: str) -> None:
        ids = sorted(self.remote.generations)
        if ids:
            self.remote.advance(ids[pick % len(ids)], status)

    @rule(is_down=st.booleans())
    def remote_goes_down_or_comes_up(self, is_down: bool) -> None:
        self.remote.is_down = is_down

    @rule(pick=PICK, times=st.integers(1, 3))
    def webhook_true(self, pick: int, times: int) -> None:
        row = self._row(pick)
        if row is not None and row.remote_id in self.remote.generations:
            for _ in range(times):
                self._deliver(row, row.remote_id, self.remote.generations[row.remote_id].status)

    @rule(pick=PICK)
    def webhook_early(self, pick: int) -> None:
        """The remote knows whose it is, though we never read its answer."""
        row = self._row(pick)
        if row is None or row.remote_id or row.status not in ("submitting", "unconfirmed"):
            return
        remote = self.remote.generations.get(self.accepted.get(row.pk, ""))
        if remote is not None:
            self._deliver(row, remote.id, remote.status)

    @rule(pick=PICK, status=st.sampled_from(["done", "failed", "pending"]))
    def webhook_forged_or_stale(self, pick: int, status: str) -> None:
        row = self._row(pick)
        if row is not None:
            self._deliver(row, str(uuid.uuid4()), status)

    # What must hold.

    @invariant()
    def never_pays_twice(self) -> None:
        for prompt in PROMPTS:
            assert self.remote.creates_of(prompt) <= getattr(self, "asked", Counter())[prompt]

    @invariant()
    def the_rows_hold(self) -> None:
        columns = ("pk", "status", "due_at", "remote_id")
        rows = list(Generation.objects.values_list(*columns))
        final = {pk: status for pk, status, *_ in rows if status in TERMINAL}
        self.no_final_status_changes(final)
        self.every_open_row_will_be_looked_at(rows)
        self.no_remote_generation_has_two_rows([each for *_, each in rows if each is not None])
        self.the_rollup_counts_each_final_row_once(final)

    def no_final_status_changes(self, final: dict[uuid.UUID, str]) -> None:
        finals = getattr(self, "finals", {})
        finals |= {pk: status for pk, status in final.items() if pk not in finals}
        assert finals == final

    @staticmethod
    def every_open_row_will_be_looked_at(rows: list[Any]) -> None:
        assert not [pk for pk, status, due_at, _ in rows if status not in TERMINAL and not due_at]

    @staticmethod
    def no_remote_generation_has_two_rows(ids: list[str]) -> None:
        assert len(ids) == len(set(ids))

    def the_rollup_counts_each_final_row_once(self, final: dict[uuid.UUID, str]) -> None:
        counted = UsageDay.objects.aggregate(total=Sum("generations"))["total"] or 0
        assert counted == len(final) + getattr(self, "pruned", 0)

    @invariant()
    def finished_is_told_at_most_once(self) -> None:
        assert all(count == 1 for count in getattr(self, "finished", {}).values())

    @invariant()
    def the_timeline_follows_the_table(self) -> None:
        paths: dict[uuid.UUID, Status] = {}
        rows = GenerationEvent.objects.order_by("generation_id", "id")
        columns = ("generation_id", "generation__mode", "status", "detail")
        for pk, mode, status, detail in rows.values_list(*columns):
            if mode == Mode.IMPORTED and pk not in paths:  # It was never queued here.
                paths[pk] = Status(status)
                continue
            before = paths.get(pk, Status.QUEUED)
            # An id or a cost that became known on a final row is an entry, and no move.
            is_note = status == before and before in TERMINAL and detail
            assert is_note or status in TRANSITIONS[before], (before, status)
            paths[pk] = Status(status)

    def _come_to_rest(self) -> None:
        """With a remote that is well and time enough, everything ends."""
        self.remote.is_down = False
        self.remote.faults.clear()
        self._let_a_year_pass()
        left = Generation.objects.exclude(status__in=TERMINAL).exclude(**CHARGED_UNKNOWN)
        assert not left, [(row, list(row.events.all())) for row in left]
        assert all(self.finished[pk] == 1 for pk in self.finals)
        for row in Generation.objects.filter(status=Status.DONE):
            remote = self.remote.generations[row.remote_id]
            assert (row.credits_used, row.content.response_text) == (
                remote.credits_used,
                remote.response_text,
            )
        # Of two equal streams, one may have got the result of the other, which then says that its
        # cost is unknown. Reconciliation brings the result that is left over.
        lost = Counter(self._prompt_of(remote) for remote in self._without_row())
        unknown = Generation.objects.filter(credits_used=None, remote_id=None)
        rows = unknown.select_related("content")
        assert lost <= Counter(row.content.messages[0]["content"] for row in rows)
        services.reconcile(fix=True)
        assert not self._without_row(), "a result that was paid for was lost"

    def _let_a_year_pass(self) -> None:
        """Sweep each month until all has ended, and once more, which must change nothing."""
        for _ in range(12):
            is_at_rest = not Generation.objects.exclude(status__in=TERMINAL).exists()
            self._let_a_month_pass()
            services.sweep()
            if is_at_rest:
                return

    def _let_a_month_pass(self) -> None:
        for remote_id in list(self.remote.generations):
            self.remote.advance(remote_id, "done")
        type(self).clock = self.clock + timedelta(days=31)

    def _without_row(self) -> list[RemoteGeneration]:
        kept = set(Generation.objects.values_list("remote_id", flat=True))
        return [each for each in self.remote.generations.values() if each.id not in kept]

    @staticmethod
    def _prompt_of(remote: RemoteGeneration) -> str:
        assert remote.messages is not None
        return str(remote.messages[0]["content"])

    def _count_finished(self, generation: Generation, **_: Any) -> None:
        self.finished[generation.pk] += 1

    def _send(self, send: Any, generation: Generation, fault: str) -> None:
        before = set(self.remote.generations)
        self.remote.faults.append(fault)
        with suppress(KilledError):
            send(generation.pk)
        self.remote.faults.clear()
        for remote_id in set(self.remote.generations) - before:
            self.accepted[generation.pk] = remote_id

    def _row(self, pick: int) -> Generation | None:
        rows = Generation.objects.select_related("content").order_by("pk")
        count = rows.count()
        return rows[pick % count] if count else None

    def _with_row(self, pick: int, act: Any) -> None:
        row = self._row(pick)
        if row is None:
            return
        # A refusal is an answer; what matters is what it left behind.
        with suppress(TransitionError, RemoteError):
            act(row)

    def _retry(self, row: Generation) -> None:
        if not row.can_retry:
            return
        services.retry(row)
        self.asked[row.content.messages[0]["content"]] += 1

    def _deliver(self, row: Generation, remote_id: str, status: str) -> None:
        body = json.dumps({"id": remote_id, "status": status}).encode()
        # A refusal is an answer; what matters is what it left behind.
        with suppress(WebhookError):
            services.receive_delivery(row.pk, token=make_token(row.pk), body=body)


@pytest.mark.machine
@pytest.mark.hypothesis
@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("part", range(PARTS))
def test_machine(monkeypatch: pytest.MonkeyPatch, part: int) -> None:
    monkeypatch.setattr(gateway, "client_for", lambda account: GenerationMachine.remote)
    monkeypatch.setattr(enqueue, "stream", lambda generation_id: None)  # rules choose when
    monkeypatch.setattr(database, "_is_elsewhere", lambda: False)  # no thread beside the steps
    monkeypatch.setattr(clock, "utc_now", lambda: GenerationMachine.clock)
    monkeypatch.setattr(clock, "known_now", clock.now)
    monkeypatch.setattr(timezone, "now", lambda: GenerationMachine.clock)
    run_state_machine_as_test(of_part(GenerationMachine, part), settings=SEQUENCES)
