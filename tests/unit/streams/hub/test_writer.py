"""The thread that writes frames, with a client that does what a test wants."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
import redis

from creatify_textgen.streams.hub import Frame, Position, chunk_frame, writer
from creatify_textgen.streams.hub.writer import StreamWriter
from tests.faults.processes import wait_until


class Client:
    """Takes commands as a pipeline does, and answers each frame's with its id."""

    def __init__(self) -> None:
        self.connection_pool = self
        self.written: list[str] = []
        self.failures: list[Exception] = []
        self.disconnects = 0
        self.is_free = threading.Event()
        self.is_free.set()
        self.is_asked = threading.Event()
        self._commands: list[tuple[Any, ...]] = []

    def pipeline(self, *, transaction: bool) -> Client:
        assert not transaction
        self._commands = []
        return self

    def execute_command(self, *command: Any) -> None:
        self._commands.append(command)

    def expire(self, key: str, seconds: int) -> None:
        self._commands.append(("EXPIRE", key, seconds))

    def execute(self, *, raise_on_error: bool) -> list[Any]:
        self.is_asked.set()
        self.is_free.wait(10)
        if self.failures:
            raise self.failures.pop(0)
        ids = [next((part for part in c if str(part).endswith("-0")), None) for c in self._commands]
        self.written += [each for each in ids if each]
        return [each or True for each in ids]

    def disconnect(self) -> None:
        self.disconnects += 1


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Client:
    monkeypatch.setattr(writer, "RETRY_SECONDS", 0.01)
    return Client()


@pytest.fixture
def frames_writer(client: Client) -> Iterator[StreamWriter]:
    made = StreamWriter(client)  # type: ignore[arg-type]
    yield made
    client.is_free.set()
    made.close()


def frames(first: int, last: int, *, size: int = 1) -> list[Frame]:
    return [
        chunk_frame(Position(number - 1), Position(number), "x" * size)
        for number in range(first, last + 1)
    ]


def pending_bytes(frames_writer: StreamWriter) -> int:
    return sum(len(frame.wire) for _, frame in tuple(frames_writer._pending))


class TestPendingFrames:
    def test_are_bounded_while_redis_is_slow_and_the_oldest_go_first(
        self, client: Client, frames_writer: StreamWriter, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(writer, "MAX_PENDING_BYTES", 10_000)
        client.is_free.clear()
        frames_writer.put("s", frames(1, 1))
        assert client.is_asked.wait(10)
        for frame in frames(2, 100, size=1000):
            frames_writer.put("s", [frame])
            assert pending_bytes(frames_writer) <= 10_000
        client.is_free.set()
        wait_until(lambda: "100-0" in client.written)
        assert client.written == ["1-0", *(f"{number}-0" for number in range(92, 101))]

    def test_are_counted_anew_after_an_outage(
        self, client: Client, frames_writer: StreamWriter
    ) -> None:
        client.failures = [redis.ConnectionError(), redis.ConnectionError()]
        frames_writer.put("s", frames(1, 3))
        wait_until(lambda: "3-0" in client.written)
        frames_writer.put("s", frames(4, 4))
        wait_until(lambda: "4-0" in client.written)
        assert frames_writer._pending_bytes == 0
        assert client.disconnects == 2


class TestThread:
    def test_goes_on_after_a_fault_and_says_what_it_was(
        self, client: Client, frames_writer: StreamWriter, caplog: pytest.LogCaptureFixture
    ) -> None:
        client.failures = [ValueError("a bug")]
        frames_writer.put("s", frames(1, 1))
        wait_until(lambda: "a bug" in caplog.text)
        frames_writer.put("s", frames(2, 2))
        wait_until(lambda: client.written == ["2-0"])
        assert caplog.text.count("some frames were not written to Redis.") == 1
        assert "Traceback" in caplog.text

    def test_forgets_streams_that_never_ended(
        self, client: Client, frames_writer: StreamWriter, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        frames_writer.put("old", frames(1, 1))
        wait_until(lambda: client.written == ["1-0"])
        monkeypatch.setattr(writer, "KEEP_SECONDS", -1)
        frames_writer.put("new", frames(2, 2))
        wait_until(lambda: "2-0" in client.written)
        assert list(frames_writer._trims) == ["new"]
