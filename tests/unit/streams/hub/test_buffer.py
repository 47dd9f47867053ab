"""The frames of one stream in one process, with readers of both kinds."""

from __future__ import annotations

import asyncio
import threading

import pytest

from creatify_textgen.streams.hub import (
    END,
    START,
    Frame,
    Position,
    buffer,
    chunk_frame,
    memory,
    word_frame,
)
from creatify_textgen.streams.hub.buffer import Buffer
from creatify_textgen.streams.hub.memory import (
    KEEP_EMPTY_SECONDS,
    KEEP_ENDED_SECONDS,
    KEEP_SECONDS,
    MemoryHub,
)
from tests.faults.processes import wait_until


def frames(first: int, last: int, *, size: int = 1) -> list[Frame]:
    return [
        chunk_frame(Position(number - 1), Position(number), "x" * size)
        for number in range(first, last + 1)
    ]


def numbers(found: list[Frame]) -> list[int]:
    return [frame.number for frame in found]


class TestBuffer:
    def test_gives_what_is_behind_a_number(self) -> None:
        held = Buffer()
        held.add(frames(1, 5))
        assert numbers(held.after(2)) == [3, 4, 5]
        assert held.after(5) == []

    def test_finds_its_way_over_holes(self) -> None:
        held = Buffer()
        held.add([*frames(1, 2), *frames(7, 8)])
        assert numbers(held.after(4)) == [7, 8]

    def test_drops_the_oldest_frames_above_its_count(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(buffer, "MAX_FRAMES", 32)
        held = Buffer()
        for frame in frames(1, 100):
            held.add([frame])
        kept = numbers(held.after(0))
        assert kept[-1] == 100
        assert 1 < len(kept) <= 32

    def test_drops_the_oldest_frames_above_its_bytes(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(buffer, "MAX_BYTES", 1000)
        held = Buffer()
        for frame in frames(1, 50, size=100):
            held.add([frame])
        kept = held.after(0)
        assert kept[-1].number == 50
        assert sum(len(frame.wire) for frame in kept) <= 1000

    def test_keeps_a_frame_that_is_larger_than_all_of_it(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(buffer, "MAX_BYTES", 10)
        held = Buffer()
        held.add(frames(1, 2, size=100))
        assert numbers(held.after(0)) == [2]

    def test_wakes_a_thread(self) -> None:
        held = Buffer()
        found: list[Frame] = []
        reader = threading.Thread(target=lambda: found.extend(held.wait(0, seconds=10)))
        reader.start()
        held.add(frames(1, 1))
        reader.join(10)
        assert numbers(found) == [1]

    def test_wakes_coroutines_of_any_loop_from_a_thread(self) -> None:
        held = Buffer()

        async def read() -> list[list[int]]:
            readers = [asyncio.create_task(held.wait_async(0, seconds=10)) for _ in range(3)]
            await asyncio.sleep(0)
            await asyncio.to_thread(held.add, frames(1, 2))
            return [numbers(await reader) for reader in readers]

        assert asyncio.run(read()) == [[1, 2]] * 3
        assert asyncio.run(held.wait_async(0, seconds=10)) == held.after(0)

    def test_forgets_a_coroutine_that_leaves(self) -> None:
        held = Buffer()

        async def leave() -> None:
            reader = asyncio.create_task(held.wait_async(0, seconds=10))
            await asyncio.sleep(0)
            reader.cancel()
            with pytest.raises(asyncio.CancelledError):
                await reader

        asyncio.run(leave())
        assert [waiting.waiters for waiting in held._loops.values()] == [{}]

    def test_ends_each_wait_at_its_own_time(self) -> None:
        held = Buffer()
        ended: list[float] = []

        async def read(seconds: float) -> None:
            await held.wait_async(0, seconds=seconds)
            ended.append(seconds)

        async def pass_until(count: int) -> None:
            while len(ended) < count:  # noqa: ASYNC110  the loop has to turn for it
                await asyncio.sleep(0)

        async def read_all() -> None:
            loop = asyncio.get_running_loop()
            passed, now = 0.0, loop.time()
            # The loop's time passes only here, however slow the machine is.
            loop.time = lambda: now + passed  # type: ignore[method-assign]
            readers = [asyncio.create_task(read(seconds)) for seconds in (600, 3600, 200)]
            await asyncio.sleep(0)
            passed = 300.0
            await pass_until(1)
            passed = 700.0
            await pass_until(2)
            held.add(frames(1, 1))
            await asyncio.gather(*readers)

        asyncio.run(read_all())
        assert ended == [200, 600, 3600]

    def test_forgets_a_loop_that_has_closed(self) -> None:
        held = Buffer()
        waiting: list[asyncio.Task[list[Frame]]] = []

        async def leave() -> None:
            waiting.append(asyncio.create_task(held.wait_async(0, seconds=10)))
            await asyncio.sleep(0)

        loop = asyncio.new_event_loop()
        loop.run_until_complete(leave())
        loop.close()
        held.add(frames(1, 1))
        assert held._loops == {}
        for task in waiting:
            task._log_destroy_pending = False  # type: ignore[attr-defined]

    def test_lets_nobody_wait_who_came_before_it_was_closed(self) -> None:
        held = Buffer()

        async def read() -> list[Frame]:
            reader = asyncio.create_task(held.wait_async(0, seconds=3600))
            await asyncio.sleep(0)
            held.close()
            return await reader

        assert asyncio.run(read()) == []

    def test_lets_nobody_wait_for_long_who_comes_after_it_was_closed(self) -> None:
        held = Buffer()
        held.close()
        assert held.wait(0, seconds=3600) == []
        assert asyncio.run(held.wait_async(0, seconds=3600)) == []

    def test_goes_on_waiting_over_frames_that_are_not_behind_its_number(self) -> None:
        held = Buffer()

        async def read() -> list[Frame]:
            reader = asyncio.create_task(held.wait_async(5, seconds=10))
            for number in range(1, 7):
                await asyncio.sleep(0)
                assert not reader.done()
                held.add(frames(number, number))
            return await reader

        assert numbers(asyncio.run(read())) == [6]

    def test_goes_on_waiting_in_a_thread_too(self) -> None:
        held = Buffer()
        found: list[Frame] = []
        reader = threading.Thread(target=lambda: found.extend(held.wait(5, seconds=10)))
        reader.start()
        for number in range(1, 7):
            wait_until(lambda: held._sleepers)
            held.add(frames(number, number))
        reader.join(10)
        assert numbers(found) == [6]

    def test_lets_whoever_waits_for_the_past_go_once_it_is_here(self) -> None:
        held = Buffer(is_loaded=False)

        async def read() -> list[Frame]:
            readers = (
                asyncio.create_task(held.wait_async(5, seconds=3600, until_loaded=True)),
                asyncio.create_task(
                    asyncio.to_thread(held.wait, 5, seconds=3600, until_loaded=True)
                ),
            )
            held.add(frames(1, 2))
            await asyncio.sleep(0.01)
            assert not any(reader.done() for reader in readers)
            held.finish_loading()
            return [frame for reader in readers for frame in await reader]

        assert asyncio.run(read()) == []
        assert held.wait(5, seconds=3600, until_loaded=True) == []

    def test_lets_a_thread_go_when_it_is_closed(self) -> None:
        held = Buffer()
        reader = threading.Thread(target=lambda: held.wait(0, seconds=3600))
        reader.start()
        wait_until(lambda: held._sleepers)
        held.close()
        reader.join(10)
        assert not reader.is_alive()

    def test_returns_nothing_in_time(self) -> None:
        assert asyncio.run(Buffer().wait_async(0, seconds=0.001)) == []
        assert Buffer().wait(0, seconds=0.001) == []


class TestMemoryHub:
    def test_keeps_an_ended_stream_for_a_while_only(self) -> None:
        now = [0.0]
        hub = MemoryHub(clock=lambda: now[0])
        hub.publish("ended", [*frames(1, 1), word_frame(START, END, {})])
        hub.publish("silent", frames(1, 1))
        now[0] = KEEP_ENDED_SECONDS + 1
        hub.publish("other", frames(1, 1))
        assert hub.read("ended", after=0, seconds=0) == []
        assert hub.read("silent", after=0, seconds=0) != []
        now[0] += KEEP_SECONDS
        hub.publish("another", frames(1, 1))
        assert hub.read("silent", after=0, seconds=0) == []

    def test_keeps_nothing_of_a_read_that_does_not_wait(self) -> None:
        hub = MemoryHub()
        for number in range(300):
            assert hub.read(f"finished {number}", after=0, seconds=0) == []
            assert asyncio.run(hub.read_async(f"again {number}", after=0, seconds=0)) == []
        assert hub._buffers == {}

    def test_forgets_a_stream_without_frames_soon_after_its_last_read(self) -> None:
        now = [0.0]
        hub = MemoryHub(clock=lambda: now[0])
        for seconds in (0.0, KEEP_EMPTY_SECONDS - 1):
            now[0] += seconds
            hub.read("never written", after=0, seconds=0.001)
        now[0] += KEEP_EMPTY_SECONDS - 1
        hub.publish("another", frames(1, 1))
        assert "never written" in hub._buffers
        now[0] += KEEP_EMPTY_SECONDS + 2
        hub.publish("third", frames(1, 1))
        assert set(hub._buffers) == {"another", "third"}

    def test_looks_through_all_streams_once_a_second_at_most(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        now, examined = [0.0], []
        monkeypatch.setattr(memory, "_seconds_kept", lambda buffer: examined.append(1) or 3600)
        hub = MemoryHub(clock=lambda: now[0])
        for number in range(100):
            now[0] += 0.05
            hub.publish(str(number), frames(1, 1))
        assert len(examined) < 5 * 100
