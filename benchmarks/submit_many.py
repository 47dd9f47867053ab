"""`submit_many` of 10,000 requests, compared with a plain `bulk_create` of the same rows.

python -m benchmarks.submit_many [--rows 10000] [--pairs 3]
"""

from __future__ import annotations

import argparse
import statistics
import time

from benchmarks.site import set_up

set_up()

from django.db import transaction  # noqa: E402
from django.utils import timezone  # noqa: E402

from creatify_textgen import services  # noqa: E402
from creatify_textgen.models import Generation, GenerationContent  # noqa: E402

BATCH = 1000


def plain(rows: int) -> float:
    """Return the seconds to create and save the plain rows."""
    start = time.perf_counter()
    now = timezone.now()
    generations = [
        Generation(model_name="gemini-2.5-flash", fingerprint="0" * 64, due_at=now)
        for _ in range(rows)
    ]
    contents = [
        GenerationContent(
            generation=generation, messages=[{"role": "user", "content": f"Count to {i}"}]
        )
        for i, generation in enumerate(generations)
    ]
    with transaction.atomic():
        Generation.objects.bulk_create(generations, batch_size=BATCH)
        GenerationContent.objects.bulk_create(contents, batch_size=BATCH)
    return time.perf_counter() - start


def ours(rows: int) -> float:
    """Return the seconds of the service."""
    start = time.perf_counter()
    services.submit_many({"messages": f"Count to {i}"} for i in range(rows))
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--pairs", type=int, default=3)
    options = parser.parse_args()
    ratios = []
    for pair in range(options.pairs):
        bare, full = plain(options.rows), ours(options.rows)
        ratios.append(full / bare)
        print(f"pair {pair}: bulk_create {bare:.2f} s, submit_many {full:.2f} s, {ratios[-1]:.2f}")
        Generation.objects.all().delete()
    print(f"submit_many / bulk_create: median {statistics.median(ratios):.2f} (at most 1.5)")


if __name__ == "__main__":
    main()
