"""Database connections break at the worst moments: clean answers, then the same end state."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from importlib import import_module
from typing import Any

import pytest
import requests
from django.db import Error as DatabaseFault
from django.db import connection, connections

from creatify_textgen import services
from creatify_textgen.dispatch.callbacks import make_token
from creatify_textgen.emulator import Emulator
from creatify_textgen.models import Generation, UsageDay
from tests.faults.kills.journeys import PROMPT, past_due

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

KILL = {
    "postgresql": ("SELECT pg_backend_pid()", "SELECT pg_terminate_backend(%s)"),
    "mysql": ("SELECT CONNECTION_ID()", "KILL CONNECTION %s"),
}
LIFECYCLE = "creatify_textgen.lifecycle"
WHILE_NOTED = (f"{LIFECYCLE}:note_delivery", "before", 1)
WHILE_APPLIED = (f"{LIFECYCLE}.moves:_write_contents", "after", 1)
ROLLUP_LOCKED = (f"{LIFECYCLE}.rollup:_lock_or_create", "after", 1)

Moment = tuple[str, str, int]


def break_connection() -> None:
    """Have the server cut this thread's connection, as its restart would; SQLite has no server."""
    connection.ensure_connection()
    if connection.vendor == "sqlite":
        connection.connection.close()
        return
    ask, kill = KILL[connection.vendor]
    with connection.cursor() as cursor:
        cursor.execute(ask)
        [number] = cursor.fetchone()
    other = connection.copy()
    with other.cursor() as cursor:
        cursor.execute(kill, [number])
    other.close()


@pytest.fixture
def break_at(monkeypatch: pytest.MonkeyPatch) -> Callable[[Moment], None]:
    """Return what has the connection break once, before or after a call of a function."""

    def arm(moment: Moment) -> None:
        target, when, nth = moment
        module, _, name = target.partition(":")
        function = getattr(import_module(module), name)
        calls = 0

        @wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == nth and when == "before":
                break_connection()
            result = function(*args, **kwargs)
            if calls == nth and when == "after":
                break_connection()
            return result

        monkeypatch.setattr(f"{module}.{name}", call)

    return arm


def send_one(remote: Emulator) -> Generation:
    generation = services.submit(PROMPT)
    services.send_generation(generation.pk)
    generation.refresh_from_db()
    remote.finish(str(generation.remote_id))
    return generation


def deliver(site: str, generation: Generation, remote: Emulator) -> int:
    [known] = remote.generations
    reported = {"response_text": known.response_text, "credits_used": known.credits_used}
    body = json.dumps({"id": known.id, "status": "done", **reported}).encode()
    url = f"{site}/textgen/webhooks/{generation.pk}/{make_token(generation.pk)}/"
    headers = {"Content-Type": "application/json"}
    return requests.post(url, data=body, headers=headers, timeout=30).status_code


def state_of(generation: Generation) -> tuple[Any, ...]:
    row = Generation.objects.get(pk=generation.pk)
    return (row.status, row.deliveries, row.events.count(), UsageDay.objects.count())


def assert_done_once(generation: Generation, remote: Emulator) -> None:
    row = Generation.objects.select_related("content").get(pk=generation.pk)
    assert row.status == "done", list(row.events.all())
    assert row.events.filter(status="done").count() == 1
    assert row.content.response_text == remote.generations[0].response_text
    day = UsageDay.objects.get()
    assert (day.generations, day.credits_used) == (1, row.credits_used)
    assert (remote.counters["creates"], len(remote.generations)) == (1, 1)


class TestWebhook:
    @pytest.mark.parametrize(
        ("trust", "moment"),
        [
            ({"CONFIRM_WEBHOOKS": True}, WHILE_NOTED),
            ({"CONFIRM_WEBHOOKS": False}, WHILE_APPLIED),
            ({"CONFIRM_WEBHOOKS": False}, ROLLUP_LOCKED),
        ],
        ids=["noted", "applied", "writing the rollup"],
    )
    def test_is_refused_whole_and_taken_again(
        self,
        live_server: Any,
        remote: Emulator,
        settings: Any,
        break_at: Callable[[Moment], None],
        trust: dict[str, bool],
        moment: Moment,
    ) -> None:
        """503 and nothing written; the remote's next attempt, or the sweep, does it."""
        settings.CREATIFY_TEXTGEN = {**settings.CREATIFY_TEXTGEN, **trust}
        generation = send_one(remote)
        before = state_of(generation)
        break_at(moment)

        assert deliver(live_server.url, generation, remote) == 503
        assert state_of(generation) == before
        assert deliver(live_server.url, generation, remote) == 204
        past_due()
        services.sweep()

        assert_done_once(generation, remote)


class TestWork:
    @pytest.mark.parametrize(
        "moment",
        [
            (f"{LIFECYCLE}:mark_arrived", "before", 1),
            (f"{LIFECYCLE}.moves:_write_timeline", "after", 2),
        ],
        ids=["before the answer is saved", "while it is saved"],
    )
    def test_of_a_send_is_never_done_twice(
        self, remote: Emulator, break_at: Callable[[Moment], None], moment: Moment
    ) -> None:
        generation = services.submit(PROMPT)
        break_at(moment)
        # A server is waited for, and a closed SQLite is an error that no new try would mend.
        with suppress(DatabaseFault):
            services.send_generation(generation.pk)
        connections.close_all()
        assert Generation.objects.get().status in {"submitting", "unconfirmed", "pending"}
        for _ in range(2):
            past_due()
            services.sweep()
        assert_done_once(generation, remote)

    @pytest.mark.parametrize(
        "moment",
        [
            (f"{LIFECYCLE}:claim_due", "after", 1),
            (f"{LIFECYCLE}:mark_arrived", "before", 1),
            ROLLUP_LOCKED,
        ],
        ids=["claimed", "before the result is saved", "writing the rollup"],
    )
    def test_of_a_sweep_is_the_next_one_s_at_the_latest(
        self, remote: Emulator, break_at: Callable[[Moment], None], moment: Moment
    ) -> None:
        generation = send_one(remote)
        past_due()
        break_at(moment)
        # Where only the connection was lost, the sweep takes another and settles row by row.
        with suppress(DatabaseFault):
            services.sweep()
        connections.close_all()
        past_due()
        services.sweep()
        assert_done_once(generation, remote)
