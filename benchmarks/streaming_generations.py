"""Many generations streamed at once by the threads of one worker process, with frames to Redis.

The emulator sends the chunks from a separate process. The streams start within five seconds and
last thirty. First the minimal client reads as many streams in as many threads and does nothing
else, which shows what the machine allows. Then the app does. Prints the times
between the frames of a stream at the moment when they are given to the hub.

With several processes, each one streams that many generations, from the same emulator and to the
same database.

    python -m benchmarks.streaming_generations [--generations 400] [--processes 1]
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

from benchmarks.emulator_process import emulator_process
from benchmarks.site import set_up

set_up()

from django.conf import settings  # noqa: E402
from django.utils import timezone  # noqa: E402

from creatify_textgen import enqueue, gateway, services  # noqa: E402
from creatify_textgen.models import Generation  # noqa: E402
from creatify_textgen.remote import GenerationRequest  # noqa: E402
from creatify_textgen.streams.hub import get_hub  # noqa: E402
from example_project.interpreter import let_collector_rest, switch_rarely  # noqa: E402

REDIS = os.environ.get("TEST_REDIS_URL", "redis://127.0.0.1:6379/9")
CHUNKS = 600
BEGIN_SECONDS = 5.0


class Gaps:
    """Times between two frames of the same stream."""

    def __init__(self) -> None:
        self.last: dict[Any, float] = {}
        self.found: list[float] = []

    def note(self, stream: Any) -> None:
        now = time.perf_counter()
        if stream in self.last:
            self.found.append(now - self.last[stream])
        self.last[stream] = now

    def share(self, part: float) -> str:
        return f"{sorted(self.found)[int(len(self.found) * part)] * 1000:.0f} ms"

    def __str__(self) -> str:
        shares = ", ".join(f"p{part * 100:g} {self.share(part)}" for part in (0.5, 0.95, 0.99))
        return f"{len(self.found)} gaps between frames: {shares}"


def run_threads(work: Callable[[Any], None], subjects: Sequence[Any]) -> None:
    threads = [threading.Thread(target=work, args=[subject]) for subject in subjects]
    for thread in threads:
        thread.start()
        time.sleep(BEGIN_SECONDS / len(threads))
    for thread in threads:
        thread.join()


def pump_all(count: int, gaps: Gaps) -> None:
    hub = get_hub()
    publish = hub.publish

    def note_and_publish(stream: str, frames: Any) -> None:
        gaps.note(stream)
        publish(stream, frames)

    hub.publish = note_and_publish  # type: ignore[method-assign]
    enqueue.stream = lambda generation_id: None
    ids = [services.begin_stream(f"Count to {number}").pk for number in range(count)]
    Generation.objects.filter(pk__in=ids).update(due_at=timezone.now() + timedelta(seconds=60))
    run_threads(services.pump_stream, ids)
    ended = Counter(Generation.objects.filter(pk__in=ids).values_list("status", "error_code"))
    print(
        ", ".join(f"{number} {status} {code}".strip() for (status, code), number in ended.items())
    )
    hub.close()


def read_bare(count: int, gaps: Gaps) -> None:
    def read(number: int) -> None:
        messages = [{"role": "user", "content": f"Count to {number}"}]
        request = GenerationRequest("gemini-2.5-flash", messages)
        with gateway.client_for("default").stream(request) as chunks:
            for _ in chunks:
                gaps.note(number)

    run_threads(read, range(count))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--generations", type=int, default=400)
    parser.add_argument("--interval", type=float, default=0.05)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--upstream", help="used for a process that another one has started")
    options = parser.parse_args()
    if options.upstream:
        measure(options, options.upstream)
        return
    with emulator_process(chunk_interval=options.interval, chunk_count=CHUNKS) as emulator:
        if options.processes == 1:
            measure(options, emulator.url)
            return
        again = [sys.executable, "-m", "benchmarks.streaming_generations", *sys.argv[1:]]
        again += ["--upstream", emulator.url]
        children = [subprocess.Popen(again) for _ in range(options.processes)]
        for child in children:
            child.wait()


def measure(options: argparse.Namespace, upstream: str) -> None:
    account = {"API_ID": "i", "API_KEY": "k", "BASE_URL": upstream}
    settings.CREATIFY_TEXTGEN = {"ACCOUNTS": {"default": account}, "STREAM_BACKEND": REDIS}
    let_collector_rest()
    switch_rarely()
    for name, run in (("bare streams", read_bare), ("generations", pump_all)):
        gaps = Gaps()
        run(options.generations, gaps)
        print(f"{options.generations} {name}: {gaps} ({options.interval * 1e3:.0f} ms upstream)")


if __name__ == "__main__":
    main()
