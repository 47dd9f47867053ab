"""What the example project reads from its environment, and refuses there."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from example_project.environment import cache, database, flag


@pytest.mark.parametrize(
    ("url", "wanted"),
    [
        ("postgres://u:p%40@h:1/n", {"PASSWORD": "p@", "OPTIONS": {}, "CONN_MAX_AGE": 0}),
        ("postgres://h/n?pool=true", {"OPTIONS": {"pool": True}, "CONN_HEALTH_CHECKS": False}),
        ("postgres://h/n?pool=True", {"OPTIONS": {"pool": True}}),
        ("postgres://h/n?pool=0", {"OPTIONS": {"pool": False}}),
        ("postgres://h/n?conn_max_age=60", {"CONN_MAX_AGE": 60, "CONN_HEALTH_CHECKS": True}),
        ("postgres://h/n?sslmode=require", {"OPTIONS": {"sslmode": "require"}}),
        ("sqlite:///site.sqlite3?conn_max_age=60", {"CONN_MAX_AGE": 60}),
    ],
)
def test_database_is_read_from_a_url(
    monkeypatch: pytest.MonkeyPatch, url: str, wanted: dict[str, Any]
) -> None:
    monkeypatch.setenv("DATABASE_URL", url)
    entry = database("DATABASE_URL", default="")
    assert {name: entry[name] for name in wanted} == wanted


@pytest.mark.parametrize("url", ["postgres://h/n?pool=4", "postgres://h/n?conn_max_age=1m", "h/n"])
def test_database_is_refused(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("DATABASE_URL", url)
    with pytest.raises(ImproperlyConfigured, match="DATABASE_URL"):
        database("DATABASE_URL", default="")


@pytest.mark.parametrize(
    ("word", "wanted"),
    [("1", True), (" TRUE ", True), ("on", True), ("0", False), ("False", False), ("", False)],
)
def test_flag_is_read(monkeypatch: pytest.MonkeyPatch, word: str, wanted: bool) -> None:
    monkeypatch.setenv("FLAG", word)
    assert flag("FLAG", default=False) is wanted


def test_flag_of_another_word_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would be off without a word, and cookies would go over the net in the clear."""
    monkeypatch.setenv("FLAG", "enabled")
    with pytest.raises(ImproperlyConfigured, match="FLAG must be one of 1, true"):
        flag("FLAG", default=False)


def test_cache_of_another_server_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each process would have a separate cache, which nothing would report."""
    monkeypatch.setenv("CACHE_URL", "memcached://h:1")
    with pytest.raises(ImproperlyConfigured, match="CACHE_URL must begin with redis"):
        cache("CACHE_URL")
