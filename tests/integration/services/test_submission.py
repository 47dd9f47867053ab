"""From messages to a result, through a real socket to the emulator, without a worker."""

from __future__ import annotations

import re
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from django.core.cache import cache
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from creatify_textgen import clock, gateway, services
from creatify_textgen.dispatch import sweep_schedule
from creatify_textgen.emulator import Emulator
from creatify_textgen.exceptions import RequestError, TransitionError
from creatify_textgen.models import Generation, Pause, UsageDay
from creatify_textgen.states import Status
from creatify_textgen.testing import Stub
from tests.bad_requests import PNG

pytestmark = pytest.mark.django_db

FORECAST = [{"function_declarations": [{"name": "get_weather"}]}]


@pytest.fixture(autouse=True)
def _empty_cache() -> None:
    cache.clear()


def run_until_final(generation: Generation, *, sweeps: int = 40) -> Generation:
    """Sweep as a worker would, without waiting for what is not due yet."""
    for _ in range(sweeps):
        Generation.objects.exclude(status__in=["done", "failed", "cancelled"]).update(
            due_at=timezone.now()
        )
        services.sweep()
        generation.refresh_from_db()
        if generation.is_final:
            break
    return generation


class TestSubmit:
    def test_saves_the_intent_and_sends_nothing(self, remote: Emulator) -> None:
        generation = services.submit("Say hello", system_instruction="Be brief.")
        assert generation.status == Status.QUEUED
        assert generation.content.messages == [{"role": "user", "content": "Say hello"}]
        assert remote.counters["creates"] == 0

    def test_becomes_done_by_polling(self, remote: Emulator) -> None:
        generation = services.submit("Say hello")
        services.send_generation(generation.pk)
        run_until_final(generation)
        assert generation.status == Status.DONE
        assert generation.content.response_text
        assert generation.credits_used > 0
        first = generation.events.first()
        assert (first.status, first.cause) == ("submitting", "submit")
        assert remote.counters["creates"] == 1
        assert UsageDay.objects.get().credits_used == generation.credits_used

    def test_is_sent_once_however_often_the_task_runs(self, remote: Emulator) -> None:
        generation = services.submit("Say hello")
        for _ in range(3):
            services.send_generation(generation.pk)
        assert remote.counters["creates"] == 1

    def test_is_found_by_the_sweep_where_its_message_was_lost(self, remote: Emulator) -> None:
        generation = run_until_final(services.submit("Say hello"))
        assert generation.status == Status.DONE

    def test_bad_input_leaves_nothing(self, remote: Emulator) -> None:
        with pytest.raises(RequestError) as caught:
            services.submit("Say hello", config={"temperature": 3})
        assert "config.temperature" in caught.value.errors
        assert Generation.objects.count() == 0

    def test_failed_at_the_remote(self, remote: Emulator) -> None:
        remote.switches.set(final_state="failed", failed_reason="no credits left")
        generation = run_until_final(services.submit("Say hello"))
        assert (generation.status, generation.error_code) == ("failed", "insufficient_credits")
        assert generation.content.failed_reason == "no credits left"


@pytest.mark.django_db(transaction=True)
class TestStatements:
    def test_of_a_send_are_two_moves_and_one_read(self, remote: Emulator, settings: Any) -> None:
        settings.CREATIFY_TEXTGEN = {**settings.CREATIFY_TEXTGEN, "POLL_INTERVAL": 30}
        # `benchmarks.writes` counts the rest of a generation's life, on PostgreSQL.
        generation = services.submit("Say hello")
        now = clock.now()
        sweep_schedule.request_sweep_at(now + timedelta(seconds=2), now=now)
        with CaptureQueriesContext(connection) as queries:
            services.send_generation(generation.pk)
        kinds = Counter(query["sql"].split()[0] for query in queries)
        assert (kinds["SELECT"], kinds["UPDATE"], kinds["INSERT"]) == (1, 2, 2)


class TestUnknownOptions:
    @pytest.mark.parametrize(
        ("options", "words"),
        [
            ({"temperature": 0.5}, "temperature: Unknown field; put it into config."),
            ({"model": "x"}, "did you mean model_name?"),
            ({"system": "Be brief."}, "did you mean system_instruction?"),
            ({"colour": 1}, "known are account, config"),
        ],
        ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
    )
    @pytest.mark.parametrize("verb", [services.submit, services.generate, services.stream])
    def test_are_named_with_what_to_write_instead(
        self, verb: Any, options: dict[str, Any], words: str, creatify_stub: Stub
    ) -> None:
        with pytest.raises(TypeError, match=re.escape(words)):
            verb("Hello", **options)
        creatify_stub.assert_asked(times=0)


