"""What a process does until it is killed, or does whole: named, so that another can ask for it."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.db.models import F
from django.utils import timezone

from creatify_textgen import gateway, services
from creatify_textgen.hub import get_hub
from creatify_textgen.models import Generation
from creatify_textgen.services.callbacks import make_token
from creatify_textgen.signals import generation_finished
from creatify_textgen.states import TERMINAL, Status

__all__ = ["JOURNEYS", "PROMPT", "note_finished_in", "past_due"]

PROMPT = "Say hello to the sea."
LONGEST_SUBMIT_SECONDS = 5.5
"""Celery by itself tries for six seconds, or for ever."""


def note_finished_in(path: str) -> None:
    """Have each `generation_finished` add a line to this file, which outlives the process."""

    def note(generation: Generation, **_: Any) -> None:
        line = f"{generation.pk}\n".encode()
        file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(file, line)
        os.close(file)

    # A child of a worker inherits its parent's.
    generation_finished.connect(note, weak=False, dispatch_uid="note_finished")


A_WHILE = timedelta(minutes=10)


def past_due() -> None:
    """Let the time come at which each row is looked at, and each lease has run out."""
    now = timezone.now()
    waiting = Generation.objects.exclude(next_check_at=None)
    waiting.update(next_check_at=now)
    sent = waiting.exclude(status__in=TERMINAL).exclude(submitted_at=None)
    sent.exclude(lease_until=None).update(lease_until=now)
    sent.update(updated_at=F("updated_at") - A_WHILE)


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


def wait_for_it() -> None:
    services.generate(PROMPT, timeout=20)


def listen() -> None:
    for _ in services.stream(PROMPT):
        pass


def take_delivery() -> None:
    """Have a webhook delivered, and see to what it told."""
    generation = _submit_and_send()
    remote = gateway.client_for(generation.account).get(str(generation.remote_id))
    told = {
        "id": remote.id,
        "status": remote.status,
        "response_text": remote.response_text,
        "credits_used": float(remote.credits_used or 0),
    }
    services.receive_delivery(
        generation.pk, token=make_token(generation.pk), body=json.dumps(told).encode()
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


def _submit_and_send() -> Generation:
    generation = services.submit(PROMPT)
    services.send_generation(generation.pk)
    generation.refresh_from_db()
    return generation


JOURNEYS: dict[str, Callable[[], None]] = {
    journey.__name__: journey
    for journey in (
        work_through,
        lose_the_message,
        lose_the_answer,
        wait_for_it,
        listen,
        take_delivery,
        reconcile_it,
        reconcile_all,
        sweep_once,
        lose_the_broker,
        pump,
    )
}
