"""Fills a PostgreSQL database with a history: owners, generations, contents and usage by day.

    TEST_DATABASE_URL=postgres://postgres@127.0.0.1:5432/NAME \\
        python -m benchmarks.history.seed [--rows 1000000]

NAME is an existing, empty database. The site has the same traffic every day,
so more rows are a longer history and more users. The rows are written by SQL on the server: a
million of them takes about a minute.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

from benchmarks.site import set_up

if __name__ == "__main__":
    set_up()

from django.contrib.auth import get_user_model
from django.db import connection, connections, models
from django.utils import timezone

from creatify_textgen.models import Generation, GenerationContent, UsageDay, UsageTotal

PER_DAY = 2740
"""Generations a day: a million in a year."""
PER_USER = 300
OPEN = 200
"""The latest generations, which have not ended."""
MODELS = ("gemini-3-flash-preview", "gemini-3-pro-preview", "gemini-2.5-flash", "gemini-2.5-pro")

# The columns that differ between rows, by what a row of `numbered` knows: its number `n`, its time
# `at`, and three random numbers. All other columns have their defaults.
DIGEST = "md5(n::text)"
GENERATIONS = {
    "id": f"(lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || '7' || "
    f"substr({DIGEST}, 1, 3) || 'a' || substr({DIGEST}, 4, 15))::uuid",
    "owner_id": "CASE WHEN luck < 0.99 THEN %(first_user)s + floor(%(users)s * power(who, 2)) END",
    "mode": "CASE WHEN how < 0.8 THEN 'async' WHEN how < 0.95 THEN 'stream' ELSE 'sync' END",
    "status": "CASE WHEN n > %(rows)s - %(open)s THEN CASE WHEN how < 0.9 THEN 'pending' "
    "ELSE 'queued' END WHEN luck < 0.93 THEN 'done' WHEN luck < 0.98 THEN 'failed' "
    "WHEN luck < 0.999 THEN 'cancelled' ELSE 'expired' END",
    "model_name": f"(ARRAY{list(MODELS)})[1 + floor(4 * how * how)]",
    "excerpt": f"'Write a short tagline for product ' || {DIGEST} || ' of our store.'",
    "remote_id": f"CASE WHEN n <= %(rows)s - %(open)s THEN md5({DIGEST})::uuid::text END",
    "fingerprint": f"{DIGEST} || {DIGEST}",
    "credits_used": "CASE WHEN luck < 0.925 THEN round((0.0001 + how / 1000)::numeric, 10) END",
    "error_code": "CASE WHEN luck BETWEEN 0.93 AND 0.98 THEN 'rate_limited' ELSE '' END",
    "metadata": "jsonb_build_object('order', n)",
    "attempts": "1",
    "deliveries": "1",
    "due_at": "CASE WHEN n > %(rows)s - %(open)s OR luck >= 0.999 THEN %(now)s + interval '1 day' "
    "END",
    "created_at": "at",
    "updated_at": "at + how * interval '20 seconds'",
    "first_submitted_at": "at",
    "submitted_at": "at",
    "finished_at": "CASE WHEN n <= %(rows)s - %(open)s THEN at + how * interval '20 seconds' END",
}
NUMBERED = """
    (SELECT n, random() AS luck, random() AS how, random() AS who,
            %(now)s - (%(rows)s - n) * interval '1 day' / %(per_day)s AS at
     FROM generate_series(1, %(rows)s) AS n OFFSET 0) AS numbered
"""
CONTENTS = {
    "generation_id": "id",
    "messages": """'[{"role":"user","content":"' || excerpt || ' Keep it below ten words."}]'""",
    "response_text": "repeat(excerpt || ' ', 5)",
}
USAGE = {
    "key": "md5(concat_ws('/', day, owner_id, model_name, status))::uuid",
    "day": "day",
    "account": "'default'",
    "owner_id": "owner_id",
    "model_name": "model_name",
    "status": "status",
    "generations": "count(*)",
    "credits_used": "coalesce(sum(credits_used), 0)",
    "credits_unknown": "count(*) FILTER (WHERE credits_used IS NULL)",
}
TOTALS = {name: value for name, value in USAGE.items() if name != "owner_id"} | {
    "key": "md5(concat_ws('/', day, model_name, status))::uuid"
}


def seed(rows: int, *, using: str = "default") -> float:
    """Fill the empty tables of this alias, and return the seconds that it took."""
    start = time.perf_counter()
    first_user, users = _create_users(max(rows // PER_USER, 10), using=using)
    values = {
        "rows": rows,
        "open": OPEN,
        "per_day": PER_DAY,
        "now": timezone.now(),
        "first_user": first_user,
        "users": users,
    }
    _insert(Generation, GENERATIONS, f"FROM {NUMBERED} ORDER BY n", values, using=using)
    table = Generation._meta.db_table
    _insert(GenerationContent, CONTENTS, f"FROM {table}", values, using=using)
    ended = f"FROM (SELECT *, finished_at::date AS day FROM {table} WHERE finished_at IS NOT NULL)"
    groups = "AS ended GROUP BY day, model_name, status"
    _insert(UsageDay, USAGE, f"{ended} {groups}, owner_id", values, using=using)
    _insert(UsageTotal, TOTALS, f"{ended} {groups}", values, using=using)
    with connections[using].cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")
    return time.perf_counter() - start


def _create_users(count: int, *, using: str) -> tuple[int, int]:
    users = get_user_model()._default_manager.using(using)
    names = (f"user{number}" for number in range(count))
    made = users.bulk_create(users.model(username=name) for name in names)
    return made[0].pk, count


def _insert(
    model: type[models.Model],
    expressions: dict[str, str],
    source: str,
    values: dict[str, Any],
    *,
    using: str,
) -> None:
    """INSERT … SELECT with an expression, or the default, for each column of the model."""
    values, selected = dict(values), []
    columns = [field for field in model._meta.concrete_fields if not _is_serial(field)]
    for field in columns:
        column = str(field.column)
        if column not in expressions:
            default = field.get_db_prep_save(field.get_default(), connections[using])
            values[f"default_{column}"] = default
        selected.append(expressions.get(column, f"%(default_{column})s"))
    names = ", ".join(f'"{field.column}"' for field in columns)
    statement = f'INSERT INTO "{model._meta.db_table}" ({names}) SELECT {", ".join(selected)}'
    with connections[using].cursor() as cursor:
        # Without a check of each foreign key: they are right.
        cursor.execute("SET session_replication_role = replica")
        cursor.execute(f"{statement} {source}", values)
        cursor.execute("SET session_replication_role = DEFAULT")


def _is_serial(field: models.Field[Any, Any]) -> bool:
    return isinstance(field, models.AutoField)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    options = parser.parse_args()
    if connection.vendor != "postgresql":
        raise SystemExit("TEST_DATABASE_URL must name an empty database of PostgreSQL.")
    if Generation.objects.exists():
        raise SystemExit("The database has generations already; name an empty one.")
    print(f"{options.rows:,} generations in {seed(options.rows):.0f} s")


if __name__ == "__main__":
    main()
