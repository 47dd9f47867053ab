"""Frames by way of a real Redis: what is copied into a process, and for how long."""

from __future__ import annotations

import asyncio
import itertools
import json
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from creatify_textgen.streams.hub import END, START, Position, chunk_frame, word_frame
from creatify_textgen.streams.hub.mirror import BLOCK_SECONDS, ENTRIES_AT_ONCE
from creatify_textgen.streams.hub.redis import RedisHub
from creatify_textgen.streams.hub.writer import BYTES_AT_ONCE, KEEP_ENDED_SECONDS, stream_key
from tests.faults.processes import TLSRedis, wait_until

pytestmark = pytest.mark.service

FIRST = Position(1, 2)
LENGTH = 3 * ENTRIES_AT_ONCE + 100


@pytest.fixture
def hub(redis_url: str) -> Iterator[RedisHub]:
    hub = RedisHub(redis_url)
    yield hub
    hub.close()


def test_stops_copying_a_stream_that_has_ended(hub: RedisHub, redis_url: str) -> None:
    ended, other = (f"test-{uuid.uuid4()}" for _ in range(2))
    hub.publish(ended, [chunk_frame(START, FIRST, "{}"), word_frame(FIRST, END, {})])
    seen = 0
    while seen < 2:
        seen += len(hub.read(ended, after=seen, seconds=5))
    with redis.Redis.from_url(redis_url) as client:
        late = {"h": f"|{FIRST._replace(number=2)}|{FIRST._replace(number=3)}", "w": "late"}
        client.xadd(stream_key(ended), late, id="3-0")  # type: ignore[arg-type]
        # What comes later of another stream shows that Redis was asked again meanwhile.
        assert hub.read(other, after=0, seconds=0) == []
        hub.publish(other, [chunk_frame(START, FIRST, "{}")])
        assert [frame.number for frame in hub.read(other, after=0, seconds=5)] == [1]
        assert hub.read(ended, after=2, seconds=0) == []
        client.delete(stream_key(ended), stream_key(other))


def test_writes_again_what_redis_may_have_had_already(hub: RedisHub, redis_url: str) -> None:
    stream = f"test-{uuid.uuid4()}"
    first = chunk_frame(START, FIRST, "{}")
    second = chunk_frame(FIRST, Position(2, 4), "{}")
    hub.publish(stream, [first])
    hub.publish(stream, [first, second, word_frame(second.end, END, {})])
    frames = hub.read(stream, after=0, seconds=5)
    while frames[-1].event != END:
        frames += hub.read(stream, after=frames[-1].number, seconds=5)
    assert [frame.number for frame in frames] == [1, 2, 3]
    with redis.Redis.from_url(redis_url) as client:
        assert 0 < client.ttl(stream_key(stream)) <= KEEP_ENDED_SECONDS
        client.delete(stream_key(stream))


