"""A site full of sentinels: its keys, tokens and prompts are words that can be searched for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.core.cache import cache
from django.test import Client

from creatify_textgen.emulator import Emulator
from tests.faults.sentinels import listening_to_everything, point_to


@pytest.fixture
def sentinel_remote(creatify_emulator: Emulator, settings: Any) -> Emulator:
    """Return an emulator that the site of sentinels uses; nothing takes any time."""
    cache.clear()
    point_to(creatify_emulator.url, settings=settings)
    creatify_emulator.switches.set(
        pending_seconds=0, running_seconds=0, chunk_interval=0, webhook="none"
    )
    return creatify_emulator


@pytest.fixture
def operator_client(db: None) -> Client:
    """Return a client of staff with all our permissions, who gets a bug's page, not its raise."""
    user = User.objects.create_user("operator", is_staff=True)
    ours = Permission.objects.filter(content_type__app_label="creatify_textgen")
    user.user_permissions.set(ours)
    client = Client(raise_request_exception=False)
    client.force_login(user)
    return client


@pytest.fixture
def received() -> Iterator[list[str]]:
    """Give what any logger says during the test."""
    with listening_to_everything() as received:
        yield received
