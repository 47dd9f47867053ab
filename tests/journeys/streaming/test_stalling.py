"""A reader that stops reading: the pump, the others and this process's memory take no notice.

Frames are published as a pump does, more of them than anything here may hold.
"""

from __future__ import annotations

import json
import time
import tracemalloc
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

import pytest
import requests
import uvicorn
from django.contrib.auth.models import User

from creatify_textgen import services
from creatify_textgen.emulator import Emulator
from creatify_textgen.models import Generation
from creatify_textgen.streams.hub import END, START, Position, chunk_frame, get_hub, word_frame
from creatify_textgen.streams.hub.buffer import MAX_BYTES, READ_AT_ONCE
from tests.factories import make_generation
from tests.faults.processes import wait_until

pytestmark = pytest.mark.django_db(transaction=True)

FRAME_TEXT = "All work and no play. "
PADDING = "x" * 8800
"""Beside the text, which the row keeps: MariaDB takes no statement of megabytes."""
FRAME_BYTES = len(FRAME_TEXT) + len(PADDING) + 200
FRAMES_A_ROUND = 100
ROUNDS_TO_FILL = 2 * MAX_BYTES // (FRAMES_A_ROUND * FRAME_BYTES)
"""Twice what a process keeps of a stream."""


class Pump:
    """Publishes the frames of one generation."""

    def __init__(self, generation: Generation) -> None:
        self._key = str(generation.pk)
        self._generation = generation
        self._here = START

    def publish(self, count: int) -> None:
        for _ in range(count):
            number, text, *_ = start = self._here
            self._here = Position(number + 1, text + len(FRAME_TEXT))
            content = {"parts": [{"text": FRAME_TEXT}]}
            chunk = json.dumps({"candidates": [{"content": content}], "responseId": PADDING})
            get_hub().publish(self._key, [chunk_frame(start, self._here, chunk)])

    def finish(self) -> str:
        """Write the row as a pump does, publish the end, and return the text."""
        text = FRAME_TEXT * self._here.number
        self._generation.content.response_text = text
        self._generation.content.save()
        Generation.objects.filter(pk=self._generation.pk).update(status="done")
        get_hub().publish(self._key, [word_frame(self._here, END, {"status": "done"})])
        return text


@pytest.fixture(
    params=[
        # Nothing in it is a database's, and a slow one lets the reader begin too late.
        pytest.param("memory", marks=pytest.mark.slow),
        pytest.param("redis", marks=[pytest.mark.service, pytest.mark.slow]),
    ]
)
def backend(request: pytest.FixtureRequest) -> Emulator:
    name = "remote" if request.param == "memory" else "redis_remote"
    fixture: Emulator = request.getfixturevalue(name)
    return fixture


@pytest.fixture
def generation(backend: Emulator, session_cookie: dict[str, str]) -> Generation:
    return make_generation(status="running", mode="stream", owner=User.objects.get())


@pytest.fixture
def stalled(
    asgi_site: str, generation: Generation, session_cookie: dict[str, str]
) -> Iterator[requests.Response]:
    """Return an answer of which nobody reads more than its headers."""
    url = f"{asgi_site}/textgen/generations/{generation.pk}/stream/"
    with requests.get(url, cookies=session_cookie, stream=True, timeout=30) as response:
        assert response.status_code == 200
        yield response


def waiting_bytes(server: uvicorn.Server) -> int:
    """Return what the server holds for sockets that take no more."""
    connections: Any = server.server_state.connections
    return sum(each.transport.get_write_buffer_size() for each in connections)


def read_text(pieces: Iterable[bytes]) -> str:
    """Return what an answer has said by its end."""
    body = b"".join(pieces).decode()
    events = [event.partition("data: ") for event in body.split("\n\n")]
    chunks = [json.loads(line) for name, _, line in events if line and "event:" not in name]
    parts = [part for chunk in chunks for part in chunk["candidates"][0]["content"]["parts"]]
    return "".join(part["text"] for part in parts)


def test_holds_bounded_memory_and_nobody_up(
    asgi_server: uvicorn.Server, generation: Generation, stalled: requests.Response
) -> None:
    pump = Pump(generation)
    other = services.attach(generation)

    def publish_and_read(rounds: int) -> None:
        for _ in range(rounds):
            pump.publish(FRAMES_A_ROUND)
            # The other reader has each frame though the stalled one has not.
            received = [chunk.text for chunk in islice(other, FRAMES_A_ROUND)]
            assert received == [FRAME_TEXT] * FRAMES_A_ROUND
            if not waiting_bytes(asgi_server):
                # On a busy machine the server falls behind by itself, and misses what is dropped.
                time.sleep(0.02)

    # Who has not begun to read could miss more than is kept.
    pump.publish(1)
    pieces = stalled.iter_content(65536)
    beginning = next(pieces)
    assert next(other).text == FRAME_TEXT

    tracemalloc.start()
    try:
        publish_and_read(ROUNDS_TO_FILL)
        wait_until(lambda: waiting_bytes(asgi_server) > 0)
        full, _ = tracemalloc.get_traced_memory()
        publish_and_read(2 * ROUNDS_TO_FILL)
        later, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    # Twice as much again has gone by, and left nothing here.
    assert later - full < MAX_BYTES // 4
    assert waiting_bytes(asgi_server) <= READ_AT_ONCE * FRAME_BYTES

    text = pump.finish()
    assert list(other) == []
    assert read_text([beginning, *pieces]) == text
