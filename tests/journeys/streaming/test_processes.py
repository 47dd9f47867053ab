"""Streams over two web nodes, a worker and Redis, each of which is killed in the middle."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from itertools import islice
from typing import Any

import pytest
import requests
from django.db import connection

from creatify_textgen import services
from creatify_textgen.emulator import Emulator
from creatify_textgen.models import Generation
from tests.deployment import Deployment, Web
from tests.event_streams import ServerEvent, read_events, text_of
from tests.factories import let_time_pass
from tests.faults.processes import wait_until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.service,
    pytest.mark.django_db(transaction=True),
    pytest.mark.xdist_group("deployment"),
]
BODY = {"messages": "Tell me of the sea.", "model_name": "gemini-2.5-flash"}
CHUNKS = 12
CUT_AFTER = CHUNKS // 2
AWAY_FRAMES = 4
"""Frames that come while a reader is disconnected."""


@pytest.fixture
def deployment(
    running_deployment: Deployment, creatify_emulator: Emulator, settings: Any
) -> Deployment:
    """Return a site in which everything runs, and a remote that takes its time."""
    running_deployment.make_whole()
    settings.CREATIFY_TEXTGEN = running_deployment.configuration()
    creatify_emulator.switches.set(chunk_count=CHUNKS, chunk_interval=0.05)
    return running_deployment


class Reader:
    """A browser's side of one stream, which knows where it is and can go to another node."""

    def __init__(self, cookies: dict[str, str]) -> None:
        self.events: list[ServerEvent] = []
        self.generation_id = ""
        self._cookies = {**cookies, "csrftoken": "a" * 32}

    def create(self, web: Web, *, frames: int | None = None) -> None:
        """Begin a stream and read so many frames of it, or all."""
        headers = {"X-CSRFToken": "a" * 32, "Referer": web.url}
        self._read("POST", f"{web.url}/textgen/generations/stream/", headers, frames, json=BODY)

    def attach(self, web: Web, *, frames: int | None = None) -> None:
        """Go on where this reader is."""
        last_id = self.events[-1].id if self.events else ""
        headers = {"Last-Event-ID": last_id} if last_id else {}
        path = f"/textgen/generations/{self.generation_id}/stream/"
        self._read("GET", f"{web.url}{path}", headers, frames)

    def read_on(self, web: Web) -> None:
        """Read to the end, coming back after each cut as a browser does."""

        def has_read() -> bool:
            try:
                self.attach(web)
            except requests.RequestException:
                return False
            return self.has_ended

        wait_until(has_read)

    @property
    def has_ended(self) -> bool:
        return bool(self.events) and self.events[-1].name == "end"

    def _read(
        self, method: str, url: str, headers: dict[str, str], frames: int | None, **body: Any
    ) -> None:
        last_id = self.events[-1].id if self.events else ""
        with requests.request(
            method, url, headers=headers, cookies=self._cookies, stream=True, timeout=30, **body
        ) as response:
            response.raise_for_status()
            self.generation_id = response.headers["X-Generation-Id"]
            for event in islice(read_events(response, last_id=last_id), frames):
                self.events.append(event)


@pytest.fixture
def reader(session_cookie: dict[str, str]) -> Reader:
    return Reader(session_cookie)


def row_of(reader: Reader) -> Generation:
    return Generation.objects.select_related("content").get(pk=reader.generation_id)


def settle(reader: Reader) -> Generation:
    """Sweep as often as it takes, as if the time for it had come, and return the row."""

    def is_final() -> bool:
        let_time_pass(reader.generation_id)
        services.sweep()
        return row_of(reader).is_final

    wait_until(is_final)
    return row_of(reader)


def assert_whole(reader: Reader, row: Generation, remote: Emulator) -> None:
    """Nothing lost, nothing twice, nothing paid twice."""
    [generation] = remote.generations
    assert text_of(reader.events) == row.content.response_text == generation.response_text
    assert (row.status, row.remote_id) == ("done", generation.id)
    assert row.credits_used == Decimal(str(generation.credits_used))
    assert remote.counters["creates"] == 1


