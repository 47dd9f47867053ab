"""The state machine again, with a remote that lies and nodes whose clocks differ.

The remote is the emulator behind the real client, in virtual time. Hypothesis chooses which
lies it tells, which node works, and what another node does while a create is on its way.
"""

from __future__ import annotations

import os
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.conf import settings as django_settings
from django.utils import timezone
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, rule, run_state_machine_as_test

from creatify_textgen import clock, enqueue, gateway, services
from creatify_textgen.dispatch import sweep_schedule
from creatify_textgen.exceptions import RemoteError, WebhookError
from creatify_textgen.models import Circuit, Generation, SweepSchedule, UsageDay
from creatify_textgen.remote import transport
from creatify_textgen.signals import generation_finished
from creatify_textgen.states import TERMINAL, Mode, Status
from creatify_textgen.streams import database
from tests.factories import NOW
from tests.faults.lying_remote import LyingRemote
from tests.faults.test_machine import PARTS, PICK, GenerationMachine, of_part

SEQUENCES = settings(max_examples=int(os.environ.get("LYING_SEQUENCES", "6")) // PARTS)
CLOCK_OFFSETS = (0, 60, 180, -180, -660)
"""Seconds that a node's clock is ahead of the true time."""
LIES: tuple[dict[str, Any], ...] = (
    # When it knows what it accepted, and what it answers meanwhile.
    {"error_at_create": "500"},
    {"error_after_accept": "500"},
    {"error_after_accept": "499"},
    {"error_at_create": "200"},
    {"error_after_accept": "200"},
    {"error_after_accept": "504", "answer_delay": 2, "store_delay": 40},
    {"error_after_accept": "500", "store_delay": 400},
    {"answer_delay": 25},
    {"store_delay": 40},
    {"upload_rate": 20},
    # Its clock.
    {"clock_offset": 170},
    {"clock_offset": -170},
    {"clock_offset": 3600},
    # What writes `Date` and what dates generations are two machines.
    {"date_offset": 170},
    {"date_offset": 3600},
    {"date_offset": -3600},
    {"date_offset": 720, "clock_offset": -720},
    {"date_header": "none"},
    {"date_header": "unreadable"},
    # Its list.
    {"list_lag": 4},
    {"list_lag": 90},
    {"list_limit": 1, "list_keep": "newest"},
    {"list_limit": 1, "list_keep": "oldest"},
    {"list_limit": 2, "list_keep": "oldest", "list_order": "shuffled"},
    {"list_order": "oldest"},
    {"list_order": "shuffled"},
    {"list_damage": "strange_items"},
    {"list_damage": "unreadable_newest"},
    {"list_damage": "truncated"},
    {"list_style": "results", "list_page_size": 1},
    {"list_style": "results", "list_page_size": 1, "list_next": "none"},
    {"list_style": "results", "list_page_size": 1, "list_next": "endless"},
    {"error_at_list": "404", "error_body": "detail"},
    {"error_at_list": "200"},
    # What it repeats of a request.
    {"echo_changes": "config_defaults"},
    {"echo_changes": "text_normalized"},
    {"echo_changes": "model_renamed"},
    {"echo_changes": "keys_reordered"},
    {"echo_changes": "system_instruction_missing"},
    {"echo_changes": "messages_empty"},
    {"echo_changes": "messages_missing"},
    # Whose is what.
    {"equal_creates": "joined"},
    {"workspace": "another"},
    {"webhook": "another"},
    {"webhook": "wrong_id"},
    {"webhook": "duplicate"},
    {"webhook": "out_of_order"},
    {"webhook": "none"},
)
KEEP_LYING = st.sampled_from(LIES)


class LyingMachine(GenerationMachine):
    """What must hold even if the remote's answers do not say what it did."""

    remote: LyingRemote
    offset = 0
    # Named by the invariants below, or not possible with this remote.
    never_pays_twice = None
    prune = None
    remote_dates_its_answers_by_another_clock = None

    @classmethod
    def node_time(cls) -> datetime:
        """Return the time by the clock of the node that works now."""
        return cls.remote.now() + timedelta(seconds=cls.offset)

    @initialize(resend=st.sampled_from(["if_absent", "never"]), confirm=st.booleans())
    def begin(self, resend: str, confirm: bool) -> None:
        for model in (Generation, UsageDay, Circuit, SweepSchedule):
            model.objects.all().delete()
        django_settings.CREATIFY_TEXTGEN = {
            **django_settings.CREATIFY_TEXTGEN,
            "RESEND_UNCONFIRMED": resend,
            "CONFIRM_WEBHOOKS": confirm,
        }
        gateway._client.cache_clear()
        type(self).remote = LyingRemote(start=NOW)
        type(self).offset = 0
        sweep_schedule._LastRequest.until = None
        self.asked: Counter[str] = Counter()
        self.accepted: dict[uuid.UUID, str] = {}
        self.finals: dict[uuid.UUID, str] = {}
        self.finished: Counter[uuid.UUID] = Counter()
        self.pruned = 0
        generation_finished.connect(self._count_finished)

    def teardown(self) -> None:
        try:
            super().teardown()
        finally:
            self.leave()

    def leave(self) -> None:
        """Give up what a sequence holds. May be called twice."""
        if hasattr(self, "asked"):
            generation_finished.disconnect(self._count_finished)
            self.remote.close()

    # What else may happen.

    @rule(lie=KEEP_LYING)
    def remote_lies_from_now_on(self, lie: dict[str, Any]) -> None:
        self.remote.switches.set(**lie)

    @rule(lie=KEEP_LYING, times=st.integers(1, 3))
    def remote_lies_for_a_while(self, lie: dict[str, Any], times: int) -> None:
        self.remote.switches.set(times=times, **lie)

    @rule()
    def remote_tells_the_truth(self) -> None:
        self.remote.switches.reset()

    @rule(offset=st.sampled_from(CLOCK_OFFSETS))
    def another_node_goes_on(self, offset: int) -> None:
        type(self).offset = offset

    @rule(offset=st.sampled_from(CLOCK_OFFSETS))
    def another_node_sweeps_during_the_next_create(self, offset: int) -> None:
        def sweep() -> None:
            before, type(self).offset = self.offset, offset
            services.sweep()
            type(self).offset = before

        self.remote.meanwhile = sweep

    @rule(seconds=st.sampled_from([1, 20, 60, 130, 660, 7200, 90_000]))
    def let_time_pass(self, seconds: int) -> None:
        self.remote.pass_time(seconds)

    @rule(seconds=st.sampled_from([5, 20, 60, 660]), sweeps=st.integers(2, 6))
    def sweep_for_a_while(self, seconds: int, sweeps: int) -> None:
        for _ in range(sweeps):
            self.remote.pass_time(seconds)
            services.sweep()

    @rule(pick=PICK, is_lost=st.booleans(), times=st.integers(1, 2))
    def webhook_arrives(self, pick: int, is_lost: bool, times: int) -> None:
        outbox = self.remote.outbox
        if outbox:
            url, body = outbox.pop(pick % len(outbox))
            *_, row, token = urlsplit(url).path.strip("/").split("/")
            for _ in range(0 if is_lost else times):
                with suppress(WebhookError):  # It names another generation: refused, once for all.
                    services.receive_delivery(uuid.UUID(row), token=token, body=body)

    @rule(fix=st.booleans())
    def reconcile(self, fix: bool) -> None:
        if not self.remote.is_down:
            with suppress(RemoteError):  # The list could not be read: that is an answer, too.
                services.reconcile(fix=fix)

    # What must hold.

    @invariant()
    def a_create_is_accepted_once_or_after_a_proof(self) -> None:
        if not hasattr(self, "asked"):
            return
        for row, accepted in self.remote.accepted.items():
            assert len(accepted) <= 2, f"{row} was accepted {len(accepted)} times"
            if len(accepted) == 2:
                first, second = accepted
                assert self.remote.proved_absent(first, until=second.at), (
                    f"{row} was sent again though {first} was not proved absent"
                )

    @invariant()
    def no_row_has_the_answer_of_another_request(self) -> None:
        if not hasattr(self, "asked"):
            return
        known = self.remote.generations
        rows = Generation.objects.exclude(remote_id=None).select_related("content")
        for row in rows:
            if row.mode != Mode.IMPORTED:  # That is as the remote repeats it.
                assert self.remote.prompt_of(row.remote_id) == row.content.messages[0]["content"]
            # A strange item of the list is imported, too, if it has an id.
            if row.status == Status.DONE and row.remote_id in known:
                assert row.content.response_text == known[row.remote_id].response_text

    def _come_to_rest(self) -> None:
        """With a truthful remote and enough time, every cost is known or marked as unknown."""
        self.remote.switches.reset()
        self.remote.is_down = False
        self.remote.faults.clear()
        self.remote.meanwhile = None
        type(self).offset = 0
        self._let_a_year_pass()
        services.reconcile(fix=True)
        self._let_a_year_pass()  # What was imported may still be running.
        self._check_rest()

    def _let_a_month_pass(self) -> None:
        self.remote.pass_time(timedelta(days=31).total_seconds())

    def _check_rest(self) -> None:
        self.a_create_is_accepted_once_or_after_a_proof()
        self.no_row_has_the_answer_of_another_request()
        open_rows = Generation.objects.exclude(status__in=[*TERMINAL, Status.EXPIRED])
        assert not open_rows, [(row, list(row.events.all())) for row in open_rows]
        rows = {row.remote_id: row for row in Generation.objects.exclude(remote_id=None)}
        without_row: Counter[str] = Counter()
        for remote_id, cost in self._charged():
            if remote_id in rows:
                known = rows[remote_id]
                assert known.credits_used == cost, f"{known} has another cost than {cost}"
            else:
                without_row[self.remote.prompt_of(remote_id)] += 1
        # Of two equal requests, one may have got the result of the other.
        rows_without_cost = Generation.objects.filter(credits_used=None, remote_id=None)
        unknown = Counter(
            row.content.messages[0]["content"]
            for row in rows_without_cost.select_related("content")
        )
        assert without_row <= unknown, "a cost is on no row, and no row says so"

    def _charged(self) -> Iterator[tuple[str, Decimal]]:
        """Yield what the workspace of our keys was charged: what another one was, no list shows."""
        for accepted in self.remote.accepted.values():
            for each in accepted:
                generation = self.remote.generations[each.remote_id]
                cost = Decimal(str(generation.credits_used))
                if cost and generation.workspace != "another":
                    yield each.remote_id, cost

    def _send(self, send: Any, generation: Generation, fault: str) -> None:
        self.remote.row = generation.pk
        super()._send(send, generation, fault)

    def _with_row(self, pick: int, act: Any) -> None:
        row = self._row(pick)
        self.remote.row = row.pk if row is not None else None
        super()._with_row(pick, act)


@pytest.fixture
def lying_world(monkeypatch: pytest.MonkeyPatch, settings: Any) -> Iterator[None]:
    """Put the machine's remote and the time of its nodes in place of the real ones."""
    account = {"API_ID": "a", "API_KEY": "b", "BASE_URL": "https://remote.example"}
    settings.CREATIFY_TEXTGEN = {
        "ACCOUNTS": {"default": account},
        "WEBHOOK_BASE_URL": "https://app.example",
    }
    machine = LyingMachine
    monkeypatch.setattr(transport, "new_session", lambda *given: machine.remote.session(*given))
    monkeypatch.setattr(enqueue, "stream", lambda generation_id: None)  # rules choose when
    monkeypatch.setattr(database, "_is_elsewhere", lambda: False)  # no thread beside the steps
    monkeypatch.setattr(timezone, "now", machine.node_time)
    monkeypatch.setattr(clock, "utc_now", lambda: machine.remote.now())  # the database's
    monkeypatch.setattr(clock, "known_now", clock.now)
    yield
    gateway._client.cache_clear()


@pytest.mark.machine
@pytest.mark.hypothesis
@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("lying_world")
@pytest.mark.parametrize("part", range(PARTS))
def test_lying_machine(part: int) -> None:
    run_state_machine_as_test(of_part(LyingMachine, part), settings=SEQUENCES)


@pytest.fixture
def machine(lying_world: None) -> Iterator[LyingMachine]:
    lying = LyingMachine()
    lying.begin(resend="if_absent", confirm=True)
    yield lying
    lying.leave()


def spelled(lie: dict[str, Any]) -> str:
    return ",".join(f"{name}={value}" for name, value in lie.items())


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
class TestOneLie:
    """Each lie alone: an answer is lost, and the sweep goes on for half an hour."""

    @pytest.mark.parametrize("lie", LIES, ids=spelled)
    def test_neither_pays_twice_nor_loses_a_charge(
        self, machine: LyingMachine, lie: dict[str, Any]
    ) -> None:
        machine.submit_and_send("beta", "none")
        machine.sweep_for_a_while(seconds=60, sweeps=2)
        machine.remote_lies_from_now_on(lie)
        machine.submit_and_send("alpha", "lost_after")
        for _ in range(30):
            machine.sweep_for_a_while(seconds=30, sweeps=2)
            machine.a_create_is_accepted_once_or_after_a_proof()
            machine.no_row_has_the_answer_of_another_request()
        machine.teardown()

    @pytest.mark.parametrize("offset", CLOCK_OFFSETS)
    def test_of_a_node_about_the_time_neither(self, machine: LyingMachine, offset: int) -> None:
        machine.submit_and_send("beta", "none")
        machine.remote_lies_for_a_while({"answer_delay": 20}, times=1)
        machine.another_node_sweeps_during_the_next_create(offset)
        machine.submit_and_send("alpha", "lost_after")
        for _ in range(30):
            machine.another_node_goes_on(offset)
            machine.sweep_for_a_while(seconds=30, sweeps=1)
            machine.another_node_goes_on(0)
            machine.sweep_for_a_while(seconds=30, sweeps=1)
            machine.a_create_is_accepted_once_or_after_a_proof()
        machine.teardown()
