"""A page that waits for the remote leaves its connections to others meanwhile."""

from __future__ import annotations

import pytest
from django.test import Client

from creatify_textgen import services
from creatify_textgen.emulator import Emulator
from tests import factories

from .conftest import HISTORY, page_of

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize("is_action", [False, True], ids=["button", "list"])
def test_refresh(
    operator: Client, remote: Emulator, connected: dict[str, bool], *, is_action: bool
) -> None:
    row = services.submit("Hello")
    services.send_generation(row.pk)
    connected.clear()
    if is_action:
        operator.post(HISTORY, {"action": "refresh_selected", "_selected_action": [row.pk]})
    else:
        operator.post(page_of(row, action="refresh"))
    assert connected == {"get": False}


def test_settle(operator: Client, remote: Emulator, connected: dict[str, bool]) -> None:
    row = factories.make_generation(
        status="expired",
        error_code="may_have_been_charged",
        attempts=1,
        first_submitted_at=factories.NOW,
        sent_until=factories.NOW,
    )
    form = {"decision": "found", "remote_id": "7d2ba362-2b5b-4d51-a12f-4a66c6aba6ea"}
    operator.post(page_of(row, action="settle"), form)
    assert connected == {"get": False}


def test_balance(operator: Client, remote: Emulator, connected: dict[str, bool]) -> None:
    assert operator.get(f"{HISTORY}credits/").status_code == 200
    assert connected == {"remaining_credits": False}
