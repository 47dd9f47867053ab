"""A request that waits for the remote leaves its connections to others meanwhile."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from rest_framework.test import APIClient

from creatify_textgen import services
from creatify_textgen.emulator import Emulator

from .conftest import URL

pytestmark = pytest.mark.django_db(transaction=True)

HELLO = {"messages": [{"role": "user", "content": "Hello"}]}


def test_has_no_connection_during_a_wait(
    api: APIClient, remote: Emulator, connected: dict[str, bool]
) -> None:
    remote.switches.set(sync_answer="pending")
    response = api.post(URL, {**HELLO, "sync": True}, format="json")
    assert response.json()["status"] == "done"
    assert connected == {"create": False, "get": False}


def test_has_none_while_it_asks_for_the_balance(
    api: APIClient, owner: User, remote: Emulator, connected: dict[str, bool]
) -> None:
    User.objects.filter(pk=owner.pk).update(is_superuser=True, is_staff=True)
    owner.refresh_from_db()
    assert api.get("/textgen/credits/").status_code == 200
    assert connected == {"remaining_credits": False}


def test_keeps_the_connection_of_the_hosts_own_code(
    remote: Emulator, connected: dict[str, bool]
) -> None:
    """A cursor that it iterates over would end with the connection."""
    assert services.generate("Hello").status == "done"
    assert connected["create"]
