"""A pump that may not send any more sends nothing, and its reader receives an error."""

from __future__ import annotations

import json
import threading
import uuid
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from django.db import DataError, InterfaceError, OperationalError, connection, connections
from django.utils import timezone

from creatify_textgen import enqueue, lifecycle, services
from creatify_textgen.clock import TimeLimit
from creatify_textgen.dispatch import circuit
from creatify_textgen.dispatch.sending import Send
from creatify_textgen.emulator import Emulator
from creatify_textgen.lifecycle import Outcome
from creatify_textgen.models import Generation
from creatify_textgen.states import Cause, Status
from creatify_textgen.streams import pickup, pump
from creatify_textgen.streams.hub import get_hub
from tests.factories import make_generation
from tests.integration.remote.server import Connection, Script, serving

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def queued(remote: Emulator, monkeypatch: pytest.MonkeyPatch) -> Generation:
    monkeypatch.setattr(enqueue, "stream", lambda generation_id: None)
    return services.begin_stream("Hello")


@pytest.fixture
def slow_pump(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the time in which a send may begin be over once it is prepared."""

    def prepare_late(*arguments: Any, **options: Any) -> Send | None:
        send = prepare_send(*arguments, **options)
        return send and replace(send, begin_within=TimeLimit(-1))

    prepare_send = pickup.prepare_send
    monkeypatch.setattr(pickup, "prepare_send", prepare_late)


def reported(generation_id: uuid.UUID) -> list[dict[str, Any]]:
    frames = get_hub().read(str(generation_id), after=0, seconds=0)
    return [json.loads(frame.data) for frame in frames]


@pytest.mark.usefixtures("slow_pump")
class TestHeldUp:
    def test_sends_nothing_and_tells_its_reader(self, queued: Generation, remote: Emulator) -> None:
        services.pump_stream(queued.pk)
        queued.refresh_from_db()
        assert (queued.status, queued.credits_used) == (Status.CANCELLED, 0)
        assert remote.counters["creates"] == 0
        error, end = reported(queued.pk)
        assert (error["code"], end["status"]) == ("not_taken_up", "cancelled")

    def test_leaves_alone_what_was_sent_by_another(
        self, queued: Generation, remote: Emulator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        begin = pump._Pump._open

        def overtaken(held_up: pump._Pump) -> Any:
            Generation.objects.filter(pk=queued.pk).update(attempts=2)
            return begin(held_up)

        monkeypatch.setattr(pump._Pump, "_open", overtaken)
        services.pump_stream(queued.pk)
        queued.refresh_from_db()
        assert queued.status == Status.SUBMITTING
        assert reported(queued.pk) == []


class TestConnection:
    def test_of_its_thread_is_not_used(self, queued: Generation) -> None:
        """It would be held as long as the stream lasts: a pool of four ends with four streams."""
        held = []

        def pump_it() -> None:
            services.pump_stream(queued.pk)
            held.append(connection.connection)

        thread = threading.Thread(target=pump_it)
        thread.start()
        thread.join()
        queued.refresh_from_db()
        assert (queued.status, held) == (Status.DONE, [None])


class TestFrames:
    def test_reach_a_reader_while_the_remote_is_silent(self, settings: Any) -> None:
        received = threading.Event()

        def script(connection: Connection) -> None:
            connection.start_stream()
            connection.send('data: {"candidates":[{"content":{"parts":[{"text":"one "}]}}]}\n\n')
            if received.wait(10):
                connection.send('data: {"creatify":{"id":"r-1","credits_used":0.5}}\n\n')

        with serving(script) as server:
            account = {"API_ID": "i", "API_KEY": "k", "BASE_URL": server.url}
            settings.CREATIFY_TEXTGEN = {"ACCOUNTS": {"default": account}}
            with services.stream("Hello") as session:
                assert next(session).text == "one "
                received.set()
                list(session)

        assert session.generation.status == Status.DONE


def pump_script(
    script: Script,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
    *,
    messages: Any = "Hello",
) -> Generation:
    """Stream what a server of raw sockets sends, and return the row."""
    monkeypatch.setattr(enqueue, "stream", lambda generation_id: None)
    with serving(script) as server:
        account = {"API_ID": "i", "API_KEY": "k", "BASE_URL": server.url}
        settings.CREATIFY_TEXTGEN = {"ACCOUNTS": {"default": account}}
        generation = services.begin_stream(messages)
        services.pump_stream(generation.pk)
    return Generation.objects.select_related("content").get(pk=generation.pk)


def nested(levels: int, inside: str) -> str:
    return '{"a":' * levels + inside + "}" * levels


def end_with(last: str, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Generation:
    """Pump a stream that says "one " and then this chunk, and return its row."""

    def script(connection: Connection) -> None:
        connection.start_stream()
        connection.send('data: {"candidates":[{"content":{"parts":[{"text":"one "}]}}]}\n\n')
        connection.send(f"data: {last}\n\n")

    return pump_script(script, settings, monkeypatch)


class TestReceipt:
    """Whatever went wrong before it, what was paid is on the row."""

    FIRST = 'data: {"candidates":[{"content":{"parts":[{"text":"one "}]}}]}\n\n'
    LAST = 'data: {"creatify":{"id":"r-1","credits_used":0.5}}\n\n'

    @pytest.mark.parametrize(
        ("event", "status", "told_code", "error_code"),
        [
            ("data: not JSON\n\n", "running", "unreadable_answer", ""),
            (
                'data: {"error":{"code":503,"status":"UNAVAILABLE"}}\n\n',
                "failed",
                "remote_unavailable",
                "remote_unavailable",
            ),
            ("event: error\ndata: exploded\n\n", "failed", "remote_failed", "remote_failed"),
        ],
        ids=["unreadable", "error", "plain error"],
    )
    def test_is_read_behind_what_went_wrong(
        self,
        settings: Any,
        monkeypatch: pytest.MonkeyPatch,
        event: str,
        status: str,
        told_code: str,
        error_code: str,
    ) -> None:
        def script(connection: Connection) -> None:
            connection.start_stream()
            for piece in (self.FIRST, event, self.FIRST, self.LAST):
                connection.send(piece)

        row = pump_script(script, settings, monkeypatch)

        assert (row.status, row.error_code, row.partial) == (status, error_code, True)
        assert (row.remote_id, row.credits_used) == ("r-1", Decimal("0.5"))
        assert row.content.response_text == "one "
        assert told_code in [frame.get("code") for frame in reported(row.pk)]

    def test_that_another_row_has_leaves_the_text_to_be_looked_up(
        self, settings: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def script(connection: Connection) -> None:
            make_generation(status="done", remote_id="r-1", credits_used="0.5")
            connections.close_all()
            connection.start_stream()
            connection.send(self.FIRST + "data: not JSON\n\n" + self.LAST)

        row = pump_script(script, settings, monkeypatch)

        assert (row.status, row.remote_id, row.credits_used) == ("running", None, None)
        assert row.content.response_text == "one "
        assert reported(row.pk)[-1]["status"] == "running"

    def test_is_taken_without_its_blank_line_before_a_cut(
        self, settings: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def script(connection: Connection) -> None:
            connection.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            for piece in (self.FIRST, self.LAST.rstrip()):
                connection.send(f"{len(piece):x}\r\n{piece}\r\n")

        row = pump_script(script, settings, monkeypatch)

        assert (row.status, row.remote_id, row.credits_used) == ("done", "r-1", Decimal("0.5"))
        assert not row.partial


class TestEnd:
    @pytest.mark.parametrize("levels", [24, 25, 40])
    def test_keeps_text_calls_and_cost_however_deep_a_call_is(
        self, levels: int, settings: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        args = nested(levels, "1")
        call = '{"functionCall":{"name":"f","args":ARGS}}'.replace("ARGS", args)
        parts = f'{call},{{"functionCall":{{"name":"g"}}}}'
        last = '{"candidates":[{"content":{"parts":[PARTS]},"finishReason":"STOP"}],'
        receipt = '"creatify":{"id":"r-1","credits_used":0.5}}'
        row = end_with(last.replace("PARTS", parts) + receipt, settings, monkeypatch)
        assert (row.status, row.partial, row.remote_id) == ("done", False, "r-1")
        assert row.content.response_text == "one "
        # What is deeper than every database takes is its own JSON text.
        written = nested(levels - 24, "1").replace(":", ": ")
        kept = json.loads(nested(24, json.dumps(written) if levels > 24 else "1"))
        assert row.content.response_function_calls == [
            {"name": "f", "args": kept},
            {"name": "g", "args": {}},
        ]

    @pytest.mark.parametrize("cost", ["1e10", "99999999999", "9999999999.99999999999"])
    def test_knows_no_cost_that_no_column_holds(
        self, cost: str, settings: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        receipt = '{"creatify":{"id":"r-1","credits_used":COST}}'.replace("COST", cost)
        row = end_with(receipt, settings, monkeypatch)
        assert (row.status, row.remote_id, row.credits_used) == ("done", "r-1", None)
        assert row.content.response_text == "one "


class TestSweep:
    def test_that_gave_the_stream_up_costs_neither_receipt_nor_text(
        self, queued: Generation, remote: Emulator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def mark_late(generation_id: uuid.UUID, **options: Any) -> bool:
            outcome = Outcome(error_code="stream_interrupted", failed_reason="Given up.")
            now = timezone.now()
            lifecycle.mark_failed(generation_id, cause=Cause.SWEEP, now=now, outcome=outcome)
            return mark_done(generation_id, **options)

        mark_done = pump.lifecycle.mark_done
        monkeypatch.setattr(pump.lifecycle, "mark_done", mark_late)
        services.pump_stream(queued.pk)
        row = Generation.objects.select_related("content").get()
        [generation] = remote.generations
        assert (row.status, row.error_code, row.partial) == ("failed", "stream_interrupted", False)
        assert (row.remote_id, row.content.failed_reason) == (generation.id, "Given up.")
        assert row.content.response_text == generation.response_text
        assert float(row.credits_used or 0) == generation.credits_used
        assert row.finish_reason == "STOP"

    def test_that_found_it_in_the_list_costs_neither_counts_nor_thoughts(
        self, queued: Generation, remote: Emulator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def mark_late(generation_id: uuid.UUID, *, outcome: Outcome, **options: Any) -> bool:
            found = Outcome(
                remote_id=outcome.remote_id,
                credits_used=outcome.credits_used,
                response_text=outcome.response_text,
            )
            mark_done(generation_id, cause=Cause.SWEEP, now=timezone.now(), outcome=found)
            return mark_done(generation_id, outcome=outcome, **options)

        remote.switches.set(stream_content="thoughts")
        mark_done = pump.lifecycle.mark_done
        monkeypatch.setattr(pump.lifecycle, "mark_done", mark_late)
        services.pump_stream(queued.pk)
        row = Generation.objects.select_related("content").get()
        [generation] = remote.generations
        assert (row.status, row.remote_id) == ("done", generation.id)
        assert (row.finish_reason, row.model_version) == ("STOP", "gemini-3-flash-preview")
        assert row.content.response_text == generation.response_text
        assert row.content.response_thoughts
        assert row.content.usage["total_token_count"]
        assert row.events.filter(cause="stream", detail=pump.CAME_LATE).count() == 1

    def test_finds_no_fault_in_a_living_pump(self, remote: Emulator) -> None:
        """Even if the remote lists no stream before its end and an operator keeps asking."""
        remote.switches.set(stream_listed="at_end", chunk_count=6, chunk_interval=0.05)
        with services.stream("Tell me of the sea.") as session:
            for _ in session:
                assert services.refresh(session.generation).status in ("submitting", "running")
        assert remote.counters["lists"] == 0
        assert session.generation.status == "done"


class TestLease:
    def test_covers_the_wait_for_the_first_word(self, queued: Generation, settings: Any) -> None:
        """A model may think for as long as a stream may be silent."""
        timeouts = {"connect": 1, "read": 1, "stream_idle": 50}
        settings.CREATIFY_TEXTGEN = {
            **settings.CREATIFY_TEXTGEN,
            "TIMEOUTS": timeouts,
            "SUBMIT_LEASE": 9,
        }
        now = timezone.now()

        assert pickup.claim_stream(queued.pk) is not None

        queued.refresh_from_db()
        assert queued.lease_until is not None
        assert (queued.lease_until - now).total_seconds() >= 60


class TestRemoteIdTaken:
    def test_leaves_the_cost_where_it_counts_already(
        self, queued: Generation, remote: Emulator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """By a row that found an equal request in the list."""

        def mark_late(generation_id: uuid.UUID, *, outcome: Outcome, **options: Any) -> bool:
            if outcome.remote_id:
                make_generation(status="done", remote_id=outcome.remote_id, credits_used="0.5")
            return mark_done(generation_id, outcome=outcome, **options)

        mark_done = pump.lifecycle.mark_done
        monkeypatch.setattr(pump.lifecycle, "mark_done", mark_late)
        services.pump_stream(queued.pk)
        row = Generation.objects.select_related("content").get(pk=queued.pk)
        assert (row.status, row.remote_id, row.credits_used) == ("done", None, None)
        assert row.content.response_text == remote.generations[0].response_text


class TestRefusal:
    def test_that_names_a_generation_is_not_sent_again_as_text(
        self, settings: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        requests = []

        def script(connection: Connection) -> None:
            requests.append(connection)
            reason = "Function call is missing a thought_signature"
            failed = {"id": "r-1", "status": "failed", "failed_reason": reason}
            connection.answer(400, json.dumps({"error": reason, "generation": failed}))

        hello = {"role": "user", "content": "Hello"}
        call = {"role": "model", "function_call": {"name": "f", "args": {}}}
        result = {"role": "user", "function_response": {"name": "f", "response": {"a": 1}}}

        row = pump_script(script, settings, monkeypatch, messages=[hello, call, result])

        assert (row.status, row.unverified_remote_id) == (Status.UNCONFIRMED, "r-1")
        assert len(requests) == 1

    def test_is_written_once_the_database_is_back(
        self, queued: Generation, remote: Emulator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        failures = [OperationalError("gone")]

        def fail_late(*arguments: Any, **options: Any) -> None:
            if failures:
                raise failures.pop()
            settle_refusal(*arguments, **options)

        settle_refusal = pump.settle_refusal
        monkeypatch.setattr(pump, "settle_refusal", fail_late)
        monkeypatch.setattr(pump, "END_PAUSES", (0,))
        remote.switches.set(error_at_create="402")
        services.pump_stream(queued.pk)
        queued.refresh_from_db()
        assert (queued.status, queued.error_code) == (Status.FAILED, "insufficient_credits")
        assert [frame.get("code") for frame in reported(queued.pk)] == [
            "insufficient_credits",
            None,
        ]

    def test_gives_the_remotes_own_words(self, queued: Generation, remote: Emulator) -> None:
        remote.switches.set(error_at_create="400")
        services.pump_stream(queued.pk)
        row = Generation.objects.select_related("content").get(pk=queued.pk)
        assert row.error_code == "invalid_request"
        assert "Creatify says: Invalid request body" in row.content.failed_reason
        assert reported(queued.pk)[0]["message"] == row.content.failed_reason

    def test_says_how_long_the_remote_asks_to_wait(
        self, queued: Generation, remote: Emulator
    ) -> None:
        remote.switches.set(error_at_create="429", retry_after_seconds=33)
        services.pump_stream(queued.pk)
        queued.refresh_from_db()
        assert (queued.status, queued.error_code) == (Status.FAILED, "rate_limited")
        assert reported(queued.pk)[0]["retry_after"] == 33

    def test_says_how_long_the_remote_is_left_alone(
        self, queued: Generation, remote: Emulator
    ) -> None:
        circuit.report_failure("default", now=timezone.now(), times=8)
        services.pump_stream(queued.pk)
        queued.refresh_from_db()
        assert queued.status == Status.CANCELLED
        failure = reported(queued.pk)[0]
        assert failure["code"] == "remote_unavailable"
        assert 30 < failure["retry_after"] <= 40
        assert remote.counters["creates"] == 0

    def test_closes_the_circuit(self, queued: Generation, remote: Emulator) -> None:
        """Who refuses is there."""
        circuit.report_failure("default", now=timezone.now(), times=4)
        remote.switches.set(error_at_create="400")
        services.pump_stream(queued.pk)
        circuit.report_failure("default", now=timezone.now())
        assert circuit.open_until("default") is None

    def test_of_a_vault_sends_nothing_and_tells_so(
        self, queued: Generation, remote: Emulator, settings: Any
    ) -> None:
        def ask_vault() -> str:
            raise ConnectionError("the vault is unreachable")

        account = {**settings.CREATIFY_TEXTGEN["ACCOUNTS"]["default"], "API_KEY": ask_vault}
        settings.CREATIFY_TEXTGEN = {"ACCOUNTS": {"default": account}}
        services.pump_stream(queued.pk)
        queued.refresh_from_db()
        assert (queued.status, queued.credits_used) == (Status.CANCELLED, 0)
        assert reported(queued.pk)[0]["code"] == "not_configured"
        assert remote.counters["creates"] == 0


def fail_before_the_end(failures: list[Exception], monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the writing of an end raise these first; nobody waits in between."""

    def mark_late(*arguments: Any, **options: Any) -> bool:
        if failures:
            raise failures.pop()
        return mark_done(*arguments, **options)

    mark_done = pump.lifecycle.mark_done
    monkeypatch.setattr(pump.lifecycle, "mark_done", mark_late)
    monkeypatch.setattr(pump, "END_PAUSES", (0, 0))


class TestDatabase:
    def test_that_is_away_at_the_end_is_waited_for(
        self, queued: Generation, remote: Emulator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        failures: list[Exception] = [OperationalError("gone"), InterfaceError("closed")]
        fail_before_the_end(failures, monkeypatch)
        services.pump_stream(queued.pk)
        queued.refresh_from_db()
        assert (queued.status, failures) == (Status.DONE, [])
        assert queued.credits_used is not None
        assert reported(queued.pk)[-1]["status"] == "done"
        assert remote.counters["creates"] == 1

    def test_that_comes_back_late_is_told_everything(
        self, queued: Generation, remote: Emulator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        failures: list[Exception] = [OperationalError("gone")] * 3
        fail_before_the_end(failures, monkeypatch)
        services.pump_stream(queued.pk)
        row = Generation.objects.select_related("content").get()
        assert (row.status, row.partial) == (Status.DONE, False)
        assert row.content.response_text == remote.generations[0].response_text

    def test_that_refuses_the_answer_is_told_the_cost(
        self,
        queued: Generation,
        remote: Emulator,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        def mark_short(generation_id: uuid.UUID, *, outcome: Outcome, **options: Any) -> bool:
            if outcome.response_text:
                raise DataError(f"Failing row contains ({outcome.response_text})")
            return mark_done(generation_id, outcome=outcome, **options)

        mark_done = pump.lifecycle.mark_done
        monkeypatch.setattr(pump.lifecycle, "mark_done", mark_short)
        services.pump_stream(queued.pk)
        queued.refresh_from_db()
        assert (queued.status, queued.partial) == (Status.DONE, True)
        assert queued.remote_id == remote.generations[0].id
        assert queued.credits_used is not None
        assert f"{queued.pk} (DataError)" in caplog.text
        assert "Failing row" not in caplog.text
