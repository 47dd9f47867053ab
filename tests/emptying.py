"""Empties the database between tests that commit, by less than Django's `flush`.

`flush` truncates every table, for which PostgreSQL and MariaDB make new files, and then writes the
permissions again. Here only the rows that a test left are deleted. What migrations write stays.
"""

from __future__ import annotations

from typing import Any

from django.core.management.commands.flush import Command
from django.db import connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

KEPT = {"auth_permission", "django_content_type", "django_migrations"}


def empty(command: Command, *, database: str, **options: Any) -> None:
    """Delete all rows but those that migrations write. Has the signature of `Command.handle`."""
    connection = connections[database]
    with transaction.atomic(using=database), connection.constraint_checks_disabled():
        for table in _tables_with_rows(connection):
            with connection.cursor() as cursor:
                cursor.execute(f"DELETE FROM {connection.ops.quote_name(table)}")


def _tables_with_rows(connection: BaseDatabaseWrapper) -> list[str]:
    tables = set(connection.introspection.django_table_names(include_views=False)) - KEPT
    existing = sorted(tables & set(connection.introspection.table_names()))
    if not existing:  # a router keeps them all elsewhere
        return []
    quote = connection.ops.quote_name
    columns = ", ".join(f"EXISTS(SELECT 1 FROM {quote(table)})" for table in existing)
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {columns}")
        has_rows = cursor.fetchone() or ()
    return [table for table, has_row in zip(existing, has_rows, strict=True) if has_row]
