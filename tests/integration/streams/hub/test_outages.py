"""Redis refuses, forgets, fails over or is configured differently; each test has its own."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import redis

from creatify_textgen.logs import causes
from creatify_textgen.streams.hub import (
    END,
    START,
    Frame,
    Position,
    chunk_frame,
    mirror,
    word_frame,
    writer,
)
from creatify_textgen.streams.hub.buffer import Buffer
from creatify_textgen.streams.hub.redis import RedisHub
from creatify_textgen.streams.hub.stream_trim import KEEP_SECONDS, MAX_BYTES
from creatify_textgen.streams.hub.writer import stream_key
from tests.faults.processes import OwnRedis, wait_until

pytestmark = pytest.mark.service

MIB = 1024 * 1024
KEY = stream_key("s")


@pytest.fixture
def hub(own_redis: OwnRedis, monkeypatch: pytest.MonkeyPatch) -> Iterator[RedisHub]:
    monkeypatch.setattr(writer, "RETRY_SECONDS", 0.05)
    hub = RedisHub(own_redis.url)
    yield hub
    hub.close()


def frames(first: int, last: int, *, size: int = 1) -> list[Frame]:
    return [
        chunk_frame(Position(number - 1), Position(number), "x" * size)
        for number in range(first, last + 1)
    ]


def numbers_in(own_redis: OwnRedis) -> list[int]:
    return [int(entry_id.split(b"-")[0]) for entry_id, _ in own_redis.client.xrange(KEY)]


def wait_for_frames(own_redis: OwnRedis, count: int) -> None:
    wait_until(lambda: own_redis.client.xlen(KEY) >= count)


def demote(client: redis.Redis) -> None:
    client.replicaof("127.0.0.1", 1)  # type: ignore[no-untyped-call]


def promote(client: redis.Redis) -> None:
    client.replicaof("NO", "ONE")  # type: ignore[no-untyped-call]


def fill(client: redis.Redis) -> None:
    client.config_set("maxmemory", 1)


def empty(client: redis.Redis) -> None:
    client.config_set("maxmemory", 0)


def lose_replicas(client: redis.Redis) -> None:
    client.config_set("min-replicas-to-write", 1)


def find_replicas(client: redis.Redis) -> None:
    client.config_set("min-replicas-to-write", 0)


def tries() -> int:
    """Return how often the writer has failed: each is counted, and the first one is logged."""
    return sum(
        count + 1
        for cause, (_, count) in causes._seen.items()
        if isinstance(cause, tuple) and cause[:2] == ("redis", "write")
    )


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return the waits for frames; each passes at once, and moves the clock of the mirror."""
    waits: list[float] = []

    def wait(buffer: Buffer, number: int, *, seconds: float, **options: bool) -> list[Frame]:
        waits.append(seconds)
        return []

    async def wait_async(*args: Any, **options: Any) -> list[Frame]:
        return wait(*args, **options)

    monkeypatch.setattr(Buffer, "wait", wait)
    monkeypatch.setattr(Buffer, "wait_async", wait_async)
    clock = SimpleNamespace(monotonic=lambda: sum(waits), sleep=time.sleep)
    monkeypatch.setattr(mirror, "time", clock)
    return waits


class TestUnreachable:
    def test_takes_no_longer_than_a_reader_waits(self, waits: list[float]) -> None:
        """Twice as long, heartbeats would come too late for proxies."""
        hub = RedisHub("redis://127.0.0.1:9/0")
        assert hub.read("s", after=0, seconds=20) == []
        assert sum(waits) == 20
        waits.clear()
        assert asyncio.run(hub.read_async("t", after=0, seconds=20)) == []
        assert sum(waits) == 20
        hub.close()

    def test_is_logged_once(self, caplog: pytest.LogCaptureFixture) -> None:
        hub = RedisHub("redis://127.0.0.1:9/0")
        hub.read("s", after=0, seconds=1.2)
        hub.close()
        assert caplog.text.count("Redis did not answer") == 1


