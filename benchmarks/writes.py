"""What one generation writes, from `submit` to done: statements, WAL and indexes on PostgreSQL.

Each generation is submitted, sent and reported by a webhook by itself; a sweep then fetches the
results of `--batch` of them. Counts do not depend on how busy the machine is, but other users of
the same PostgreSQL write WAL, too: TEST_DATABASE_URL names an existing database on a server that
nobody else uses.

    TEST_DATABASE_URL=postgres://postgres@127.0.0.1:5432/textgen_bench \\
        python -m benchmarks.writes [--rows 500] [--batch 50] [--show]
"""

from __future__ import annotations

import argparse
import os
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from benchmarks.emulator_process import emulator_process
from benchmarks.site import set_up

set_up()

from django.conf import settings  # noqa: E402
from django.contrib.auth.models import User  # noqa: E402
from django.db import connection  # noqa: E402

from creatify_textgen import services  # noqa: E402
from creatify_textgen.dispatch.callbacks import make_token  # noqa: E402
from creatify_textgen.models import Generation  # noqa: E402
from tests import celery_app as _celery_app  # noqa: E402, F401

PROMPT = "Write a short tagline for an AI video tool that makes ten videos from one idea. " * 3
BODY = (
    b'{"id":"%s","status":"done","response_text":"Create stunning videos in seconds.",'
    b'"response_function_calls":[],"failed_reason":"","credits_used":0.0005}'
)
TABLE = Generation._meta.db_table


class Statements:
    """Counts the statements of each phase, and the seconds of CPU time in this process."""

    def __init__(self) -> None:
        self.seen: dict[str, Counter[str]] = defaultdict(Counter)
        self.seconds: dict[str, float] = defaultdict(float)

    @contextmanager
    def of(self, phase: str) -> Iterator[None]:
        def note(execute: Any, sql: str, *rest: Any) -> Any:
            self.seen[phase][sql] += 1
            return execute(sql, *rest)

        begun = time.process_time()
        with connection.execute_wrapper(note):
            yield
        self.seconds[phase] += time.process_time() - begun


def run(rows: int, *, batch: int, owner: User | None, statements: Statements) -> None:
    """Bring this many generations from the intent to their results."""
    for first in range(0, rows, batch):
        made = []
        for _ in range(first, min(first + batch, rows)):
            with statements.of("submit"):
                made.append(services.submit(PROMPT, owner=owner))
            with statements.of("send"):
                services.send_generation(made[-1].pk)
        for generation in made:
            body = BODY % str(generation.reloaded().remote_id).encode()
            with statements.of("webhook"):
                services.receive_delivery(generation.pk, token=make_token(generation.pk), body=body)
        with statements.of("sweep"):
            services.sweep()
    left = Generation.objects.exclude(status="done").count()
    assert left == 0, f"{left} of {rows} are not done"


def wal() -> tuple[int, int, int]:
    """Return the bytes of WAL so far, and of them the records and whole pages."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_force_next_flush()")
        cursor.execute("SELECT wal_records, wal_fpi, wal_bytes FROM pg_stat_wal")
        records, pages, size = cursor.fetchone()
    return int(size), int(records), int(pages)


def updates() -> tuple[int, int]:
    """Return the UPDATEs of rows in the table of generations so far, and those of them in place."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = %s", [TABLE]
        )
        return cursor.fetchone()


def differences(now: tuple[int, ...], then: tuple[int, ...]) -> Iterator[int]:
    return (new - old for new, old in zip(now, then, strict=True))


def show_indexes() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT indexrelname, pg_relation_size(indexrelid) FROM pg_stat_user_indexes "
            "WHERE relname = %s ORDER BY 2 DESC",
            [TABLE],
        )
        for name, size in cursor.fetchall():
            print(f"  {name:50} {size / 1024:8.0f} kB")


def measure(options: argparse.Namespace, *, owner: User | None) -> None:
    run(options.batch, batch=options.batch, owner=owner, statements=Statements())
    statements = Statements()
    size, records, pages = wal()
    updated, in_place = updates()
    run(options.rows, batch=options.batch, owner=owner, statements=statements)
    size, records, pages = differences(wal(), (size, records, pages))
    updated, in_place = differences(updates(), (updated, in_place))
    counts = {phase: seen.total() / options.rows for phase, seen in statements.seen.items()}
    each = ", ".join(f"{phase} {count:.2f}" for phase, count in counts.items())
    print(f"owner {owner}: {sum(counts.values()):.2f} statements ({each})")
    print(
        f"  {size / options.rows:,.0f} bytes of WAL in {records / options.rows:.1f} records and "
        f"{pages / options.rows:.2f} whole pages; {updated / options.rows:.2f} UPDATEs of the row, "
        f"{in_place / options.rows:.2f} in place"
    )
    used = {phase: seconds / options.rows * 1000 for phase, seconds in statements.seconds.items()}
    each = ", ".join(f"{phase} {milliseconds:.2f}" for phase, milliseconds in used.items())
    print(f"  {sum(used.values()):.1f} ms of CPU time in this process ({each})")
    if options.show:
        for phase, seen in statements.seen.items():
            for sql, count in seen.most_common():
                print(f"  {phase:8} {count / options.rows:6.2f} {sql[:170]}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=500)
    parser.add_argument("--batch", type=int, default=50)
    parser.add_argument("--show", action="store_true", help="print the statements")
    options = parser.parse_args()
    if connection.vendor != "postgresql":
        print("Not measured: TEST_DATABASE_URL must name a database of PostgreSQL.")
        return
    with emulator_process() as emulator:
        os.environ["CREATIFY_BASE_URL"] = emulator.url
        settings.CREATIFY_TEXTGEN["WEBHOOK_BASE_URL"] = "https://shop.example/textgen/"
        measure(options, owner=None)
        settings.CREATIFY_TEXTGEN.pop("LIMITS")
        measure(options, owner=User.objects.get_or_create(username="writer")[0])
    show_indexes()


if __name__ == "__main__":
    main()
