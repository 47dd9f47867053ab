"""What a process does until it is killed, or does whole: named, so that another can ask for it."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.contrib.auth import get_user_model
from django.db.models import F
from django.utils import timezone

from creatify_textgen import bulk, chat, clock, gateway, services
from creatify_textgen.dispatch.callbacks import make_token
from creatify_textgen.models import Generation
from creatify_textgen.signals import generation_finished
from creatify_textgen.states import TERMINAL, Status
from creatify_textgen.streams.hub import get_hub

__all__ = [
    "JOURNEYS",
    "PROMPT",
    "let_a_minute_pass",
    "let_ten_minutes_pass",
    "note_finished_in",
    "note_in",
    "past_due",
]

PROMPT = "Say hello to the sea."
WITNESS = "Say hello to the shore."
"""What rows ask that testify to the list."""
CALLED = "FAULTS_CALLED"
"""The variable that names the file in which each call of a tool adds a line."""
LONGEST_SUBMIT_SECONDS = 5.5
"""Celery by itself tries for six seconds, or for ever."""


def note_finished_in(path: str) -> None:
    """Have each `generation_finished` add a line to this file, which outlives the process."""

    def note(generation: Generation, **_: Any) -> None:
        note_in(path, str(generation.pk))

    # A child of a worker inherits its parent's.
    generation_finished.connect(note, weak=False, dispatch_uid="note_finished")
    os.environ[CALLED] = f"{path}.called"


def note_in(path: str, line: str) -> None:
    """Add a line to a file, whoever else does."""
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(file, f"{line}\n".encode())
    os.close(file)


A_MINUTE = timedelta(minutes=1)
A_WHILE = timedelta(minutes=10)


def past_due() -> None:
    """Let the time come at which each row is looked at, and each lease has run out."""
    now = timezone.now()
    waiting = Generation.objects.exclude(due_at=None)
    waiting.update(due_at=now)
    sent = waiting.exclude(status__in=TERMINAL).exclude(submitted_at=None)
    sent.exclude(lease_until=None).update(lease_until=now)
    sent.update(updated_at=F("updated_at") - A_WHILE)


def let_a_minute_pass() -> None:
    """As `past_due` for what was sent; what was not has waited for one minute more."""
    waiting = dict(Generation.objects.filter(status=Status.QUEUED).values_list("pk", "due_at"))
    past_due()
    for key, due_at in waiting.items():
        Generation.objects.filter(pk=key).update(due_at=due_at - A_MINUTE)


def let_ten_minutes_pass() -> None:
    """As `past_due`, and what is lost was sent ten minutes earlier, and looked for as long ago.

    Only for rows that the remote does not have: its own times stay. So do those of witnesses.
    """
    past_due()
    columns = (
        "submitted_at",
        "first_submitted_at",
        "sent_until",
        "absent_since",
        "absent_served_at",
    )
    lost = Generation.objects.filter(remote_id=None).exclude(submitted_at=None)
    lost.update(**{column: F(column) - A_WHILE for column in columns})


def work_through() -> None:
    """Submit, send as a worker, poll as a sweep."""
    _submit_and_send()
    past_due()
    services.sweep()


def lose_the_message() -> None:
    """Submit, and have sweeps do all the rest."""
    services.submit(PROMPT)
    for _ in range(2):
        past_due()
        services.sweep()


def lose_the_answer() -> None:
    """Submit to a remote whose answer is lost, then look for it in the list."""
    _submit_and_send()
    for _ in range(3):
        past_due()
        services.sweep()


def send_a_witness() -> None:
    """Send what the remote accepts, and have it finished."""
    _submit_and_send(WITNESS)
    past_due()
    services.sweep()


def prove_absence() -> None:
    """Submit to a remote that loses it, then another; its list lacks the first, twice."""
    _submit_and_send()
    _submit_and_send(WITNESS)
    for _ in range(4):
        let_ten_minutes_pass()
        services.sweep()


def wait_for_it() -> None:
    services.generate(PROMPT, timeout=20)


def listen() -> None:
    for _ in services.stream(PROMPT):
        pass


def take_delivery() -> None:
    """Have a webhook delivered, and process what it reported."""
    generation = _submit_and_send()
    remote = gateway.client_for(generation.account).get(str(generation.remote_id))
    reported = {
        "id": remote.id,
        "status": remote.status,
        "response_text": remote.response_text,
        "credits_used": float(remote.credits_used or 0),
    }
    services.receive_delivery(
        generation.pk, token=make_token(generation.pk), body=json.dumps(reported).encode()
    )
    past_due()
    services.sweep()


def reconcile_it() -> None:
    """Submit, send, and have the comparison with the remote's list finish it."""
    _submit_and_send()
    services.reconcile(fix=True)


def reconcile_all() -> None:
    services.reconcile(fix=True)


def sweep_once() -> None:
    services.sweep()


def lose_the_broker() -> None:
    """Submit, have the broker die or hang, submit again, without much of a wait."""
    services.submit(PROMPT)
    os.kill(int(os.environ["FAULTS_REDIS_PID"]), int(os.environ["FAULTS_REDIS_SIGNAL"]))
    began = time.monotonic()
    services.submit(PROMPT)
    assert time.monotonic() - began < LONGEST_SUBMIT_SECONDS


def pump() -> None:
    """Pump the stream that waits, to the last frame."""
    services.pump_stream(Generation.objects.get(status=Status.QUEUED).pk)
    get_hub().close()


def _submit_and_send(prompt: str = PROMPT) -> Generation:
    generation = services.submit(prompt)
    services.send_generation(generation.pk)
    generation.refresh_from_db()
    return generation


def book_seat(row: int) -> str:
    """Book a seat, which nobody wants twice."""
    note_in(os.environ[CALLED], "book_seat")
    return f"Booked in row {row}"


@chat.tool(idempotent=True)
def read_plan(row: int) -> str:
    """Read the plan of a row, as often as you like."""
    note_in(os.environ[CALLED], "read_plan")
    return f"Row {row} is free"


def run_tools() -> None:
    """Have a model call both functions at once, then answer."""
    chat.run("Book a seat for me.", tools=[book_seat, read_plan])


def stream_tools() -> None:
    """As `run_tools`, and each step is a stream."""
    chat.run("Book a seat for me.", tools=[book_seat, read_plan], stream=True)


def sweep_all() -> None:
    """Sweep as `textgen_sweep` does."""
    services.sweep()
    chat.sweep_runs(here=True)
    bulk.sweep_jobs(here=True)


def retry_failed() -> None:
    """Start a job that asks everything again that has failed, and work on it."""
    _start_job(Generation.objects.filter(status=Status.FAILED), verb="retry")


def delete_failed() -> None:
    """Start a job that deletes everything that has failed, and work on it."""
    _start_job(Generation.objects.filter(status=Status.FAILED), verb="delete")


def _start_job(rows: Any, *, verb: str) -> None:
    staff = get_user_model().objects.get(username="staff")
    job = bulk.start(rows, verb=verb, by=staff, until=clock.now())
    bulk.go_on(job.pk)


JOURNEYS: dict[str, Callable[[], None]] = {
    journey.__name__: journey
    for journey in (
        work_through,
        lose_the_message,
        lose_the_answer,
        send_a_witness,
        prove_absence,
        wait_for_it,
        listen,
        take_delivery,
        reconcile_it,
        reconcile_all,
        sweep_once,
        lose_the_broker,
        pump,
        run_tools,
        stream_tools,
        sweep_all,
        retry_failed,
        delete_failed,
    )
}
