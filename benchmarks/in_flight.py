"""A full sweep over 2,000 pending generations, compared with the same GETs in a thread pool.

Both alternate in one run, with the emulator in a separate process. Prints the ratio of each pair
and the median, in time and in CPU time of this process. If the emulator has latency, the sweep is
compared with the ideal for its concurrency: rows / concurrency * latency. At the end one more
generation is due, at a second emulator that takes `--slow` seconds to answer: when are the other
polls written, with and without this call?

    python -m benchmarks.in_flight [--rows 2000] [--pairs 3] [--latency 0.1] [--slow 12]
"""

from __future__ import annotations

import argparse
import os
import statistics
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from typing import Any, TypeVar
from unittest import mock

from benchmarks.emulator_process import emulator_process
from benchmarks.site import set_up

set_up()

import requests  # noqa: E402
from django.conf import settings  # noqa: E402
from django.db import connection  # noqa: E402
from django.test.utils import CaptureQueriesContext  # noqa: E402
from django.utils import timezone  # noqa: E402

from creatify_textgen import services  # noqa: E402
from creatify_textgen.conf import conf  # noqa: E402
from creatify_textgen.models import Generation  # noqa: E402
from creatify_textgen.recovery import sweep as sweeping  # noqa: E402
from creatify_textgen.recovery.polling import settle_polls  # noqa: E402

T = TypeVar("T")
KEYS = {"X-API-ID": "test-api-id", "X-API-KEY": "test-api-key"}
SLOW = "slow"
"""The account whose emulator takes long to answer."""


def fill(url: str, rows: int, *, account: str = "default") -> list[str]:
    """Create `rows` pending generations in the emulator and in the database."""
    prompts = ({"messages": f"Count to {i}"} for i in range(rows))
    made = services.submit_many(prompts, account=account)
    with ThreadPoolExecutor(8) as pool:
        ids = list(pool.map(lambda i: _create(url, f"Count to {i}"), range(rows)))
    for generation, remote_id in zip(made, ids, strict=True):
        generation.status, generation.remote_id = "pending", remote_id
        generation.submitted_at = timezone.now()
    Generation.objects.bulk_update(made, ["status", "remote_id", "submitted_at"], batch_size=200)
    return ids


def _create(url: str, prompt: str) -> str:
    body = {
        "model_name": "gemini-2.5-flash",
        "messages": [{"role": "user", "content": prompt}],
    }
    answer = requests.post(f"{url}/sse/text_generator/", json=body, headers=KEYS, timeout=30)
    return str(answer.json()["id"])


def bare(url: str, ids: list[str]) -> float:
    """Return the seconds that a thread pool of requests sessions needs to GET them all."""
    local = threading.local()

    def get(remote_id: str) -> object:
        if not hasattr(local, "session"):
            local.session = requests.Session()
            local.session.headers.update(KEYS)
        return local.session.get(f"{url}/sse/text_generator/{remote_id}/", timeout=30).json()

    start = time.perf_counter()
    with ThreadPoolExecutor(conf.polls_at_once) as pool:
        list(pool.map(get, ids))
    return time.perf_counter() - start


def with_cpu(call: Callable[[], T]) -> tuple[T, float]:
    """Return what it returns, and the seconds of CPU time of this process."""
    begun = time.process_time()
    result = call()
    return result, time.process_time() - begun


def swept(rows: int) -> tuple[float, int]:
    """Return the seconds and statements of a sweep of all rows."""
    Generation.objects.update(due_at=timezone.now() - timedelta(seconds=1))
    with CaptureQueriesContext(connection) as statements:
        start = time.perf_counter()
        report = services.sweep(time_limit=600)
        seconds = time.perf_counter() - start
    assert report.polled == rows, report
    return seconds, len(statements)


