"""The sweep if one of its rows, or the database, causes errors."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from django.db import OperationalError

from creatify_textgen import clock, services, tasks
from creatify_textgen.emulator import Emulator
from creatify_textgen.models import Generation, SweepSchedule
from creatify_textgen.remote import PreparedSend, RemoteClient, RemoteGeneration

pytestmark = pytest.mark.django_db


class TestBug:
    def test_in_one_send_stops_neither_the_others_nor_the_next_sweep(
        self, remote: Emulator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        create = RemoteClient.create

        def stumble(client: RemoteClient, send: PreparedSend) -> Any:
            if b'"Say 3"' in b"".join(send.body):
                raise RuntimeError("a bug")
            return create(client, send)

        monkeypatch.setattr(RemoteClient, "create", stumble)
        services.submit_many([{"messages": f"Say {number}"} for number in range(12)])
        with pytest.raises(RuntimeError, match="a bug"):
            services.sweep()

        assert remote.counters["creates"] == 11
        [doubted] = Generation.objects.exclude(status="pending")
        assert (doubted.status, doubted.excerpt) == ("unconfirmed", "Say 3")
        assert SweepSchedule.objects.get().due_at is not None


class TestRefusal:
    def test_of_one_send_s_answer_stops_neither_the_others_nor_the_sweep(
        self,
        remote: Emulator,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        create = RemoteClient.create

        def answer_absurdly(client: RemoteClient, send: PreparedSend) -> RemoteGeneration:
            reported = create(client, send)
            if b'"Say 3"' in b"".join(send.body):
                return replace(reported, status="done", credits_used=Decimal(10) ** 10)
            return reported

        monkeypatch.setattr(RemoteClient, "create", answer_absurdly)
        services.submit_many([{"messages": f"Say {number}"} for number in range(12)])
        services.sweep()

        assert remote.counters["creates"] == 12
        [refused] = Generation.objects.exclude(status="pending")
        assert (refused.status, refused.excerpt) == ("unconfirmed", "Say 3")
        assert str(refused.pk) in caplog.text
        # It was named once, and the answer can be asked for again.
        monkeypatch.setattr(RemoteClient, "create", create)
        for one in remote.generations:
            remote.finish(one.id)
        Generation.objects.update(due_at=clock.now())
        services.sweep()
        refused.refresh_from_db()
        assert (refused.status, remote.counters["lists"]) == ("done", 0)


class TestTask:
    def test_is_tried_again_where_the_database_was_away(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        calls = []

        def fail_once() -> None:
            calls.append("sweep")
            if len(calls) == 1:
                raise OperationalError("the server closed the connection")

        monkeypatch.setattr(services, "sweep", fail_once)
        tasks.sweep.apply()
        assert calls == ["sweep", "sweep"]
