"""`STORE_CONTENT` off: the result reaches the caller and the signal, and no table."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from rest_framework.test import APIClient

from creatify_textgen import gateway, lifecycle, services
from creatify_textgen.chat import Conversation
from creatify_textgen.emulator import Emulator
from creatify_textgen.exceptions import RemoteUnavailableError, RequestError
from creatify_textgen.models import Generation, GenerationContent, Media, UsageDay
from creatify_textgen.signals import generation_finished
from creatify_textgen.states import Cause, Status
from tests.bad_requests import PNG
from tests.factories import NOW, make_generation

pytestmark = pytest.mark.django_db(transaction=True)

SECRET = "a-secret-of-nobody-else"


@pytest.fixture
def received() -> Iterator[list[str]]:
    """Return the results that a receiver of `generation_finished` gets."""
    texts: list[str] = []

    def receive(generation: Generation, **_: Any) -> None:
        texts.append(generation.content.response_text)

    generation_finished.connect(receive)
    yield texts
    generation_finished.disconnect(receive)


def tables_that_have(text: str) -> list[str]:
    """Return our tables of which any column of any row has this text."""
    found = []
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            if table.startswith("creatify_textgen"):
                cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")
                if any(text in str(row) for row in cursor.fetchall()):
                    found.append(table)
    return found


def run_until_final(generation: Generation) -> None:
    for _ in range(40):
        Generation.objects.exclude(status__in=["done", "failed"]).update(due_at=timezone.now())
        services.sweep()
        generation.refresh_from_db()
        if generation.is_final:
            return


class TestGenerate:
    def test_returns_the_result_and_stores_none(
        self, remote: Emulator, received: list[str]
    ) -> None:
        generation = services.generate(f"Say {SECRET}", store_content=False)
        assert generation.status == Status.DONE
        assert SECRET in generation.content.messages[0]["content"]
        assert generation.content.response_text
        assert received == [generation.content.response_text]
        assert tables_that_have(SECRET) == []
        assert not GenerationContent.objects.exists()
        assert UsageDay.objects.get().credits_used == generation.credits_used > 0
        assert generation.events.last().detail == "content not stored"

    def test_is_the_setting_s_choice_unless_the_call_makes_one(
        self, remote: Emulator, settings: Any
    ) -> None:
        settings.CREATIFY_TEXTGEN = {**settings.CREATIFY_TEXTGEN, "STORE_CONTENT": False}
        services.generate("Say hello")
        assert GenerationContent.objects.count() == 0
        services.generate("Say hello", store_content=True)
        assert GenerationContent.objects.count() == 1

    def test_returns_the_reason_of_a_failure(self, remote: Emulator) -> None:
        remote.switches.set(final_state="failed")
        generation = services.generate(f"Say {SECRET}", store_content=False)
        assert generation.status == Status.FAILED
        assert generation.content.failed_reason
        assert tables_that_have(SECRET) == []

    def test_asks_for_the_result_again_where_another_process_finished_the_row(
        self, remote: Emulator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(lifecycle.contents, "_awaited", dict)
        generation = services.generate("Say hello", store_content=False)
        assert generation.content.response_text

    def test_returns_the_row_where_the_remote_does_not_tell_again(
        self, remote: Emulator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(*_: Any) -> None:
            raise RemoteUnavailableError("down", request_sent=False)

        monkeypatch.setattr(lifecycle.contents, "_awaited", dict)
        monkeypatch.setattr(type(gateway.client_for("default")), "get", fail)
        generation = services.generate("Say hello", store_content=False)
        assert (generation.status, generation.content.response_text) == ("done", "")

    def test_drops_images_too(self, remote: Emulator) -> None:
        image = {"type": "image", "data": PNG, "mime_type": "image/png"}
        text = {"type": "text", "text": "What is this?"}
        services.generate([{"role": "user", "content": [image, text]}], store_content=False)
        services.prune(older_than_days=1)
        assert not Media.objects.exists()

    def test_with_an_idempotency_key_pays_once(self, remote: Emulator) -> None:
        options: Any = {"store_content": False, "idempotency_key": "k1"}
        first = services.generate("Say hello", **options)
        again = services.generate("Say hello", **options)
        assert (again.pk, Generation.objects.count()) == (first.pk, 1)
        # Asked for once more, which is free.
        assert again.content.response_text == first.content.response_text != ""
        assert remote.counters["creates"] == 1

    @pytest.mark.parametrize("value", [1, "no"])
    def test_refuses_what_is_no_flag(self, value: Any) -> None:
        with pytest.raises(RequestError) as caught:
            services.submit("Say hello", store_content=value)
        assert list(caught.value.errors) == ["store_content"]


class TestSubmit:
    def test_keeps_the_request_until_the_end_and_hands_the_result_to_receivers(
        self, remote: Emulator, received: list[str]
    ) -> None:
        generation = services.submit(f"Say {SECRET}", store_content=False, metadata={"order": 17})
        assert generation.excerpt == ""
        assert tables_that_have(SECRET) == ["creatify_textgen_generationcontent"]
        services.send_generation(generation.pk)
        run_until_final(generation)
        assert generation.status == Status.DONE
        assert len(received) == 1
        assert received[0]
        assert tables_that_have(SECRET) == []
        assert tables_that_have(received[0]) == []
        # What finds the row again stays, until it is erased.
        assert generation.metadata == {"order": 17}

    def test_is_not_asked_again(self, remote: Emulator) -> None:
        generation = services.generate("Say hello", store_content=False)
        with pytest.raises(RequestError) as caught:
            services.retry(generation)
        assert caught.value.code == "content_removed"

    def test_of_a_retry_stores_as_little_as_the_first(self) -> None:
        first = make_generation(status=Status.EXPIRED, keeps_content=False)
        assert services.retry(first).keeps_content is False

    def test_loses_no_cost_where_many_end_together(self) -> None:
        rows = [
            make_generation(status=Status.PENDING, keeps_content=number % 2 == 0)
            for number in range(4)
        ]
        arrivals = {
            row.pk: lifecycle.Arrival(
                lifecycle.Outcome(response_text="Hi", credits_used=Decimal("0.1"))
            )
            for row in rows
        }
        lifecycle.mark_arrived(arrivals, to=Status.DONE, cause=Cause.POLL, now=NOW)
        assert UsageDay.objects.get().credits_used == Decimal("0.4")
        stored = GenerationContent.objects.filter(response_text="Hi")
        assert set(stored.values_list("pk", flat=True)) == {rows[0].pk, rows[2].pk}
        assert GenerationContent.objects.count() == 2

    def test_sends_the_result_to_no_table_even_for_a_moment(self) -> None:
        row = make_generation(status=Status.PENDING, keeps_content=False)
        outcome = lifecycle.Outcome(response_text=SECRET)
        with CaptureQueriesContext(connection) as captured:
            lifecycle.mark_done(row.pk, cause=Cause.POLL, now=NOW, outcome=outcome)
        assert captured.captured_queries
        assert not [query for query in captured.captured_queries if SECRET in query["sql"]]


class TestStream:
    def test_reaches_its_reader_and_no_table(self, remote: Emulator, received: list[str]) -> None:
        remote.switches.set(chunk_count=6, chunk_interval=0.3)
        with services.stream(f"Say {SECRET}", store_content=False) as stream:
            text = "".join(chunk.text for chunk in stream)
        assert text
        assert stream.generation.status == Status.DONE
        assert received == [text]
        assert not GenerationContent.objects.exists()

    def test_saves_no_checkpoint(self) -> None:
        row = make_generation(status=Status.RUNNING, keeps_content=False)
        outcome = lifecycle.Outcome(partial=True, response_text="Hi")
        lifecycle.save_checkpoints({row.pk: outcome}, now=NOW, due_at=NOW)
        row = row.reloaded()
        assert (row.content.response_text, row.updated_at) == ("", NOW)

    def test_tells_a_late_reader_that_the_answer_is_gone(self, remote: Emulator) -> None:
        generation = services.generate("Say hello", store_content=False)
        with services.attach(generation) as stream:
            assert list(stream) == []
        assert stream.error_code == "content_removed"


class TestRest:
    def test_returns_the_result_of_a_synchronous_request_once(
        self, remote: Emulator, settings: Any
    ) -> None:
        settings.CREATIFY_TEXTGEN = {**settings.CREATIFY_TEXTGEN, "STORE_CONTENT": False}
        api = APIClient()
        api.force_authenticate(User.objects.create_user("ada"))
        body = {"messages": [{"role": "user", "content": "Say hello"}], "sync": True}
        made = api.post("/textgen/generations/", body, format="json")
        assert (made.status_code, bool(made.json()["response_text"])) == (201, True)
        again = api.get(made["Location"]).json()
        assert (again["status"], again["response_text"], again["messages"]) == ("done", "", [])
        assert again["content_removed_at"]


def test_a_conversation_says_that_it_needs_stored_answers(settings: Any) -> None:
    settings.CREATIFY_TEXTGEN = {**settings.CREATIFY_TEXTGEN, "STORE_CONTENT": False}
    with pytest.raises(RequestError, match="STORE_CONTENT is False"):
        Conversation.start()