class TestRefusals:
    @pytest.mark.parametrize(
        ("status", "code"),
        [
            ("400", "invalid_request"),
            ("401", "authentication"),
            ("404", "not_found"),
            ("413", "invalid_request"),
        ],
    )
    def test_for_good_fail_the_row(self, remote: Emulator, status: str, code: str) -> None:
        remote.switches.set(error_at_create=status)
        generation = run_until_final(services.submit("Say hello"))
        assert (generation.status, generation.error_code) == ("failed", code)

    def test_for_want_of_credits_wait_for_them(self, remote: Emulator) -> None:
        remote.switches.set(error_at_create="402", times=1)
        generation = run_until_final(services.submit("Say hello"), sweeps=1)
        assert (generation.status, generation.error_code) == ("queued", "")
        Pause.objects.update(until=timezone.now())
        assert run_until_final(generation).status == Status.DONE

    @pytest.mark.parametrize("status", ["429", "503"])
    def test_of_a_busy_remote_are_tried_again(self, remote: Emulator, status: str) -> None:
        remote.switches.set(error_at_create=status, times=2)
        generation = run_until_final(services.submit("Say hello"))
        assert generation.status == Status.DONE
        assert generation.attempts == 3
        assert remote.counters["creates"] == 1

    def test_with_a_long_retry_after_wait_for_ten_minutes(self, remote: Emulator) -> None:
        remote.switches.set(error_at_create="429", retry_after_seconds=3600, times=1)
        generation = services.submit("Say hello")
        services.send_generation(generation.pk)
        generation.refresh_from_db()
        assert generation.due_at is not None
        wait = generation.due_at - timezone.now()
        assert timedelta(minutes=9) < wait < timedelta(minutes=11)
        assert run_until_final(generation).status == Status.DONE
        assert remote.counters["creates"] == 1

    def test_end_when_the_site_waits_no_longer(self, remote: Emulator) -> None:
        """Else a remote that is always busy would be asked without end."""
        remote.switches.set(error_at_create="429")
        generation = services.submit("Say hello")
        long_ago = timezone.now() - timedelta(days=2)
        Generation.objects.update(created_at=long_ago)
        services.send_generation(generation.pk)
        row = generation.reloaded()
        assert (row.status, row.error_code, row.credits_used) == ("failed", "rate_limited", 0)
        assert "Creatify says" in row.content.failed_reason

    @pytest.mark.parametrize("status", ["500", "502", "504"])
    def test_that_may_have_been_accepted_are_not_sent_again(
        self, remote: Emulator, status: str
    ) -> None:
        remote.switches.set(error_at_create=status)
        generation = services.submit("Say hello")
        services.send_generation(generation.pk)
        generation.refresh_from_db()
        assert generation.status == Status.UNCONFIRMED


class TestLostAnswer:
    def test_is_adopted_from_the_list(self, remote: Emulator) -> None:
        remote.switches.set(reset_after_accept=True, times=1)
        generation = run_until_final(services.submit("Say hello", config={"temperature": 0.8}))
        assert generation.status == Status.DONE
        assert remote.counters["creates"] == 1
        assert generation.remote_id == remote.generations[0].id

    def test_is_not_sent_again_because_a_list_lacks_it(self, remote: Emulator) -> None:
        remote.switches.set(reset_before_accept=True, times=1)
        generation = run_until_final(services.submit("Say hello"), sweeps=5)
        assert (generation.status, generation.attempts) == ("unconfirmed", 1)
        assert generation.content.failed_reason.startswith("It may have been charged")

    def test_is_never_sent_again_where_the_host_forbids(
        self, remote: Emulator, settings: Any
    ) -> None:
        settings.CREATIFY_TEXTGEN = {**settings.CREATIFY_TEXTGEN, "RESEND_UNCONFIRMED": "never"}
        remote.switches.set(reset_before_accept=True, times=1)
        generation = run_until_final(services.submit("Say hello"), sweeps=5)
        assert (generation.status, generation.attempts) == ("unconfirmed", 1)

    def test_nothing_is_proved_by_a_list_that_breaks(self, remote: Emulator) -> None:
        remote.switches.set(reset_before_accept=True, times=1)
        remote.switches.set(error_at_list="502")
        generation = run_until_final(services.submit("Say hello"), sweeps=3)
        assert (generation.status, generation.attempts) == ("unconfirmed", 1)

    def test_equal_requests_adopt_one_remote_generation_each(self, remote: Emulator) -> None:
        remote.switches.set(reset_after_accept=True, times=3)
        rows = [services.submit("Say hello") for _ in range(3)]
        for row in rows:
            services.send_generation(row.pk)
        run_until_final(rows[-1])
        ids = set(Generation.objects.values_list("remote_id", flat=True))
        assert ids == {generation.id for generation in remote.generations}
        assert remote.counters["creates"] == 3


class TestSubmitMany:
    def test_saves_all_and_sends_all(self, remote: Emulator) -> None:
        rows = services.submit_many([{"messages": f"Count to {i}"} for i in range(12)])
        for row in rows:
            run_until_final(row)
        assert Generation.objects.filter(status="done").count() == 12
        assert remote.counters["creates"] == 12

    def test_saves_none_where_one_is_wrong(self) -> None:
        with pytest.raises(RequestError) as caught:
            services.submit_many([{"messages": "fine"}, {"messages": ""}, {"mesages": "x"}])
        assert any(path.startswith("requests[1].") for path in caught.value.errors)
        assert any(path.startswith("requests[2]") for path in caught.value.errors)
        assert Generation.objects.count() == 0


