"""Receiving webhooks, compared with a view that only answers 204 and with dj-stripe's view.

All alternate in one run: each delivery for another pending row; the same number for final rows; the
latter again. For dj-stripe: new events, then the same events again. First in gunicorn threads, then
in uvicorn with Django's connection pool. The database is PostgreSQL (TEST_DATABASE_URL names an
existing database). Two processes with raw sockets send the requests. dj-stripe needs the extra
`bench`; if it is not installed, this comparison is left out.

    TEST_DATABASE_URL=postgres://postgres@127.0.0.1:5432/textgen_bench \\
        python -m benchmarks.webhook_receipt [--requests 1000] [--pairs 7] [--threads 8]
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
from collections import defaultdict
from contextlib import ExitStack
from datetime import UTC, datetime
from importlib.util import find_spec
from typing import NamedTuple

from benchmarks.site import set_up

set_up()

from django.db import connection  # noqa: E402

from benchmarks.webhooks.djstripe_events import event_body, signed_request  # noqa: E402
from benchmarks.webhooks.servers import gunicorn, rate, uvicorn  # noqa: E402
from creatify_textgen.dispatch.callbacks import make_token  # noqa: E402
from creatify_textgen.models import Generation  # noqa: E402

BODY = (
    b'{"id":"a1b2c3d4-5678-90ab-cdef-1234567890ab","status":"done","response_text":"'
    b"Create stunning videos in seconds. " + b'","response_function_calls":[],'
    b'"failed_reason":"","credits_used":0.0005}'
)
FAR = datetime(2200, 1, 1, tzinfo=UTC)
STRIPE_SHARE = 4
"""dj-stripe receives this many times fewer requests, because it is slower."""

SITE = "benchmarks.webhooks.site"
STRIPE_SITE = "benchmarks.webhooks.djstripe_site"

Ratios = defaultdict[str, list[float]]


def post(path: str) -> bytes:
    head = (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(BODY)}\r\n\r\n"
    )
    return head.encode() + BODY


def deliveries(count: int, *, status: str) -> list[bytes]:
    """Save this many rows and return a delivery for each."""
    rows = [
        Generation(
            status=status,
            model_name="gemini-2.5-flash",
            fingerprint="0" * 64,
            due_at=FAR if status == "pending" else None,
        )
        for _ in range(count)
    ]
    Generation.objects.bulk_create(rows, batch_size=1000)
    return [post(f"/textgen/webhooks/{row.pk}/{make_token(row.pk)}/") for row in rows]


class Rates(NamedTuple):
    """Requests per second."""

    bare: float
    happy: float
    final: float
    """Of the first delivery for a row that is final."""
    again: float
    """Of the same once more."""

    def __str__(self) -> str:
        return (
            f"bare {self.bare:.0f}/s, ours {self.happy:.0f}/s, for final rows {self.final:.0f}/s, "
            f"duplicates {self.again:.0f}/s"
        )

    def note(self, ratios: Ratios, *, aim: float) -> None:
        ratios[f"happy path / bare 204 (at least {aim})"].append(self.happy / self.bare)
        ratios[f"for final rows / bare 204 (at least {aim})"].append(self.final / self.bare)
        ratios[f"duplicates / bare 204 (at least {aim})"].append(self.again / self.bare)


def measure_ours(port: int, options: argparse.Namespace) -> Rates:
    count, connections = options.requests, options.threads
    happy, final = deliveries(count, status="pending"), deliveries(count, status="done")
    loads = ([post("/bare/")] * count, happy, final, final)
    return Rates(*(rate(port, load, connections=connections) for load in loads))


def measure_stripe(port: int, options: argparse.Namespace) -> tuple[float, float]:
    """Return the rates of new events and of the same events again."""
    bodies = [event_body() for _ in range(options.requests // STRIPE_SHARE)]
    happy = rate(port, [*map(signed_request, bodies)], connections=options.threads)
    again = rate(port, [*map(signed_request, bodies)], connections=options.threads)
    return happy, again


def compare_threads(options: argparse.Namespace) -> None:
    ratios: Ratios = defaultdict(list)
    with ExitStack() as servers:
        port = servers.enter_context(gunicorn(f"{SITE}:application", threads=options.threads))
        stripe_port = 0
        if find_spec("djstripe"):
            subprocess.run([sys.executable, "-m", STRIPE_SITE], check=True)
            stripe = gunicorn(f"{STRIPE_SITE}:application", threads=options.threads)
            stripe_port = servers.enter_context(stripe)
        else:
            print("dj-stripe is not installed (pip install -e '.[bench]'), so it is left out.")
        for pair in range(options.pairs + 1):
            ours = measure_ours(port, options)
            print(ours, flush=True)
            theirs = measure_stripe(stripe_port, options) if stripe_port else None
            if pair:  # the first warms up
                ours.note(ratios, aim=0.45)
                if theirs:
                    note_stripe(ratios, ours, *theirs)
    report("gunicorn threads", ratios)


def note_stripe(ratios: Ratios, ours: Rates, happy: float, again: float) -> None:
    print(f"dj-stripe {happy:.0f}/s, its duplicates {again:.0f}/s", flush=True)
    ratios["happy path / dj-stripe (at least 7)"].append(ours.happy / happy)
    ratios["duplicates / dj-stripe (at least 7)"].append(ours.again / again)
    ratios["for final rows / dj-stripe's duplicates (no aim)"].append(ours.final / again)


def compare_asgi(options: argparse.Namespace) -> None:
    ratios: Ratios = defaultdict(list)
    with uvicorn(f"{SITE}:asgi_application", BENCH_CONNECTIONS=options.connections) as port:
        for pair in range(options.pairs + 1):
            ours = measure_ours(port, options)
            print(ours, flush=True)
            if pair:
                ours.note(ratios, aim=0.5)
    report(f"uvicorn, {options.connections}", ratios)


def report(server: str, ratios: Ratios) -> None:
    for name, values in ratios.items():
        print(
            f"{server} on {connection.vendor}, {name}: median {statistics.median(values):.2f}, "
            f"from {min(values):.2f} to {max(values):.2f}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=1000)
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--threads", type=int, default=8)
    parser.add_argument("--only", choices=["gunicorn", "uvicorn"])
    parser.add_argument(
        "--connections",
        choices=["pool", "persistent", "per_request"],
        default="pool" if connection.vendor == "postgresql" else "per_request",
        help="under uvicorn: Django's pool, CONN_MAX_AGE = None, or CONN_MAX_AGE = 0",
    )
    options = parser.parse_args()
    Generation.objects.all().delete()
    if options.only != "uvicorn":
        compare_threads(options)
    if options.only != "gunicorn":
        compare_asgi(options)
    rounds = (options.pairs + 1) * (1 if options.only else 2)
    noted = Generation.objects.filter(status="pending", deliveries=1).count()
    assert noted == options.requests * rounds, noted
    Generation.objects.all().delete()


if __name__ == "__main__":
    main()