def written_after(*, with_slow_call: bool) -> float:
    """Return the seconds until a sweep has written its last poll of a row of the quick account."""
    now = timezone.now()
    Generation.objects.update(due_at=now - timedelta(seconds=1))
    # The slow row is due first, so its call begins before the others.
    due_at = now - timedelta(seconds=2) if with_slow_call else now + timedelta(hours=1)
    Generation.objects.filter(account=SLOW).update(due_at=due_at)
    waiting = set(Generation.objects.exclude(account=SLOW).values_list("pk", flat=True))
    start, ended = time.perf_counter(), 0.0

    def settle_and_note(polls: Any, **options: Any) -> None:
        nonlocal ended
        settle_polls(polls, **options)
        done = {row.pk for poll in polls for row in poll.generations} & waiting
        if done:
            waiting.difference_update(done)
            ended = time.perf_counter() - start

    with mock.patch.object(sweeping, "settle_polls", settle_and_note):
        services.sweep(time_limit=600)
    assert not waiting, len(waiting)
    return ended


def beside_a_slow_call(url: str, *, seconds: float, pairs: int) -> None:
    """Print how much later the quick polls are written while one call takes this long."""
    keys = {"API_ID": KEYS["X-API-ID"], "API_KEY": KEYS["X-API-KEY"]}
    with emulator_process(stuck=True) as slow:
        settings.CREATIFY_TEXTGEN = {
            **settings.CREATIFY_TEXTGEN,
            "ACCOUNTS": {
                "default": {**keys, "BASE_URL": url},
                SLOW: {**keys, "BASE_URL": slow.url},
            },
        }
        [row] = fill(slow.url, 1, account=SLOW)
        assert row
        slow.set_switches(latency=seconds)
        ratios = []
        for pair in range(pairs):
            alone = written_after(with_slow_call=False)
            beside = written_after(with_slow_call=True)
            ratios.append(beside / alone)
            print(f"pair {pair}: alone {alone:.2f} s, beside {beside:.2f} s, {ratios[-1]:.2f}")
        median = statistics.median(ratios)
        print(f"beside a call of {seconds:.0f} s / alone: median {median:.2f} (at most 1.2)")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=2000)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--latency", type=float, default=0.1)
    parser.add_argument("--slow", type=float, default=12, help="0: without this part")
    options = parser.parse_args()
    with emulator_process(stuck=True) as emulator:
        os.environ["CREATIFY_BASE_URL"] = emulator.url
        # Longer than a sweep on a slow machine: no row is polled twice by one.
        settings.CREATIFY_TEXTGEN = {**settings.CREATIFY_TEXTGEN, "POLL_INTERVAL": 60}
        ids = fill(emulator.url, options.rows)
        ratios, used = [], []
        for pair in range(options.pairs):
            plain, plain_cpu = with_cpu(partial(bare, emulator.url, ids))
            (ours, statements), cpu = with_cpu(partial(swept, options.rows))
            ratios.append(ours / plain)
            used.append(cpu / plain_cpu)
            print(
                f"pair {pair}: bare {plain:.2f} s, sweep {ours:.2f} s "
                f"({statements} statements), ratio {ratios[-1]:.2f}; CPU time of a row "
                f"{plain_cpu / options.rows * 1000:.2f} and {cpu / options.rows * 1000:.2f} ms"
            )
        print(f"sweep / bare thread pool: median {statistics.median(ratios):.2f} (at most 1.3)")
        print(f"in CPU time: median {statistics.median(used):.2f}")
        emulator.set_switches(latency=options.latency)
        ideal = options.rows / conf.polls_at_once * options.latency
        ours, _ = swept(options.rows)
        print(
            f"with {options.latency * 1000:.0f} ms of latency: {ours:.2f} s, "
            f"ideal {ideal:.2f} s, ratio {ours / ideal:.2f} (at most 1.1)"
        )
        if options.slow:
            emulator.set_switches(latency=0)
            beside_a_slow_call(emulator.url, seconds=options.slow, pairs=options.pairs)


if __name__ == "__main__":
    main()
