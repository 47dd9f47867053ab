"""One idempotency key, used by many at the same moment: one row, one POST, the same answer for all.

Also if the first of them dies before it has committed: then another is the first.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from rest_framework.test import APIClient

from creatify_textgen import chat, enqueue, services
from creatify_textgen.chat import Conversation
from creatify_textgen.emulator import Emulator
from creatify_textgen.models import Budget, BudgetPeriod, Generation, GenerationContent
from tests.faults.crowd import all_at_once
from tests.faults.remote_double import KilledError

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]
if connection.vendor != "sqlite":
    pytestmark.append(pytest.mark.service)

CALLERS = 6
PATIENCE_SECONDS = 20.0
KEY = "once"
PROMPT = "Say hello"

Ask = Callable[[], Any]


@pytest.fixture(autouse=True)
def pumps(remote: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a stream pumped by the caller that began it."""
    remote.switches.set(chunk_count=2, chunk_interval=0)
    monkeypatch.setattr(enqueue, "stream", services.pump_stream)


@pytest.fixture
def user() -> User:
    user = User.objects.create_user("ada")
    Budget.objects.create(
        name="one", unit="generations", limit=1, period="total", is_hard=True, owner=user
    )
    return user


def posted(user: User, path: str, body: dict[str, Any]) -> str:
    client = APIClient()
    client.force_authenticate(user)
    response = client.post(
        f"/textgen/{path}", body, format="json", headers={"Idempotency-Key": KEY}
    )
    if response.streaming:
        b"".join(response)
        return str(response.headers["X-Generation-Id"])
    assert response.status_code in (200, 201, 202), response.content
    return str(response.json()["id"])


def of_verb(verb: Callable[..., Any]) -> Callable[[User], Ask]:
    return lambda user: lambda: str(verb(PROMPT, owner=user, idempotency_key=KEY).pk)


def of_url(path: str, **fields: Any) -> Callable[[User], Ask]:
    return lambda user: lambda: posted(user, path, {"messages": PROMPT, **fields})


def of_conversation(verb: str) -> Callable[[User], Ask]:
    def ask(user: User) -> Ask:
        conversation = Conversation.start(owner=user)
        return lambda: str(getattr(conversation, verb)(PROMPT, idempotency_key=KEY).pk)

    return ask


def of_run(user: User) -> Ask:
    return lambda: str(chat.run(PROMPT, tools=[], owner=user, idempotency_key=KEY).generation.pk)


DOORS: dict[str, Callable[[User], Ask]] = {
    "submit": of_verb(services.submit),
    "generate": of_verb(services.generate),
    "stream": of_verb(services.begin_stream),
    "REST": of_url("generations/"),
    "REST, sync": of_url("generations/", sync=True),
    "REST, stream": of_url("generations/stream/"),
    "say": of_conversation("say"),
    "ask": of_conversation("ask"),
    "run": of_run,
}


@pytest.mark.parametrize("door", DOORS.values(), ids=DOORS)
class TestOneKey:
    def test_makes_one_generation_that_all_receive(
        self, remote: Emulator, user: User, door: Callable[[User], Ask]
    ) -> None:
        ids = all_at_once(*[door(user)] * CALLERS)
        assert_one(ids, remote)

    def test_goes_to_another_if_the_first_dies_before_its_commit(
        self,
        remote: Emulator,
        user: User,
        settings: Any,
        door: Callable[[User], Ask],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """On MariaDB the others then deadlock: each has locked the place of the first."""
        ask = door(user)
        Budget.objects.all().delete()
        without_locks = {"in_flight": None, "streams": None, "sync": None}
        settings.CREATIFY_TEXTGEN = {**settings.CREATIFY_TEXTGEN, "LIMITS": without_locks}
        others = threading.Semaphore(0)
        die_before_commit(monkeypatch, others)

        def ask_or_die() -> str | None:
            try:
                return str(ask())
            except KilledError:
                return None
            finally:
                others.release()

        ids = all_at_once(*[ask_or_die] * CALLERS)
        assert ids.count(None) == 1
        assert_one([key for key in ids if key is not None], remote)


def die_before_commit(monkeypatch: pytest.MonkeyPatch, others: threading.Semaphore) -> None:
    """Have the first caller die with its row written, once the others write theirs or return."""
    save_row, save_content = Generation.save, GenerationContent.save
    lock, has_row, has_died = threading.Lock(), threading.Event(), threading.Event()
    first: list[int] = []

    def save(row: Generation, **options: Any) -> None:
        with lock:
            is_first = not first
            first.append(threading.get_ident())
        if not is_first:
            assert has_row.wait(PATIENCE_SECONDS)
            others.release()
        save_row(row, **options)
        has_row.set()

    def save_or_die(content: GenerationContent, **options: Any) -> None:
        if threading.get_ident() == first[0] and not has_died.is_set():
            # SQLite lets one write at a time, so the others wait at the BEGIN of theirs.
            for _ in range(CALLERS - 1 if connection.vendor != "sqlite" else 0):
                assert others.acquire(timeout=PATIENCE_SECONDS)
            time.sleep(0.2)
            has_died.set()
            raise KilledError
        save_content(content, **options)

    monkeypatch.setattr(Generation, "save", save)
    monkeypatch.setattr(GenerationContent, "save", save_or_die)


def assert_one(ids: list[str], remote: Emulator) -> None:
    row = Generation.objects.get()
    assert set(ids) == {str(row.pk)}
    if row.status == "queued":
        services.send_generation(row.pk)
    assert (remote.counters["creates"], len(remote.generations)) == (1, 1)
    for period in BudgetPeriod.objects.all():
        assert period.settled + period.reserved == 1
