"""A worker has no connection to the database while its run waits: many would empty a pool."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection

from creatify_textgen import chat, services, tasks
from creatify_textgen.chat import Run
from creatify_textgen.emulator import Emulator

pytestmark = pytest.mark.django_db(transaction=True)

called: dict[str, bool] = {}


def get_weather(city: str) -> str:
    """Return the weather of a city."""
    called["connected"] = connection.connection is not None
    return f"Clear in {city}"


def ask_another() -> str:
    """Ask another model."""
    with connection.cursor():
        before = connection.connection
    services.generate("Hello")
    called["kept"] = connection.connection is before
    return "Nothing"


@pytest.fixture(autouse=True)
def _remote(creatify_emulator: Emulator, settings: Any) -> None:
    account = {"API_ID": "id", "API_KEY": "key", "BASE_URL": creatify_emulator.url}
    settings.CREATIFY_TEXTGEN = {"ACCOUNTS": {"default": account}}
    creatify_emulator.switches.set(final_state="function_calls", stream_content="function_call")
    called.clear()


@pytest.mark.parametrize(("stream", "waits_in"), [(False, "create"), (True, "take")])
def test_has_no_connection_during_a_wait(
    connected: dict[str, bool], *, stream: bool, waits_in: str
) -> None:
    go_on(chat.submit_run("Weather?", tools=[get_weather], stream=stream, limit=2))
    assert connected == {waits_in: False}
    assert called == {"connected": False}


def test_keeps_the_connection_of_a_function(connected: dict[str, bool]) -> None:
    """A cursor that it iterates over would end with the connection."""
    go_on(chat.submit_run("Ask.", tools=[ask_another], limit=2))
    assert called == {"kept": True}


def go_on(run: Run) -> None:
    tasks.run(str(run.pk))
    run.refresh_from_db()
    assert (run.state, run.error_code) == ("failed", "limit_reached")