class TestOutage:
    @pytest.mark.parametrize(
        ("begin", "end"),
        [(demote, promote), (fill, empty), (lose_replicas, find_replicas)],
        ids=["READONLY", "OOM", "NOREPLICAS"],
    )
    def test_loses_no_frame(
        self,
        hub: RedisHub,
        own_redis: OwnRedis,
        caplog: pytest.LogCaptureFixture,
        begin: Callable[[redis.Redis], None],
        end: Callable[[redis.Redis], None],
    ) -> None:
        hub.publish("s", frames(1, 10))
        wait_for_frames(own_redis, 10)
        begin(own_redis.client)
        hub.publish("s", frames(11, 20))
        wait_until(lambda: tries() >= 2)
        end(own_redis.client)
        hub.publish("s", frames(21, 30))
        wait_for_frames(own_redis, 30)
        assert numbers_in(own_redis) == list(range(1, 31))
        assert "refuses" not in caplog.text
        assert caplog.text.count("Redis did not take frames") == 1

    def test_leaves_a_stream_that_was_flushed_with_a_time_to_live(
        self, hub: RedisHub, own_redis: OwnRedis
    ) -> None:
        hub.publish("s", frames(1, 5))
        wait_for_frames(own_redis, 5)
        own_redis.client.flushall()
        hub.publish("s", frames(6, 8))
        wait_for_frames(own_redis, 3)
        assert numbers_in(own_redis) == [6, 7, 8]
        assert KEEP_SECONDS - 60 < own_redis.client.ttl(KEY) <= KEEP_SECONDS

    def test_takes_a_frame_for_written_whose_answer_was_lost(
        self,
        hub: RedisHub,
        own_redis: OwnRedis,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        execute = redis.client.Pipeline.execute
        lost = iter([True])

        def lose_the_answer(pipeline: redis.client.Pipeline, raise_on_error: bool) -> list[object]:
            answers = execute(pipeline, raise_on_error=raise_on_error)
            if next(lost, False):
                raise redis.ConnectionError
            return answers

        monkeypatch.setattr(redis.client.Pipeline, "execute", lose_the_answer)
        hub.publish("s", [*frames(1, 3), word_frame(Position(3), END, {})])
        wait_until(lambda: "Redis did not take frames" in caplog.text)
        hub.close()
        assert numbers_in(own_redis) == [1, 2, 3, 4]
        assert "refuses" not in caplog.text

    def test_says_so_where_somebody_else_wrote_the_frame(
        self, hub: RedisHub, own_redis: OwnRedis, caplog: pytest.LogCaptureFixture
    ) -> None:
        own_redis.client.xadd(KEY, {"h": f"|{START}|{Position(2)}", "w": "other"}, id="2-0")
        hub.publish("s", frames(1, 3))
        hub.close()
        assert numbers_in(own_redis) == [2, 3]
        assert caplog.text.count("Redis refused ") == 1
        assert "Redis refused 2 frames" in caplog.text


class TestBound:
    def test_holds_for_large_frames_behind_many_small_ones(
        self, hub: RedisHub, own_redis: OwnRedis
    ) -> None:
        hub.publish("s", [*frames(1, 9000), *frames(9001, 9080, size=MIB)])
        wait_until(lambda: 9080 in numbers_in(own_redis)[-1:])
        assert own_redis.client.memory_usage(KEY, samples=0) < 1.3 * MAX_BYTES
        assert len(numbers_in(own_redis)) >= MAX_BYTES // MIB - 1

    def test_does_not_count_what_is_tried_again(self, hub: RedisHub, own_redis: OwnRedis) -> None:
        hub.publish("s", frames(1, 1))
        wait_for_frames(own_redis, 1)
        demote(own_redis.client)
        hub.publish("s", frames(2, 100, size=50_000))
        wait_until(lambda: tries() >= 10)
        promote(own_redis.client)
        wait_for_frames(own_redis, 100)
        assert numbers_in(own_redis) == list(range(1, 101))


class TestAddress:
    @pytest.mark.parametrize(
        "query",
        ["protocol=3", "decode_responses=true", "encoding=utf-16", "socket_timeout=0.5"],
    )
    def test_may_not_change_what_the_threads_rely_on(
        self, own_redis: OwnRedis, query: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.WARNING)
        hub = RedisHub(f"{own_redis.url}?{query}")
        try:
            assert hub.read("s", after=0, seconds=0) == []
            assert hub.read("s", after=0, seconds=0.8) == []
            hub.publish("s", frames(1, 2))
            found = hub.read("s", after=0, seconds=5)
            assert found[0].number == 1
            assert caplog.text == ""
        finally:
            hub.close()

    def test_with_an_option_that_nobody_knows_is_reported(
        self, own_redis: OwnRedis, caplog: pytest.LogCaptureFixture
    ) -> None:
        hub = RedisHub(f"{own_redis.url}?color=green")
        try:
            hub.publish("s", frames(1, 1))
            assert hub.read("s", after=0, seconds=0) == []
            wait_until(lambda: "not written" in caplog.text and "not read" in caplog.text)
            assert "unexpected keyword argument 'color'" in caplog.text
        finally:
            hub.close()
