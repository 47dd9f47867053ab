"""Redis goes away or forgets everything: as the broker, and as the carrier of frames."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from creatify_textgen import services
from creatify_textgen.emulator import Emulator
from creatify_textgen.models import Generation
from creatify_textgen.remote import parse_chunk
from creatify_textgen.streams import begin, hub
from creatify_textgen.streams.follow import follow
from tests.faults.crowd import all_at_once
from tests.faults.kills.journeys import PROMPT, past_due
from tests.faults.kills.workers import Workers, WorkersParent
from tests.faults.processes import OwnRedis

pytestmark = [
    pytest.mark.slow,
    pytest.mark.service,
    pytest.mark.django_db(transaction=True),
]


class TestBroker:
    @pytest.mark.parametrize("blow", [signal.SIGKILL, signal.SIGSTOP], ids=["dies", "hangs"])
    def test_that_fails_between_two_submits_loses_neither(
        self, own_redis: OwnRedis, remote: Emulator, tmp_path: Path, blow: signal.Signals
    ) -> None:
        variables = {
            "TEST_BROKER_URL": own_redis.url,
            "FAULTS_REDIS_PID": str(own_redis.process_id),
            "FAULTS_REDIS_SIGNAL": str(blow.value),
        }
        with WorkersParent(tmp_path / "words", **variables) as parent:
            workers = Workers(parent, tmp_path / "finished")
            assert workers.run("lose_the_broker") == 0, workers.words
            assert workers.words.count("Could not enqueue creatify_textgen.submit") == 1
            for _ in range(2):
                past_due()
                assert workers.run("sweep_once") == 0, workers.words
            assert len(workers.finished_ids()) == 2
        statuses = Generation.objects.values_list("status", flat=True)
        assert (list(statuses), remote.counters["creates"]) == (["done", "done"], 2)


@pytest.fixture
def streaming(own_redis: OwnRedis, remote: Emulator, settings: Any) -> Iterator[Emulator]:
    """Return a remote of slow streams; frames are in the Redis, the pump in another process."""
    settings.CREATIFY_TEXTGEN = {**settings.CREATIFY_TEXTGEN, "STREAM_BACKEND": own_redis.url}
    remote.switches.set(chunk_count=30, chunk_interval=0.05)
    yield remote
    hub.get_hub().close()
    hub._hub.forget()


def flush(redis: OwnRedis) -> None:
    redis.client.flushall()


def restart(redis: OwnRedis) -> None:
    redis.stop()
    redis.start()


def stop(redis: OwnRedis) -> None:
    redis.stop()


class TestFrames:
    @pytest.mark.parametrize("happening", [flush, restart, stop])
    @pytest.mark.parametrize("after_frames", [1, 10, 29])
    def test_go_on_where_redis_is_hit_mid_stream(
        self,
        streaming: Emulator,
        own_redis: OwnRedis,
        tmp_path: Path,
        happening: Callable[[OwnRedis], None],
        after_frames: int,
    ) -> None:
        """The reader gets the text whole, once, and its end; the row never notices."""
        generation = services.begin_stream(PROMPT)
        with WorkersParent(tmp_path / "words") as parent:
            workers = Workers(parent, tmp_path / "finished")
            hit = partial(happening, own_redis)
            received, code = all_at_once(
                partial(read, generation, hit=hit, after_frames=after_frames),
                partial(workers.run, "pump"),
            )
            assert code == 0, workers.words
        row = Generation.objects.select_related("content").get()
        assert (row.status, row.partial) == ("done", False)
        assert received == row.content.response_text
        assert streaming.counters["creates"] == 1

    def test_are_not_waited_for_where_nobody_can_pump(
        self,
        streaming: Emulator,
        own_redis: OwnRedis,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """Redis is both broker and hub, and is down: the reader gets an error, nothing was sent."""
        monkeypatch.setattr(begin, "PICKUP_LIMIT", timedelta(seconds=0.5))
        own_redis.stop()
        with services.stream(PROMPT) as session:
            assert list(session) == []
        assert (session.generation.status, session.error_code) == ("cancelled", "not_taken_up")
        assert streaming.counters["creates"] == 0


def read(generation: Generation, *, hit: Callable[[], None], after_frames: int) -> str:
    """Read to the end; after so many frames something happens to Redis."""
    texts: list[str] = []
    has_ended = False
    for batch in follow(generation.pk, heartbeat_seconds=0.5):
        for frame in batch:
            if frame.event == hub.CHUNK:
                texts.append(parse_chunk(frame.data).text)
            has_ended = frame.event == hub.END
            if len(texts) == after_frames and frame.event == hub.CHUNK:
                hit()
    assert has_ended
    return "".join(texts)