class TestReader:
    @pytest.mark.parametrize("cut_after", range(1, CHUNKS + 1))
    def test_goes_on_at_the_other_node(
        self, deployment: Deployment, reader: Reader, creatify_emulator: Emulator, cut_after: int
    ) -> None:
        first, second = deployment.webs
        reader.create(first, frames=cut_after)
        reader.attach(second)
        assert reader.has_ended
        assert_whole(reader, row_of(reader), creatify_emulator)

    @pytest.mark.parametrize("cut_after", range(1, CHUNKS + 1))
    def test_goes_on_after_it_was_away_while_the_stream_ran_on(
        self, deployment: Deployment, reader: Reader, creatify_emulator: Emulator, cut_after: int
    ) -> None:
        first, second = deployment.webs
        reader.create(first, frames=cut_after)
        frames_by_then = min(cut_after + AWAY_FRAMES, CHUNKS)
        key = f"creatify_textgen:stream:{reader.generation_id}"
        wait_until(lambda: deployment.redis.client.xlen(key) >= frames_by_then)
        reader.attach(second)
        assert reader.has_ended
        assert_whole(reader, row_of(reader), creatify_emulator)

    def test_goes_on_after_five_seconds_away(
        self, deployment: Deployment, session_cookie: dict[str, str], creatify_emulator: Emulator
    ) -> None:
        """By the wall clock, a reader for each frame at once; others wait for frames instead."""
        creatify_emulator.switches.set(chunk_interval=12 / CHUNKS)
        first, second = deployment.webs

        def read(cut_after: int) -> tuple[Reader, bool]:
            reader = Reader(session_cookie)
            reader.create(first, frames=cut_after)
            time.sleep(5)
            was_under_way = not row_of(reader).is_final
            reader.attach(second)
            connection.close()
            return reader, was_under_way

        with ThreadPoolExecutor(CHUNKS) as readers:
            read_by_all = list(readers.map(read, range(1, CHUNKS + 1)))
        texts = {remote.id: remote.response_text for remote in creatify_emulator.generations}
        for reader, _ in read_by_all:
            row = row_of(reader)
            assert reader.has_ended
            assert text_of(reader.events) == row.content.response_text == texts.pop(row.remote_id)
        assert [was_under_way for _, was_under_way in read_by_all[:4]] == [True] * 4
        assert creatify_emulator.counters["creates"] == CHUNKS

    @pytest.mark.parametrize("cut_after", range(1, CHUNKS + 1))
    def test_goes_on_after_the_frames_expired(
        self, deployment: Deployment, reader: Reader, creatify_emulator: Emulator, cut_after: int
    ) -> None:
        first, second = deployment.webs
        reader.create(first, frames=cut_after)
        wait_until(lambda: row_of(reader).is_final)
        key = f"creatify_textgen:stream:{reader.generation_id}"
        wait_until(lambda: deployment.redis.client.ttl(key) > 0)
        deployment.redis.client.delete(key)
        reader.attach(second)
        assert_whole(reader, row_of(reader), creatify_emulator)

    @pytest.mark.parametrize("cut_after", range(1, CHUNKS + 1))
    def test_goes_from_a_coroutine_to_a_thread_and_back(
        self, deployment: Deployment, reader: Reader, creatify_emulator: Emulator, cut_after: int
    ) -> None:
        """One node under ASGI and one under WSGI: the same frames, the same ids."""
        asgi, wsgi = deployment.webs[0], deployment.threaded_web
        wsgi.begin()
        wsgi.wait()
        reader.create(asgi, frames=cut_after)
        reader.attach(wsgi, frames=2)
        if not reader.has_ended:
            reader.attach(asgi)
        assert_whole(reader, row_of(reader), creatify_emulator)
        other = Reader(dict(reader._cookies))
        other.create(wsgi, frames=cut_after)
        other.attach(asgi)
        assert other.has_ended
        assert text_of(other.events) == row_of(other).content.response_text

    def test_changes_nodes_after_every_frame(
        self, deployment: Deployment, reader: Reader, creatify_emulator: Emulator
    ) -> None:
        reader.create(deployment.webs[0], frames=1)
        while not reader.has_ended:
            reader.attach(deployment.webs[len(reader.events) % 2], frames=1)
        assert_whole(reader, row_of(reader), creatify_emulator)


