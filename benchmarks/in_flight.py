"""A full sweep over 2,000 pending generations against a bare pool of requests doing the same GETs.

Both in turn in one run, with the emulator in a process of its own; prints each pair's ratio and
the median. With latency at the emulator the sweep is compared with the ideal for its
concurrency: rows / concurrency * latency.

    python -m benchmarks.in_flight [--rows 2000] [--pairs 3] [--latency 0.1]
"""

from __future__ import annotations

import argparse
import os
import statistics
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from benchmarks.emulator_process import emulator_process
from benchmarks.site import set_up

set_up()

import requests  # noqa: E402
from django.db import connection  # noqa: E402
from django.test.utils import CaptureQueriesContext  # noqa: E402
from django.utils import timezone  # noqa: E402

from creatify_textgen import services  # noqa: E402
from creatify_textgen.models import Generation  # noqa: E402
from creatify_textgen.services.fanout import GETS_AT_ONCE  # noqa: E402

KEYS = {"X-API-ID": "test-api-id", "X-API-KEY": "test-api-key"}


def fill(url: str, rows: int) -> list[str]:
    """Have `rows` generations pending at the emulator and in the database."""
    made = services.submit_many({"messages": f"Count to {i}"} for i in range(rows))
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
    """Seconds for a thread pool of requests sessions to GET them all."""
    local = threading.local()

    def get(remote_id: str) -> object:
        if not hasattr(local, "session"):
            local.session = requests.Session()
            local.session.headers.update(KEYS)
        return local.session.get(f"{url}/sse/text_generator/{remote_id}/", timeout=30).json()

    start = time.perf_counter()
    with ThreadPoolExecutor(GETS_AT_ONCE) as pool:
        list(pool.map(get, ids))
    return time.perf_counter() - start


def swept(rows: int) -> tuple[float, int]:
    """Seconds and statements for a sweep of all rows."""
    Generation.objects.update(next_check_at=timezone.now() - timedelta(seconds=1))
    with CaptureQueriesContext(connection) as statements:
        start = time.perf_counter()
        report = services.sweep(time_limit=600)
        seconds = time.perf_counter() - start
    assert report.looked_at == rows, report
    return seconds, len(statements)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=2000)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--latency", type=float, default=0.1)
    options = parser.parse_args()
    with emulator_process(stuck=True) as emulator:
        os.environ["CREATIFY_BASE_URL"] = emulator.url
        ids = fill(emulator.url, options.rows)
        ratios = []
        for pair in range(options.pairs):
            plain = bare(emulator.url, ids)
            ours, statements = swept(options.rows)
            ratios.append(ours / plain)
            print(
                f"pair {pair}: bare {plain:.2f} s, sweep {ours:.2f} s "
                f"({statements} statements), ratio {ratios[-1]:.2f}"
            )
        print(f"sweep / bare thread pool: median {statistics.median(ratios):.2f} (at most 1.3)")
        emulator.set_switches(latency=options.latency)
        ideal = options.rows / GETS_AT_ONCE * options.latency
        ours, _ = swept(options.rows)
        print(
            f"with {options.latency * 1000:.0f} ms of latency: {ours:.2f} s, "
            f"ideal {ideal:.2f} s, ratio {ours / ideal:.2f} (at most 1.1)"
        )


if __name__ == "__main__":
    main()