class TestIdempotencyKey:
    def test_stands_for_one_generation(self) -> None:
        first = services.submit("Say hello", idempotency_key="k1")
        assert services.submit("Say hello", idempotency_key="k1").pk == first.pk
        assert services.submit("Say hello", idempotency_key="k2").pk != first.pk

    def test_refuses_another_request(self) -> None:
        services.submit("Say hello", idempotency_key="k1")
        with pytest.raises(RequestError) as caught:
            services.submit("Say goodbye", idempotency_key="k1")
        assert caught.value.code == "idempotency_conflict"

    def test_is_each_owner_s_own(self, django_user_model: Any) -> None:
        owners = [django_user_model.objects.create_user(name) for name in ("ann", "bob")]
        rows = {services.submit("Hi", owner=o, idempotency_key="k1").pk for o in owners}
        assert len(rows) == 2

    def test_expires(self) -> None:
        first = services.submit("Say hello", idempotency_key="k1")
        Generation.objects.update(created_at=timezone.now() - timedelta(hours=25))
        assert services.submit("Say goodbye", idempotency_key="k1").pk != first.pk


class TestGenerate:
    def test_returns_the_result(self, remote: Emulator) -> None:
        generation = services.generate("Say hello")
        assert (generation.status, generation.mode) == ("done", "sync")
        assert generation.content.response_text
        assert remote.counters["creates"] == 1

    def test_returns_function_calls(self, remote: Emulator) -> None:
        generation = services.generate("What is the weather in Rome?", tools=FORECAST)
        assert generation.content.response_function_calls[0]["name"] == "get_weather"

    def test_waits_where_the_answer_is_not_final(self, remote: Emulator) -> None:
        remote.switches.set(sync_answer="pending")
        assert services.generate("Say hello").status == Status.DONE
        assert remote.counters["creates"] == 1

    def test_leaves_a_tracked_row_where_the_wait_runs_out(self, remote: Emulator) -> None:
        remote.switches.set(sync_answer="pending", stuck=True)
        generation = services.generate("Say hello", timeout=0.5)
        assert not generation.is_final
        assert generation.remote_id
        assert generation.due_at

    def test_returns_a_failed_row(self, remote: Emulator) -> None:
        remote.switches.set(error_at_create="402")
        generation = services.generate("Say hello")
        assert (generation.status, generation.error_code) == ("failed", "insufficient_credits")

    def test_tries_again_only_what_was_refused_uncharged(self, remote: Emulator) -> None:
        remote.switches.set(error_at_create="503", times=1, retry_after_seconds=0)
        assert services.generate("Say hello").status == Status.DONE
        assert remote.counters["creates"] == 1


class TestOperations:
    def test_cancel_takes_back_what_was_not_sent(self, remote: Emulator) -> None:
        generation = services.cancel(services.submit("Say hello"))
        services.send_generation(generation.pk)
        assert generation.status == Status.CANCELLED
        assert remote.counters["creates"] == 0

    def test_cancel_refuses_what_was_sent(self, remote: Emulator) -> None:
        generation = services.submit("Say hello")
        services.send_generation(generation.pk)
        with pytest.raises(TransitionError) as caught:
            services.cancel(generation)
        assert caught.value.code == "not_cancellable"

    def test_refresh_asks_now(self, remote: Emulator) -> None:
        generation = services.submit("Say hello")
        services.send_generation(generation.pk)
        remote.finish(remote.generations[0].id)
        assert services.refresh(generation).status == Status.DONE

    def test_retry_asks_for_the_same_again(self, remote: Emulator) -> None:
        first = services.generate("Say hello", config={"temperature": 0.5})
        second = services.retry(first)
        assert (second.status, second.retry_of_id) == (Status.QUEUED, first.pk)
        assert second.content.request_fields() == first.content.request_fields()

    def test_credits_agree_with_the_rows(self, remote: Emulator) -> None:
        generation = services.generate("Say hello")
        report = services.credits()
        assert report.used == generation.credits_used
        assert report.remaining is not None
        assert report.remaining < 379
        assert report.by_day[0]["generations"] == 1

    def test_credits_are_told_as_unknown_where_the_remote_is_away(self, settings: Any) -> None:
        report = services.credits()
        assert (report.remaining, report.remaining_age_seconds) == (None, None)


class TestAdoptionByMedia:
    def test_tells_apart_requests_that_differ_in_their_image_alone(self, remote: Emulator) -> None:
        remote.switches.set(reset_after_accept=True, media_echo="full")
        rows = [services.submit(_with_image(blue)) for blue in (10, 200)]
        for row in reversed(rows):
            services.send_generation(row.pk)
        for row in rows:
            run_until_final(row)
        client = gateway.client_for("default")
        for row in rows:
            ours = row.content.messages[0]["content"][0]["sha256"]
            theirs = client.get(row.remote_id).messages[0]["content"][0]["sha256"]
            assert theirs == ours


def _with_image(blue: int) -> list[dict[str, Any]]:
    image = {"type": "image", "data": PNG + bytes([blue]), "mime_type": "image/png"}
    return [{"role": "user", "content": [image, {"type": "text", "text": "What is this?"}]}]
