"""A worker has no connection to the database while its run waits: many would empty a pool."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection

from creatify_textgen import chat, tasks
from creatify_textgen.chat import Run
from creatify_textgen.emulator import Emulator
from creatify_textgen.remote import RemoteClient
from creatify_textgen.streams.outlet import Outlet

pytestmark = pytest.mark.django_db(transaction=True)

connected: dict[str, bool] = {}


def get_weather(city: str) -> str:
    """Return the weather of a city."""
    connected["function"] = connection.connection is not None
    return f"Clear in {city}"


@pytest.fixture(autouse=True)
def _noted(monkeypatch: pytest.MonkeyPatch) -> None:
    def note(owner: type, name: str) -> None:
        call = getattr(owner, name)

        def noted(*arguments: Any, **options: Any) -> Any:
            connected[name] = connection.connection is not None
            return call(*arguments, **options)

        monkeypatch.setattr(owner, name, noted)

    connected.clear()
    note(RemoteClient, "create")
    note(Outlet, "take")
    monkeypatch.setitem(connection.settings_dict, "CONN_MAX_AGE", 0)
    connection.close()


@pytest.mark.parametrize(("stream", "waits_in"), [(False, "create"), (True, "take")])
def test_has_no_connection_during_a_wait(
    creatify_emulator: Emulator, settings: Any, *, stream: bool, waits_in: str
) -> None:
    account = {"API_ID": "id", "API_KEY": "key", "BASE_URL": creatify_emulator.url}
    settings.CREATIFY_TEXTGEN = {"ACCOUNTS": {"default": account}}
    creatify_emulator.switches.set(final_state="function_calls", stream_content="function_call")
    run = chat.submit_run("Weather?", tools=[get_weather], stream=stream, limit=2)
    tasks.run(str(run.pk))
    run = Run.objects.get()
    assert (run.state, run.error_code) == ("failed", "limit_reached")
    assert connected == {waits_in: False, "function": False}