def test_says_what_redis_refuses_and_writes_the_rest(
    hub: RedisHub, redis_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    refused, good = (f"test-{uuid.uuid4()}" for _ in range(2))
    with redis.Redis.from_url(redis_url) as client:
        client.set(stream_key(refused), "not a stream", ex=60)
        for stream in (refused, good):
            hub.publish(stream, [chunk_frame(START, FIRST, "{}")])
        assert [frame.number for frame in hub.read(good, after=0, seconds=5)] == [1]
        hub.close()
        assert "frames (WRONGTYPE" in caplog.text
        client.delete(stream_key(refused), stream_key(good))


def test_writes_large_frames_in_several_pipelines(hub: RedisHub, redis_url: str) -> None:
    stream = f"test-{uuid.uuid4()}"
    # More than one pipeline takes, and less than a reader's process keeps.
    raw = json.dumps("x" * (BYTES_AT_ONCE // 4))
    places = [Position(number) for number in range(7)]
    hub.publish(stream, [chunk_frame(*pair, raw) for pair in itertools.pairwise(places)])
    seen: list[int] = []
    while len(seen) < 6:
        seen += [frame.number for frame in hub.read(stream, after=len(seen), seconds=5)]
    assert seen == [1, 2, 3, 4, 5, 6]
    with redis.Redis.from_url(redis_url) as client:
        client.delete(stream_key(stream))


class TestResuming:
    """A reader comes to a node that has not seen the stream yet."""

    @pytest.fixture
    def stream(self, hub: RedisHub, redis_url: str) -> Iterator[str]:
        stream = f"test-{uuid.uuid4()}"
        places = [Position(number) for number in range(LENGTH + 1)]
        hub.publish(stream, [chunk_frame(*pair, "{}") for pair in itertools.pairwise(places)])
        with redis.Redis.from_url(redis_url) as client:
            wait_until(lambda: client.xlen(stream_key(stream)) == LENGTH)
            yield stream
            client.delete(stream_key(stream))

    @pytest.fixture
    def node(self, redis_url: str) -> Iterator[RedisHub]:
        node = RedisHub(redis_url)
        yield node
        node.close()

    @pytest.mark.parametrize("after", [0, 499, 500, LENGTH - 10])
    def test_finds_the_next_frame_however_far_it_is(
        self, node: RedisHub, stream: str, after: int
    ) -> None:
        assert node.read(stream, after=after, seconds=0)[0].number == after + 1

    def test_finds_it_in_a_coroutine_too(self, node: RedisHub, stream: str) -> None:
        found = asyncio.run(node.read_async(stream, after=LENGTH - 10, seconds=0))
        assert [frame.number for frame in found] == list(range(LENGTH - 9, LENGTH + 1))

    @pytest.mark.parametrize("after", [LENGTH, 999_999_999])
    def test_learns_at_once_that_there_is_none(
        self, node: RedisHub, stream: str, after: int
    ) -> None:
        began = time.monotonic()
        assert node.read(stream, after=after, seconds=0) == []
        assert node.read(f"test-{uuid.uuid4()}", after=0, seconds=0) == []
        assert time.monotonic() - began < BLOCK_SECONDS - 1

    def test_reads_a_stream_that_ended_with_a_full_answer(
        self, hub: RedisHub, node: RedisHub, redis_url: str
    ) -> None:
        stream = f"test-{uuid.uuid4()}"
        places = [Position(number) for number in range(ENTRIES_AT_ONCE)]
        chunks = [chunk_frame(*pair, "{}") for pair in itertools.pairwise(places)]
        hub.publish(stream, [*chunks, word_frame(places[-1], END, {})])
        with redis.Redis.from_url(redis_url) as client:
            wait_until(lambda: client.xlen(stream_key(stream)) == ENTRIES_AT_ONCE)
            began = time.monotonic()
            assert node.read(stream, after=ENTRIES_AT_ONCE, seconds=0) == []
            assert time.monotonic() - began < BLOCK_SECONDS - 1
            client.delete(stream_key(stream))


class TestTLS:
    def test_carries_frames_from_one_process_to_another(self, tmp_path: Path) -> None:
        stream, frames = "tls", [chunk_frame(START, FIRST, "{}"), word_frame(FIRST, END, {})]
        with TLSRedis(tmp_path) as server:
            writer, reader = RedisHub(server.url), RedisHub(server.url)
            try:
                writer.publish(stream, frames)
                assert [frame.event for frame in reader.read(stream, after=0, seconds=5)]
                assert reader.mode() == "standalone"
            finally:
                writer.close()
                reader.close()

    def test_with_another_authority_is_refused(self, tmp_path: Path) -> None:
        """As with the authorities of the machine, which do not know this one."""
        with TLSRedis(tmp_path) as server:
            hub = RedisHub(server.url.partition("?")[0])
            with pytest.raises(redis.ConnectionError, match="CERTIFICATE_VERIFY_FAILED"):
                hub.mode()
