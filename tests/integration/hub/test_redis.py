"""Frames by way of a real Redis: what is copied into a process, and for how long."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest
import redis

from creatify_textgen.hub import END, START, Position, chunk_frame, word_frame
from creatify_textgen.hub.redis import RedisHub
from creatify_textgen.hub.writer import stream_key

pytestmark = pytest.mark.service

FIRST = Position(1, 2)


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
