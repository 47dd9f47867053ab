"""The `a…` verbs: each does from a coroutine what its twin does, on the rows and at the remote."""

from __future__ import annotations

import asyncio
import threading
from decimal import Decimal
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.core.cache import cache

from creatify_textgen import enqueue, gateway, services
from creatify_textgen.emulator import Emulator
from creatify_textgen.exceptions import RequestError, TransitionError
from creatify_textgen.models import Generation
from creatify_textgen.services import blocking
from creatify_textgen.states import Status

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _sent_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nobody but the test send what is submitted."""
    monkeypatch.setattr(enqueue, "submit", lambda generation_id: None)


def queued() -> list[Generation]:
    return list(Generation.objects.filter(status=Status.QUEUED))


class TestTwins:
    def test_submit_saves_what_a_refresh_sends_to_its_end(self, remote: Emulator) -> None:
        row = async_to_sync(services.asubmit)("Hi", metadata={"order": 7})
        assert queued() == [row]
        services.send_generation(row.pk)
        row.refresh_from_db()
        row = async_to_sync(services.arefresh)(row)
        assert (row.status, row.metadata) == (Status.DONE, {"order": 7})

    def test_submit_many_saves_all_or_none(self) -> None:
        with pytest.raises(RequestError) as refusal:
            async_to_sync(services.asubmit_many)([{"messages": "Hi"}, {"messages": ""}])
        assert all(path.startswith("requests[1].") for path in refusal.value.errors)
        assert queued() == []
        rows = async_to_sync(services.asubmit_many)([{"messages": "Hi"}, {"messages": "Ho"}])
        assert sorted(row.excerpt for row in queued()) == ["Hi", "Ho"]
        assert len(rows) == 2

    def test_cancel_takes_back_what_was_not_sent(self) -> None:
        row = services.submit("Hi")
        async_to_sync(services.acancel)(row)
        row.refresh_from_db()
        assert row.status == Status.CANCELLED

    def test_retry_makes_a_new_one_of_an_ended_one(self) -> None:
        first = services.submit("Hi")
        with pytest.raises(TransitionError, match="wait until it has ended"):
            async_to_sync(services.aretry)(first)
        services.cancel(first)
        first.refresh_from_db()
        again = async_to_sync(services.aretry)(first)
        assert (again.retry_of, again.excerpt) == (first, "Hi")
        assert queued() == [again]

    def test_credits_are_the_remotes(self, remote: Emulator) -> None:
        cache.clear()
        report = async_to_sync(services.acredits)()
        assert report.remaining == gateway.client_for("default").remaining_credits()
        assert (report.used, report.by_day) == (Decimal(), [])

    def test_generate_returns_the_finished_row(self, remote: Emulator) -> None:
        row = async_to_sync(services.agenerate)("Hi")
        assert row.status == Status.DONE
        assert row.content.response_text

    def test_generate_holds_nobody_up(
        self, remote: Emulator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A verb that waits long has its own thread, so the thread of the other verbs is free."""
        submitted, generate = threading.Event(), blocking.generate_intake

        def generate_later(*args: Any, **options: Any) -> Generation:
            assert submitted.wait(30), "the other verb waits for this one"
            return generate(*args, **options)

        async def both() -> Generation:
            waiting = asyncio.ensure_future(services.agenerate("Hi"))
            await asyncio.sleep(0)
            await services.asubmit("Ho")
            submitted.set()
            return await waiting

        monkeypatch.setattr(blocking, "generate_intake", generate_later)
        row = async_to_sync(both)()
        assert (row.status, row.excerpt) == (Status.DONE, "Hi")