class TestWebNode:
    def test_that_is_killed_takes_no_stream_with_it(
        self, deployment: Deployment, reader: Reader, creatify_emulator: Emulator
    ) -> None:
        first, second = deployment.webs
        reader.create(first, frames=CUT_AFTER)
        first.kill()
        reader.attach(second)
        assert reader.has_ended
        assert_whole(reader, row_of(reader), creatify_emulator)

    def test_is_come_back_to_once_it_runs_again(
        self, deployment: Deployment, reader: Reader, creatify_emulator: Emulator
    ) -> None:
        web = deployment.webs[0]
        reader.create(web, frames=CUT_AFTER)
        web.restart()
        reader.read_on(web)
        assert_whole(reader, row_of(reader), creatify_emulator)


class TestWorker:
    @pytest.mark.parametrize("frames", [1, CUT_AFTER, CHUNKS - 1])
    def test_that_is_killed_loses_neither_text_nor_cost(
        self, deployment: Deployment, reader: Reader, creatify_emulator: Emulator, frames: int
    ) -> None:
        reader.create(deployment.webs[0], frames=frames)
        deployment.worker.kill()
        assert not row_of(reader).is_final
        row = settle(reader)
        reader.attach(deployment.webs[1])
        assert reader.has_ended
        assert_whole(reader, row, creatify_emulator)

    def test_that_is_killed_leaves_a_connected_reader_to_wait_for_the_end(
        self, deployment: Deployment, reader: Reader, creatify_emulator: Emulator
    ) -> None:
        with ThreadPoolExecutor(1) as readers:
            reading = readers.submit(reader.create, deployment.webs[0])
            wait_until(lambda: len(reader.events) >= CUT_AFTER)
            deployment.worker.kill()
            row = settle(reader)
            reading.result()
        assert reader.has_ended
        assert_whole(reader, row, creatify_emulator)

    def test_whose_stream_the_remote_does_not_list_says_that_the_cost_is_unknown(
        self, deployment: Deployment, reader: Reader, creatify_emulator: Emulator
    ) -> None:
        creatify_emulator.switches.set(stream_listed="never", chunk_interval=0.3)
        reader.create(deployment.webs[0], frames=CUT_AFTER)
        wait_until(lambda: bool(row_of(reader).content.response_text))
        deployment.worker.kill()
        row = settle(reader)
        reader.attach(deployment.webs[1])
        assert (row.status, row.error_code) == ("failed", "stream_interrupted")
        assert (row.credits_used, row.partial) == (None, True)
        assert text_of(reader.events).startswith(row.content.response_text)
        assert reader.events[-1].data["status"] == "failed"


def forget(deployment: Deployment) -> None:
    deployment.redis.client.flushall()


def restart(deployment: Deployment) -> None:
    deployment.redis.stop()
    deployment.redis.start()


class TestRedis:
    @pytest.mark.parametrize("happening", [forget, restart])
    @pytest.mark.parametrize("frames", range(1, CHUNKS))
    def test_that_forgets_everything_tears_no_hole(
        self,
        deployment: Deployment,
        reader: Reader,
        creatify_emulator: Emulator,
        happening: Callable[[Deployment], None],
        frames: int,
    ) -> None:
        reader.create(deployment.webs[0], frames=frames)
        happening(deployment)
        reader.read_on(deployment.webs[1])
        assert_whole(reader, row_of(reader), creatify_emulator)
