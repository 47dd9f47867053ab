"""A page of the admin that waits for the remote leaves its connections to others meanwhile."""

from __future__ import annotations

import pytest
from django.test import Client

from creatify_textgen import services
from creatify_textgen.emulator import Emulator
from creatify_textgen.models import Generation

from .conftest import HISTORY, page_of

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def pending(operator: Client, remote: Emulator) -> Generation:
    generation = services.submit("Hello")
    services.send_generation(generation.pk)
    return generation


@pytest.mark.parametrize("is_selected", [True, False], ids=["action", "page"])
def test_has_no_connection_while_it_refreshes(
    operator: Client, pending: Generation, connected: dict[str, bool], is_selected: bool
) -> None:
    if is_selected:
        operator.post(HISTORY, {"action": "refresh_selected", "_selected_action": pending.pk})
    else:
        operator.post(page_of(pending, action="refresh"))
    assert connected == {"get": False}


def test_has_none_while_it_asks_for_the_balance(
    operator: Client, remote: Emulator, connected: dict[str, bool]
) -> None:
    assert operator.get(f"{HISTORY}credits/").status_code == 200
    assert connected == {"remaining_credits": False}
