"""The memory of one process that streams and polls for a long time.

In rounds it streams generations in threads, attaches to finished ones, and submits and sweeps
others, against an emulator in another process. Prints after each round how much was done and the
resident memory, and at the end by how much it grew after the first round.

    python -m benchmarks.soak [--minutes 20] [--streams 10000] [--polls 100000]
"""

from __future__ import annotations

import argparse
import gc
import os
import resource
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from benchmarks.site import set_up

set_up()

from django.db import connections  # noqa: E402

from benchmarks.emulator_process import emulator_process  # noqa: E402
from creatify_textgen import clock, services  # noqa: E402
from creatify_textgen.models import Generation  # noqa: E402
from creatify_textgen.states import TERMINAL  # noqa: E402

ROUNDS = 20
AT_ONCE = 8


@dataclass
class Done:
    streams: int = 0
    polls: int = 0
    attaches: int = 0


def resident() -> int:
    """Return the process's resident memory in bytes, without garbage."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize()


def stream_and_attach(_: int) -> None:
    """Read one stream to its end, then once more when it has finished."""
    try:
        with services.stream("Count to ten") as stream:
            list(stream)
        with services.attach(stream.generation) as again:
            list(again)
    finally:
        connections.close_all()


def poll(rows: int) -> int:
    """Submit so many and sweep until all have ended; return how often the remote was asked."""
    services.submit_many({"messages": f"Count to {number}"} for number in range(rows))
    polled = 0
    while waiting := Generation.objects.exclude(status__in=TERMINAL):
        waiting.update(due_at=clock.now())
        polled += services.sweep(time_limit=60).polled
    return polled


def rounds(streams: int, polls: int, *, until: float) -> Iterator[Done]:
    """Work in rounds, each a part of the whole, and yield what was done so far."""
    done = Done()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for _ in range(ROUNDS):
            list(pool.map(stream_and_attach, range(max(1, streams // ROUNDS))))
            done.streams += max(1, streams // ROUNDS)
            done.attaches = done.streams
            wanted = done.polls + polls // ROUNDS
            while done.polls < wanted and time.monotonic() < until:
                done.polls += poll(100)
            # What is kept of the work would grow, and is no memory of the process.
            Generation.objects.all().delete()
            yield done
            if time.monotonic() > until:
                return


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--streams", type=int, default=10_000)
    parser.add_argument("--polls", type=int, default=100_000)
    options = parser.parse_args()
    until = time.monotonic() + 60 * options.minutes
    first = last = 0
    with emulator_process(chunk_interval=0.001, pending_seconds=0.0) as emulator:
        os.environ["CREATIFY_BASE_URL"] = emulator.url
        for done in rounds(options.streams, options.polls, until=until):
            last = resident()
            first = first or last
            print(
                f"{done.streams} streams, {done.attaches} attaches, {done.polls} polls: "
                f"{last / 1e6:.1f} MB, {threading.active_count()} threads",
                flush=True,
            )
    print(f"after the first round {first / 1e6:.1f} MB, at the end {last / first:.3f} times that")


if __name__ == "__main__":
    main()
