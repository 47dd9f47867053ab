"""A stream that somebody stops: its readers leave at once, and its cost is known in the end."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
import requests
from django.contrib.auth.models import User
from django.test import Client

from creatify_textgen import lifecycle, services
from creatify_textgen.clock import now as read_clock
from creatify_textgen.exceptions import TransitionError
from creatify_textgen.models import Generation
from creatify_textgen.states import Status
from creatify_textgen.streams.checkpoints import checkpoint_writer
from tests.event_streams import read_events, text_of
from tests.factories import make_generation
from tests.faults.processes import wait_until
from tests.integration.remote.server import Connection, serving

pytestmark = pytest.mark.django_db(transaction=True)

USAGE = '"usageMetadata":{"totalTokenCount":9}'
LAST = 'data: {"creatify":{"id":"r-1","credits_used":0.5},' + USAGE + "}\n\n"


def said(text: str) -> str:
    chunk = {"candidates": [{"content": {"parts": [{"text": text}]}}]}
    return f"data: {json.dumps(chunk)}\n\n"


@pytest.fixture
def go_on(settings: Any) -> Iterator[threading.Event]:
    """Have a remote that says one word, and two more and its receipt only when this is set."""
    going_on = threading.Event()

    def script(connection: Connection) -> None:
        connection.start_stream()
        connection.send(said("one "))
        going_on.wait(30)
        connection.send(said("two ") + said("three") + LAST)

    with serving(script) as server:
        account = {"API_ID": "i", "API_KEY": "k", "BASE_URL": server.url}
        settings.CREATIFY_TEXTGEN = {"ACCOUNTS": {"default": account}}
        yield going_on
        going_on.set()
        wait_until(lambda: all(row.is_final for row in Generation.objects.all()))


def finished(generation: Generation) -> Generation:
    wait_until(lambda: generation.reloaded().is_final)
    return generation.reloaded()


def test_readers_leave_and_the_cost_comes(go_on: threading.Event) -> None:
    with services.stream("Hello") as session:
        assert next(session).text == "one "
        stopped = services.stop(session.generation)
        assert (stopped.is_final, stopped.stopped_at is None) == (False, False)
        generation = session.until_done()
    assert (session.text, session.error_code, generation.is_final) == ("one ", "", False)

    go_on.set()
    row = finished(generation)
    assert (row.status, row.partial, row.error_code) == (Status.DONE, True, "stopped")
    assert (row.credits_used, row.remote_id) == (Decimal("0.5"), "r-1")
    assert (row.content.response_text, row.content.usage) == ("one ", {"total_token_count": 9})
    assert [event.detail for event in row.events.all()].count("stopped") == 1


def test_a_pump_in_another_process_learns_it_from_the_row(go_on: threading.Event) -> None:
    with services.stream("Hello") as session:
        next(session)
        lifecycle.note_stop(session.generation.pk, now=read_clock())
        checkpoint_writer().stop_asked()  # as it does once a second
        assert session.until_done().stopped_at is not None
        assert session.text == "one "
    go_on.set()


def test_who_attaches_later_is_told_the_end(go_on: threading.Event) -> None:
    with services.stream("Hello") as session:
        next(session)
        services.stop(session.generation)
        session.until_done()
    while_it_drains = services.attach(session.generation)
    assert [chunk.text for chunk in while_it_drains] == ["one "]
    go_on.set()
    finished(session.generation)
    afterwards = services.attach(session.generation)
    assert afterwards.until_done().credits_used == Decimal("0.5")
    assert afterwards.text == "one "


def test_again_changes_nothing(go_on: threading.Event) -> None:
    with services.stream("Hello") as session:
        next(session)
        first = services.stop(session.generation)
        assert services.stop(session.generation).stopped_at == first.stopped_at
    go_on.set()
    row = finished(session.generation)
    assert services.stop(row) == row


def test_by_http(site: str, go_on: threading.Event, session_cookie: dict[str, str]) -> None:
    user = User.objects.get()
    generation = services.begin_stream("Hello", owner=user)
    path = f"/textgen/generations/{generation.pk}"
    signed_in = Client()
    signed_in.force_login(user)
    with requests.get(
        f"{site}{path}/stream/", cookies=session_cookie, stream=True, timeout=30
    ) as opened:
        events = read_events(opened)
        assert text_of([next(events)]) == "one "
        stopped = signed_in.post(f"{path}/stop/").json()
        # A frame may be out before the row is running.
        assert stopped["status"] in ("submitting", "running")
        end = next(events)
        assert (end.name, end.id, end.data["error_code"]) == ("end", "end", "stopped")
        assert list(events) == []
    go_on.set()


@pytest.mark.parametrize("status", [Status.PENDING, Status.RUNNING, Status.UNCONFIRMED])
def test_what_is_no_stream_cannot_be_stopped(status: Status) -> None:
    with pytest.raises(TransitionError, match="cannot be stopped") as refused:
        services.stop(make_generation(status=status))
    assert refused.value.code == "not_stoppable"


def test_what_was_not_sent_is_cancelled() -> None:
    stopped = services.stop(make_generation())
    assert (stopped.status, stopped.credits_used) == (Status.CANCELLED, 0)
