"""One database URL in, one entry of `DATABASES` out."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import pymysql

ENGINES = {
    "sqlite": "django.db.backends.sqlite3",
    "postgres": "django.db.backends.postgresql",
    "mariadb": "django.db.backends.mysql",
}


def database_from_url(url: str) -> dict[str, Any]:
    """Return the entry for `postgres://user:password@host:port/name`, or the like."""
    parts = urlsplit(url)
    if parts.scheme == "sqlite":
        return _sqlite(Path(parts.path[1:]) if parts.path else None)
    if parts.scheme == "mariadb":
        pymysql.install_as_MySQLdb()
    return {
        "ENGINE": ENGINES[parts.scheme],
        "NAME": parts.path.lstrip("/") or "textgen",
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": parts.hostname or "127.0.0.1",
        "PORT": str(parts.port or ""),
        "OPTIONS": {"charset": "utf8mb4"} if parts.scheme == "mariadb" else {},
    }


def url_of_database(entry: dict[str, Any]) -> str:
    """Return the URL of an entry, for another process that is to use the same database."""
    scheme = next(name for name, engine in ENGINES.items() if engine == entry["ENGINE"])
    if scheme == "sqlite":
        return f"sqlite:///{entry['NAME']}"
    user, password = quote(entry["USER"], safe=""), quote(entry["PASSWORD"], safe="")
    port = f":{entry['PORT']}" if entry["PORT"] else ""
    return f"{scheme}://{user}:{password}@{entry['HOST']}{port}/{entry['NAME']}"


def _sqlite(path: Path | None) -> dict[str, Any]:
    # A file, not memory: threads of one in-memory database answer "table is locked" at once,
    # where a file waits for its turn as in production.
    path = path or Path(tempfile.gettempdir()) / f"textgen-tests-{os.getpid()}.sqlite3"
    return {
        "ENGINE": ENGINES["sqlite"],
        "NAME": path,
        "TEST": {"NAME": path},
        "OPTIONS": {
            "timeout": 20,
            "transaction_mode": "IMMEDIATE",
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF;",
        },
    }
