"""Waiting for a generation and deleting it: what each verb does, and what it refuses."""

from __future__ import annotations

import threading
import time
import uuid
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.db import connections, transaction

from creatify_textgen import enqueue, services
from creatify_textgen.emulator import Emulator
from creatify_textgen.exceptions import TransitionError
from creatify_textgen.models import Generation, GenerationContent, GenerationEvent, UsageDay
from creatify_textgen.recovery import waiting
from creatify_textgen.states import Status
from tests.factories import make_generation

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def queued(
    creatify_emulator: Emulator, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> Generation:
    account = {"API_ID": "id", "API_KEY": "key", "BASE_URL": creatify_emulator.url}
    settings.CREATIFY_TEXTGEN = {"ACCOUNTS": {"default": account}, "POLL_INTERVAL": 0.01}
    monkeypatch.setattr(enqueue, "submit", lambda generation_id: None)
    monkeypatch.setattr(waiting, "SHORTEST_PAUSE", 0.01)
    return services.submit("Hello")


def send_in_thread(generation_id: uuid.UUID) -> threading.Thread:
    def send() -> None:
        try:
            services.send_generation(generation_id)
        finally:
            connections.close_all()

    thread = threading.Thread(target=send)
    thread.start()
    return thread


class TestWait:
    def test_returns_what_others_send_once_it_is_done(self, queued: Generation) -> None:
        sending = send_in_thread(queued.pk)
        row = services.wait(queued, timeout=20)
        sending.join()
        assert row.status == Status.DONE
        assert row.content.response_text

    def test_has_a_twin_for_coroutines(self, queued: Generation) -> None:
        services.send_generation(queued.pk)
        assert async_to_sync(services.await_)(queued, timeout=20).status == Status.DONE

    def test_ends_with_its_time(self, queued: Generation) -> None:
        began = time.monotonic()
        assert services.wait(queued, timeout=0.05).status == Status.QUEUED
        assert time.monotonic() - began < 5

    @pytest.mark.parametrize("status", [Status.DONE, Status.FAILED, Status.EXPIRED])
    def test_of_what_has_ended_returns_at_once_even_in_a_transaction(self, status: Status) -> None:
        row = make_generation(status=status)
        with transaction.atomic():
            assert services.wait(row).status == status

    def test_refuses_a_transaction_that_could_not_see_the_end(self, queued: Generation) -> None:
        with transaction.atomic(), pytest.raises(RuntimeError, match="wait"):
            services.wait(queued)

    def test_goes_on_while_the_remote_does_not_answer(
        self, queued: Generation, creatify_emulator: Emulator
    ) -> None:
        services.send_generation(queued.pk)
        creatify_emulator.switches.set(error_at_get="500", times=1)
        assert services.wait(queued, timeout=20).status == Status.DONE


class TestDelete:
    def test_removes_row_content_and_timeline_but_not_the_cost(self, queued: Generation) -> None:
        services.send_generation(queued.pk)
        row = services.wait(queued, timeout=20)
        services.delete(row)
        for model in (Generation, GenerationContent, GenerationEvent):
            assert not model._default_manager.exists()
        assert UsageDay.objects.get().credits_used == row.credits_used

    @pytest.mark.parametrize("status", [Status.QUEUED, Status.RUNNING, Status.EXPIRED])
    def test_refuses_what_may_still_bring_its_result(self, status: Status) -> None:
        row = make_generation(status=status)
        with pytest.raises(TransitionError) as refused:
            async_to_sync(services.adelete)(row)
        assert refused.value.code == "not_finished"
        assert Generation.objects.exists()
