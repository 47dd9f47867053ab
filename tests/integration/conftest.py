"""A clock that stands still and a remote without sockets, for tests of single steps."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from creatify_textgen import clock, gateway
from creatify_textgen.dispatch import sweep_schedule
from creatify_textgen.remote import RemoteClient
from tests.factories import NOW
from tests.faults.remote_double import RemoteDouble


@pytest.fixture
def still_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let it be NOW, as it was when the factories' rows were made."""
    monkeypatch.setattr(clock, "utc_now", lambda: NOW)
    monkeypatch.setattr(clock, "known_now", clock.now)
    monkeypatch.setattr(timezone, "now", lambda: NOW)
    monkeypatch.setattr(sweep_schedule._LastRequest, "until", None)


@pytest.fixture
def double(monkeypatch: pytest.MonkeyPatch) -> RemoteDouble:
    """Return a remote in this process, of the one account there is."""
    remote = RemoteDouble()
    monkeypatch.setattr(gateway, "client_for", {"default": remote}.__getitem__)
    return remote


@pytest.fixture
def connected(monkeypatch: pytest.MonkeyPatch) -> dict[str, bool]:
    """Whether there was a connection to the database at each call of the remote.

    Connections end with their requests, as those of a pool do.
    """
    seen: dict[str, bool] = {}

    def note(name: str) -> None:
        call = getattr(RemoteClient, name)

        def noted(*arguments: Any, **options: Any) -> Any:
            seen[name] = connection.connection is not None
            return call(*arguments, **options)

        monkeypatch.setattr(RemoteClient, name, noted)

    for name in ("create", "get", "remaining_credits"):
        note(name)
    monkeypatch.setitem(connection.settings_dict, "CONN_MAX_AGE", 0)
    connection.close()
    return seen
