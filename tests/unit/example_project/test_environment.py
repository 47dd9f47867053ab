"""The example project's one variable for its database."""

from __future__ import annotations

from typing import Any

import pytest

from example_project.environment import database


@pytest.mark.parametrize(
    ("url", "wanted"),
    [
        ("postgres://u:p%40@h:1/n", {"PASSWORD": "p@", "OPTIONS": {}, "CONN_MAX_AGE": 0}),
        ("postgres://h/n?pool=true", {"OPTIONS": {"pool": True}, "CONN_HEALTH_CHECKS": False}),
        ("postgres://h/n?conn_max_age=60", {"CONN_MAX_AGE": 60, "CONN_HEALTH_CHECKS": True}),
        ("postgres://h/n?sslmode=require", {"OPTIONS": {"sslmode": "require"}}),
        ("sqlite:///site.sqlite3?conn_max_age=60", {"CONN_MAX_AGE": 60}),
    ],
)
def test_is_read_from_a_url(
    monkeypatch: pytest.MonkeyPatch, url: str, wanted: dict[str, Any]
) -> None:
    monkeypatch.setenv("DATABASE_URL", url)
    entry = database("DATABASE_URL", default="")
    assert {name: entry[name] for name in wanted} == wanted
