"""Every page of a history of 100,000 generations compared with one of 1,000,000.

Both databases are made on the PostgreSQL of TEST_DATABASE_URL, unless they are there already. The
pages alternate between them. Prints for each page the milliseconds in both and their ratio, and the
blocks (8 kB) that PostgreSQL read for it in both, which do not depend on how busy the machine is.

    TEST_DATABASE_URL=postgres://postgres@127.0.0.1:5432/postgres \\
        python -m benchmarks.history [--rows 100000 1000000] [--rounds 5] [--only WORD] \\
        [--fresh] [--plans]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple
from unittest import mock

import psycopg
from psycopg.sql import SQL, Identifier

from benchmarks.site import set_up

SERVER = os.environ.get("TEST_DATABASE_URL", "").rpartition("/")[0]
if not SERVER.startswith("postgres"):
    raise SystemExit("TEST_DATABASE_URL must name a database of PostgreSQL.")
parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--rows", type=int, nargs=2, default=[100_000, 1_000_000])
parser.add_argument("--rounds", type=int, default=5)
parser.add_argument("--only", default="", help="a word in the names of the pages")
parser.add_argument("--fresh", action="store_true", help="make the databases again")
parser.add_argument("--plans", action="store_true", help="print the plans in the large one")
options = parser.parse_args()
LARGE = "large"
ALIASES = ("default", LARGE)
MANY_BLOCKS = 1000
"""A page of a history needs fewer."""


def _make_databases() -> None:
    with psycopg.connect(os.environ["TEST_DATABASE_URL"], autocommit=True) as server:
        for rows in options.rows:
            name = f"textgen_history_{rows}"
            if options.fresh:
                server.execute(SQL("DROP DATABASE IF EXISTS {}").format(Identifier(name)))
            found = server.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name])
            if found.fetchone() is None:
                server.execute(SQL("CREATE DATABASE {}").format(Identifier(name)))


_make_databases()
os.environ["TEST_DATABASE_URL"] = f"{SERVER}/textgen_history_{options.rows[0]}"

from tests import settings as site_settings  # noqa: E402
from tests.databases import database_from_url  # noqa: E402

site_settings.DATABASES[LARGE] = database_from_url(f"{SERVER}/textgen_history_{options.rows[1]}")
site_settings.DATABASE_ROUTERS = ["benchmarks.history.routing.OneDatabase"]
site_settings.ROOT_URLCONF = "benchmarks.history.urls"
set_up()

from django.contrib.auth import get_user_model  # noqa: E402
from django.core.cache import cache  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.db import connections  # noqa: E402
from django.test import Client  # noqa: E402

from benchmarks.history.pages import Page, Samples, pages, read_samples  # noqa: E402
from benchmarks.history.routing import OneDatabase  # noqa: E402
from benchmarks.history.seed import seed  # noqa: E402
from creatify_textgen.dispatch import balance  # noqa: E402
from creatify_textgen.models import Generation  # noqa: E402


class Visitors(NamedTuple):
    """The two who ask, signed in to one database."""

    staff: Client
    user: Client
    samples: Samples


def visitors(alias: str) -> Visitors:
    OneDatabase.alias = alias
    users = get_user_model()._default_manager
    staff, _ = users.get_or_create(username="staff", is_staff=True, is_superuser=True)
    samples = read_samples(using=alias)
    clients = Client(), Client()
    for client, who in zip(clients, (staff, users.get(pk=samples.owner)), strict=True):
        client.force_login(who)
    return Visitors(*clients, samples)


def ask(client: Client, page: Page) -> float:
    """Return the milliseconds of one answer, read whole."""
    # What a cache remembers for minutes is as fast in any history.
    cache.clear()
    start = time.perf_counter()
    response = client.get(page.path)
    size = len(b"".join(response)) if response.streaming else len(response.content)
    milliseconds = (time.perf_counter() - start) * 1000
    if response.status_code not in (200, 302, 400) or (response.status_code == 200 and not size):
        raise SystemExit(f"{page.path} answered {response.status_code}.")
    return milliseconds


@contextmanager
def noted(alias: str) -> Iterator[list[tuple[str, Any]]]:
    """Collect the SELECTs of the block."""
    found: list[tuple[str, Any]] = []

    def note(execute: Any, sql: str, params: Any, *rest: Any) -> Any:
        if sql.startswith("SELECT"):
            found.append((sql, params))
        return execute(sql, params, *rest)

    with connections[alias].execute_wrapper(note):
        yield found


def count_blocks(alias: str, statements: list[tuple[str, Any]]) -> int:
    """Return the blocks that PostgreSQL reads for these statements, from its memory or the disk."""
    blocks = 0
    with connections[alias].cursor() as cursor:
        for sql, params in statements:
            cursor.execute(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {sql}", params)
            plan = cursor.fetchone()[0][0]["Plan"]
            read = plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]
            blocks += read
            if options.plans and alias == LARGE and read > MANY_BLOCKS:
                print(sql[:2000], params, json.dumps(plan, indent=1)[:4000], sep="\n")
    return blocks


def compare(name: str, sides: Mapping[str, tuple[Client, Page]]) -> None:
    """Print one line: a page in both databases."""
    times: dict[str, list[float]] = {alias: [] for alias in sides}
    blocks, statements = [], []
    for turn in range(options.rounds + 1):
        for alias, (client, page) in sides.items():
            OneDatabase.alias = alias
            if turn:
                times[alias].append(ask(client, page))
                continue
            with noted(alias) as found:  # and the caches are warm after it
                ask(client, page)
            statements.append(len(found))
            blocks.append(count_blocks(alias, found))
    small, large = (statistics.median(side) for side in times.values())
    counts = "".join(f" {count:9,}" for count in (*blocks, statements[-1]))
    print(f"{name:52} {small:8.1f} {large:8.1f} {large / small:6.2f}{counts}", flush=True)


def compare_all(sides: Mapping[str, Visitors]) -> None:
    heads = ("ms", "ms", "ratio", "blocks", "blocks", "SELECTs")
    widths = (8, 8, 6, 9, 9, 9)
    head = " ".join(f"{word:>{width}}" for word, width in zip(heads, widths, strict=True))
    print(f"{'':52} {head}")
    for pair in zip(*(pages(who.samples) for who in sides.values()), strict=True):
        name = pair[0].name
        if options.only in name:
            asked = zip(sides.items(), pair, strict=True)
            compare(
                name,
                {alias: (who.user if p.is_mine else who.staff, p) for (alias, who), p in asked},
            )


def main() -> None:
    for alias, rows in zip(ALIASES, options.rows, strict=True):
        OneDatabase.alias = alias
        call_command("migrate", database=alias, verbosity=0)
        if Generation.objects.count() < rows:
            print(f"{rows:,} generations in {seed(rows, using=alias):.0f} s")
    # The balance is the remote's, and none is here.
    with mock.patch.object(balance, "_ask", return_value=None):
        compare_all({alias: visitors(alias) for alias in ALIASES})


if __name__ == "__main__":
    main()
