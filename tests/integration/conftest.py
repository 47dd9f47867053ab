"""A clock that stands still and a remote without sockets, for tests of single steps."""

from __future__ import annotations

import pytest
from django.utils import timezone

from creatify_textgen import clock, gateway
from creatify_textgen.dispatch import sweep_schedule
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
