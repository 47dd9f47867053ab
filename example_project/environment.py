"""Turns environment variables into values for settings. Knows no setting by name."""

from __future__ import annotations

import os
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured

__all__ = ["cache", "database", "flag", "items", "number", "text"]

YES, NO = ("1", "true", "yes", "on"), ("0", "false", "no", "off")
ENGINES = {
    "sqlite": "sqlite3",
    "postgres": "postgresql",
    "postgresql": "postgresql",
    "mysql": "mysql",
    "mariadb": "mysql",
}
SQLITE_OPTIONS = {
    # Writers wait for each other instead of failing. Readers never wait.
    "timeout": 20,
    "transaction_mode": "IMMEDIATE",
    # A commit that copies the log into the file waits for the disk, so copy only every 80 MB.
    "init_command": (
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA wal_autocheckpoint=20000;"
    ),
}


def text(name: str, default: str = "") -> str:
    """Return the variable, or the default if it is unset or empty."""
    return os.environ.get(name) or default


def flag(name: str, *, default: bool) -> bool:
    """Return whether the variable says 1, true, yes or on.

    Raises: ImproperlyConfigured for a word that is neither yes nor no.
    """
    value = text(name)
    return _is_yes(value, name) if value else default


def number(name: str, default: float) -> float:
    """Return the variable as a number. Raises: ImproperlyConfigured if it is not a number."""
    value = text(name, str(default))
    try:
        return float(value)
    except ValueError:
        raise ImproperlyConfigured(f"{name} must be a number, not {value!r}.") from None


def items(name: str, default: str = "") -> list[str]:
    """Return the items of the variable, which are separated by commas."""
    return [item.strip() for item in text(name, default).split(",") if item.strip()]


def database(name: str, *, default: str) -> dict[str, Any]:
    """Return an entry of DATABASES for a URL like `postgres://user:password@host:port/name`.

    `mariadb://` uses mysqlclient, or PyMySQL if only that is installed. `sqlite:///` is followed by
    a path. Options follow a question mark: `pool=true` uses psycopg's pool, and `conn_max_age=60`
    keeps a thread's connection for that many seconds.
    """
    parts = urlsplit(text(name, default))
    engine = ENGINES.get(parts.scheme)
    if engine is None:
        raise ImproperlyConfigured(f"{name} must begin with one of {', '.join(ENGINES)}.")
    options: dict[str, Any] = dict(parse_qsl(parts.query))
    seconds = _whole_number(options.pop("conn_max_age", "0"), f"conn_max_age in {name}")
    if engine == "sqlite3":
        return {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": Path(unquote(parts.path[1:])).absolute(),
            "OPTIONS": SQLITE_OPTIONS,
            "CONN_MAX_AGE": seconds,
        }
    if engine == "mysql":
        options.setdefault("charset", "utf8mb4")
        _find_mysql_driver()
    if "pool" in options:
        options["pool"] = _is_yes(options["pool"], f"pool in {name}")
    return {
        "ENGINE": f"django.db.backends.{engine}",
        "NAME": unquote(parts.path.lstrip("/")),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": parts.hostname or "",
        "PORT": str(parts.port or ""),
        "OPTIONS": options,
        "CONN_MAX_AGE": seconds,
        "CONN_HEALTH_CHECKS": seconds > 0,
    }


def cache(name: str) -> dict[str, Any]:
    """Return an entry of CACHES: Redis for its address, memory of this process without one.

    Raises: ImproperlyConfigured for another address.
    """
    location = text(name)
    if not location:
        return {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}
    if not location.startswith(("redis://", "rediss://", "unix://")):
        raise ImproperlyConfigured(f"{name} must begin with redis://, rediss:// or unix://.")
    return {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": location}


def _is_yes(value: str, name: str) -> bool:
    word = value.strip().lower()
    if word not in (*YES, *NO):
        raise ImproperlyConfigured(f"{name} must be one of {', '.join((*YES, *NO))}.")
    return word in YES


def _whole_number(value: str, name: str) -> int:
    try:
        return int(value)
    except ValueError:
        raise ImproperlyConfigured(f"{name} must be a whole number, not {value!r}.") from None


def _find_mysql_driver() -> None:
    if find_spec("MySQLdb") is None and find_spec("pymysql") is not None:
        import_module("pymysql").install_as_MySQLdb()
