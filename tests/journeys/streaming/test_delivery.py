"""Frames on their way: out at once, with heartbeats between them, and left without a trace."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from django.contrib.auth.models import User

from creatify_textgen import services
from creatify_textgen.models import Generation
from creatify_textgen.streams.follow import follow, follow_async
from creatify_textgen.streams.hub import get_hub
from tests.event_streams import read_events
from tests.faults.processes import wait_until
from tests.integration.remote.server import Connection, serving

pytestmark = pytest.mark.django_db(transaction=True)

FIRST = 'data: {"candidates":[{"content":{"parts":[{"text":"one "}]}}]}\n\n'
LAST = 'data: {"creatify":{"id":"r-1","credits_used":0.5}}\n\n'


@pytest.fixture
def go_on(settings: Any) -> Iterator[threading.Event]:
    """Have a remote that says its first word, and the last one only when this is set."""
    going_on = threading.Event()

    def script(connection: Connection) -> None:
        connection.start_stream()
        connection.send(FIRST)
        going_on.wait(30)
        connection.send(LAST)

    with serving(script) as server:
        account = {"API_ID": "i", "API_KEY": "k", "BASE_URL": server.url}
        settings.CREATIFY_TEXTGEN = {"ACCOUNTS": {"default": account}}
        yield going_on
        going_on.set()
        wait_until(lambda: all(row.is_final for row in Generation.objects.all()))


@pytest.fixture
def opened(
    site: str, go_on: threading.Event, session_cookie: dict[str, str]
) -> Iterator[requests.Response]:
    """Attach to a stream of that remote by HTTP, under WSGI and under ASGI."""
    generation = services.begin_stream("Hello", owner=User.objects.get())
    url = f"{site}/textgen/generations/{generation.pk}/stream/"
    with requests.get(url, cookies=session_cookie, stream=True, timeout=30) as response:
        yield response


def test_a_frame_goes_out_before_there_is_another(
    opened: requests.Response, go_on: threading.Event
) -> None:
    events = read_events(opened)
    assert next(events).data["candidates"][0]["content"]["parts"] == [{"text": "one "}]
    assert not go_on.is_set()
    go_on.set()
    assert [event.name for event in events] == ["message", "end"]


@pytest.fixture
def quick_heartbeats(monkeypatch: pytest.MonkeyPatch) -> None:
    for function in (follow, follow_async):
        monkeypatch.setitem(function.__kwdefaults__, "heartbeat_seconds", 0.1)


@pytest.mark.usefixtures("quick_heartbeats")
def test_silence_is_told_from_a_dead_line_by_heartbeats(
    opened: requests.Response, go_on: threading.Event
) -> None:
    lines = opened.iter_lines(chunk_size=1)
    beats = 0
    while beats < 3:
        beats += next(lines) == b": heartbeat"
    assert not go_on.is_set()
    go_on.set()


def test_the_row_has_the_text_before_the_end(go_on: threading.Event) -> None:
    """What a killed worker leaves behind is a second old."""
    generation = services.begin_stream("Hello")

    def row() -> Generation:
        return Generation.objects.select_related("content").get(pk=generation.pk)

    wait_until(lambda: row().content.response_text == "one ")
    found = row()
    assert (found.status, found.partial) == ("running", True)
    go_on.set()


class TestLeaving:
    def test_a_session_closes_what_it_reads_from(self, go_on: threading.Event) -> None:
        with services.stream("Hello") as session:
            next(session)
        assert list(session) == []
        go_on.set()

    def test_a_coroutine_leaves_nobody_waiting(self, go_on: threading.Event) -> None:
        async def leave() -> tuple[int, list[Any]]:
            async with await services.astream("Hello") as session:
                await anext(session)
            return _waiting(session.generation), [chunk async for chunk in session]

        assert asyncio.run(leave()) == (0, [])
        go_on.set()

    def test_a_cancelled_task_leaves_nobody_waiting(self, go_on: threading.Event) -> None:
        async def leave() -> int:
            session = await services.astream("Hello")
            received = asyncio.Event()

            async def read() -> None:
                async with session:
                    async for _ in session:
                        received.set()

            task = asyncio.create_task(read())
            await received.wait()
            await asyncio.to_thread(wait_until, lambda: _waiting(session.generation) == 1)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            return _waiting(session.generation)

        assert asyncio.run(leave()) == 0
        go_on.set()


def _waiting(generation: Generation) -> int:
    """Return how many coroutines wait for frames of this stream."""
    hub: Any = get_hub()
    loops = hub._buffer(str(generation.pk))._loops
    return sum(len(waiting.waiters) for waiting in loops.values())
