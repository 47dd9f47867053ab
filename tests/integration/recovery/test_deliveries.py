"""Deliveries, from bytes to a row that the next sweep settles."""

from __future__ import annotations

import json
import uuid
from contextlib import suppress
from datetime import timedelta
from typing import Any
from unittest.mock import Mock

import pytest
from django.db import DatabaseError
from django.utils import timezone

from creatify_textgen import lifecycle, services
from creatify_textgen.dispatch import sweep_schedule
from creatify_textgen.dispatch.callbacks import make_token, webhook_url
from creatify_textgen.emulator import Emulator
from creatify_textgen.exceptions import RemoteRejectedError, TransitionError, WebhookError
from creatify_textgen.models import Generation
from creatify_textgen.remote import RemoteClient, RemoteGeneration
from creatify_textgen.signals import webhook_rejected
from creatify_textgen.states import Status
from tests.factories import make_generation

pytestmark = pytest.mark.django_db


def body(remote_id: str = "r1", **fields: Any) -> bytes:
    reported = {"id": remote_id, "status": "done", "response_text": "forged?", "credits_used": 0.5}
    return json.dumps({**reported, **fields}).encode()


def deliver(generation: Generation, content: bytes) -> None:
    services.receive_delivery(generation.pk, token=make_token(generation.pk), body=content)


def sent() -> Generation:
    generation = services.submit("Say hello")
    services.send_generation(generation.pk)
    generation.refresh_from_db()
    return generation


class TestHint:
    def test_is_confirmed_at_the_remote(self, remote: Emulator) -> None:
        generation = sent()
        remote.finish(generation.remote_id)
        deliver(generation, body(generation.remote_id))
        services.sweep()
        generation.refresh_from_db()
        assert (generation.status, generation.events.last().cause) == ("done", "webhook")
        assert generation.content.response_text != "forged?"

    def test_forged_changes_nothing(self, remote: Emulator) -> None:
        remote.switches.set(stuck=True)
        generation = sent()
        deliver(generation, body(generation.remote_id))
        services.sweep()
        generation.refresh_from_db()
        assert (generation.status, generation.credits_used) == ("pending", None)

    def test_that_outruns_the_answer_is_adopted(self, remote: Emulator) -> None:
        remote.switches.set(reset_after_accept=True, stuck=False)
        generation = sent()
        assert generation.status == Status.UNCONFIRMED
        remote_id = remote.generations[0].id
        remote.finish(remote_id)
        deliver(generation, body(remote_id))
        services.sweep()
        generation.refresh_from_db()
        assert (generation.status, generation.remote_id) == ("done", remote_id)
        assert remote.counters["creates"] == 1

    def test_of_an_unknown_id_is_dropped(self, remote: Emulator) -> None:
        remote.switches.set(reset_after_accept=True, error_at_list="502", stuck=True)
        generation = sent()
        deliver(generation, body(str(uuid.uuid4())))
        Generation.objects.update(updated_at=timezone.now() - timedelta(minutes=11))
        services.sweep()
        generation.refresh_from_db()
        assert (generation.status, generation.unverified_remote_id) == ("unconfirmed", "")

    def test_on_a_queued_row_is_never_followed_by_a_send(self, remote: Emulator) -> None:
        remote.switches.set(reset_after_accept=True)
        generation = sent()
        remote_id = remote.generations[0].id
        Generation.objects.update(status=Status.QUEUED)
        deliver(generation, body(remote_id))
        remote.finish(remote_id)
        services.send_generation(generation.pk)
        for _ in range(2):
            services.sweep()
        generation.refresh_from_db()
        assert (generation.status, generation.remote_id) == ("done", remote_id)
        assert remote.counters["creates"] == 1

    def test_of_another_row_s_generation_moves_nothing(self, remote: Emulator) -> None:
        """Even if that row does not know it yet."""
        remote.switches.set(reset_after_accept=True, error_at_list="502")
        asked = services.submit("Say hello")
        services.send_generation(asked.pk)
        other = services.submit("Say goodbye")
        services.send_generation(other.pk)
        remote_id = remote.generations[1].id
        remote.finish(remote_id)
        deliver(asked, body(remote_id))
        services.sweep()
        asked.refresh_from_db()
        assert (asked.status, asked.remote_id, asked.unverified_remote_id) == (
            "unconfirmed",
            None,
            "",
        )

    @pytest.mark.parametrize("confirm", [True, False])
    def test_on_a_queued_row_forbids_a_cancel(self, settings: Any, *, confirm: bool) -> None:
        settings.CREATIFY_TEXTGEN = {**settings.CREATIFY_TEXTGEN, "CONFIRM_WEBHOOKS": confirm}
        generation = services.submit("Say hello")
        deliver(generation, body(str(uuid.uuid4())))
        with pytest.raises(TransitionError):
            services.cancel(generation)
        generation.refresh_from_db()
        assert (generation.status, generation.credits_used) == ("queued", None)

    @pytest.mark.parametrize("remote_id", ["x", "None", "../other", "1" * 36])
    def test_of_an_id_that_can_be_none_lets_a_queued_row_be_sent(
        self, remote: Emulator, remote_id: str
    ) -> None:
        generation = services.submit("Say hello")
        with suppress(WebhookError):
            deliver(generation, body(remote_id))
        services.send_generation(generation.pk)
        generation.refresh_from_db()
        assert (generation.status, remote.counters["creates"]) == ("pending", 1)

    def test_of_an_unknown_id_lets_a_queued_row_be_sent(self, remote: Emulator) -> None:
        generation = services.submit("Say hello")
        deliver(generation, body(str(uuid.uuid4())))
        services.send_generation(generation.pk)
        now = timezone.now()
        Generation.objects.update(due_at=now)
        services.sweep()
        assert remote.counters["creates"] == 0
        Generation.objects.update(due_at=now, updated_at=now - timedelta(minutes=11))
        for _ in range(3):
            services.sweep()
        generation.refresh_from_db()
        assert remote.counters["creates"] == 1
        assert generation.remote_id == remote.generations[0].id

    def test_of_an_id_that_is_shown_late_is_never_followed_by_a_send(
        self, remote: Emulator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A gateway refuses what the remote has accepted, and a replica does not know it yet."""
        remote.switches.set(reset_after_accept=True, times=1)
        generation = sent()
        [accepted] = remote.generations
        Generation.objects.update(status=Status.QUEUED, lease_until=None)
        deliver(generation, body(accepted.id))
        services.send_generation(generation.pk)
        remote.finish(accepted.id)
        get, asked = RemoteClient.get, []

        def lag(client: RemoteClient, remote_id: str) -> RemoteGeneration:
            asked.append(remote_id)
            if len(asked) == 1:
                raise RemoteRejectedError("not here yet", status=404, code="not_found")
            return get(client, remote_id)

        monkeypatch.setattr(RemoteClient, "get", lag)
        for _ in range(4):
            Generation.objects.update(due_at=timezone.now())
            services.sweep()
        generation.refresh_from_db()
        assert (generation.status, generation.remote_id) == ("done", accepted.id)
        assert remote.counters["creates"] == 1

    @pytest.mark.parametrize("is_first", [True, False], ids=["before", "after"])
    def test_of_an_unknown_id_beside_the_right_one_is_never_followed_by_a_send(
        self, remote: Emulator, *, is_first: bool
    ) -> None:
        """The remote has used the URL of this row, so it has accepted the request."""
        remote.switches.set(reset_after_accept=True, times=1)
        generation = sent()
        [accepted] = remote.generations
        Generation.objects.update(status=Status.QUEUED, lease_until=None)
        named = [accepted.id, str(uuid.uuid4())]
        for remote_id in named[::-1] if is_first else named:
            deliver(generation, body(remote_id))
        remote.finish(accepted.id)
        long_ago = timezone.now() - timedelta(minutes=11)
        for _ in range(4):
            Generation.objects.filter(finished_at=None).update(due_at=long_ago, updated_at=long_ago)
            services.sweep()
        generation.refresh_from_db()
        assert (generation.status, generation.remote_id) == ("done", accepted.id)
        assert remote.counters["creates"] == 1

    def test_of_no_id_keeps_the_one_that_came_before(self) -> None:
        generation = make_generation(status=Status.UNCONFIRMED)
        remote_id = str(uuid.uuid4())
        for named in (remote_id, "x"):
            deliver(generation, body(named))
        generation.refresh_from_db()
        assert generation.unverified_remote_id == remote_id

    def test_for_a_finished_row_changes_nothing(self) -> None:
        generation = make_generation(status=Status.DONE, remote_id="r1")
        deliver(generation, body())
        generation.refresh_from_db()
        assert generation.deliveries == 0

    def test_costs_one_statement_and_no_call(
        self,
        remote: Emulator,
        django_assert_max_num_queries: Any,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        # However slow the machine, both deliveries share one request for a sweep.
        monkeypatch.setattr(sweep_schedule, "GATHER", timedelta(minutes=1))
        # Another test's request may end between the two.
        monkeypatch.setattr(sweep_schedule._LastRequest, "until", None)
        generation = make_generation(status=Status.PENDING, remote_id="r1")
        deliver(generation, body())  # the first in a while also wakes the sweep
        with django_assert_max_num_queries(1):
            deliver(generation, body())
        assert remote.requests == []

    def test_again_counts_again(self, remote: Emulator) -> None:
        generation = make_generation(status=Status.PENDING, remote_id="r1")
        for _ in range(2):
            deliver(generation, body())
        generation.refresh_from_db()
        assert generation.deliveries == 2

    def test_for_a_row_known_to_be_final_costs_no_statement(
        self, django_assert_num_queries: Any
    ) -> None:
        generation = make_generation(status=Status.DONE, remote_id="r1")
        deliver(generation, body())
        with django_assert_num_queries(0):
            deliver(generation, body(status="failed"))

    def test_that_the_database_did_not_take_is_taken_again(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        generation = make_generation(status=Status.PENDING, remote_id="r1")
        with monkeypatch.context() as broken:
            broken.setattr(lifecycle, "note_delivery", Mock(side_effect=DatabaseError))
            with pytest.raises(DatabaseError):
                deliver(generation, body())
        deliver(generation, body())
        generation.refresh_from_db()
        assert generation.deliveries == 1


class TestBelief:
    @pytest.fixture(autouse=True)
    def _believe(self, settings: Any) -> None:
        settings.CREATIFY_TEXTGEN = {**settings.CREATIFY_TEXTGEN, "CONFIRM_WEBHOOKS": False}

    def test_applies_the_body(self) -> None:
        generation = make_generation(status=Status.PENDING, remote_id="r1")
        deliver(generation, body(response_text="Hi"))
        generation.refresh_from_db()
        assert (generation.status, generation.content.response_text) == ("done", "Hi")

    def test_keeps_none_of_our_secrets(self, settings: Any) -> None:
        keys = {"API_ID": "id-of-the-site", "API_KEY": "key-of-the-site"}
        settings.CREATIFY_TEXTGEN = {
            **settings.CREATIFY_TEXTGEN,
            "ACCOUNTS": {"default": keys},
            "WEBHOOK_BASE_URL": "https://site.example",
        }
        generation = make_generation(status=Status.PENDING, remote_id="r1")
        said = f"{keys['API_ID']}, {keys['API_KEY']}, {webhook_url(generation)}"
        deliver(generation, body(response_text=said, failed_reason=said))
        content = generation.reloaded().content
        assert content.response_text == "[redacted], [redacted], [redacted]"
        assert content.failed_reason == "[redacted], [redacted], [redacted]"

    def test_refuses_another_generation_s_body(self) -> None:
        generation = make_generation(status=Status.PENDING, remote_id="r1")
        with pytest.raises(WebhookError):
            deliver(generation, body("r2"))

    @pytest.mark.parametrize("status", [Status.QUEUED, Status.SUBMITTING, Status.UNCONFIRMED])
    def test_of_a_row_without_a_remote_id_is_only_looked_up(self, status: Status) -> None:
        """A body does not say what was asked, and may be of another's generation."""
        generation = make_generation(status=status)
        remote_id = str(uuid.uuid4())
        deliver(generation, body(remote_id))
        generation.refresh_from_db()
        assert (generation.status, generation.unverified_remote_id) == (status, remote_id)
        assert generation.deliveries == 1

    def test_of_a_queued_row_is_never_followed_by_a_send(self, remote: Emulator) -> None:
        generation = services.submit("Say hello")
        deliver(generation, body(str(uuid.uuid4())))
        services.send_generation(generation.pk)
        assert remote.counters["creates"] == 0

    def test_of_a_deleted_row_costs_a_statement_once(self, django_assert_num_queries: Any) -> None:
        generation = make_generation(status=Status.DONE)
        Generation.objects.filter(pk=generation.pk).delete()
        with django_assert_num_queries(1):
            deliver(generation, body())
            deliver(generation, body())

    def test_keeps_to_the_first_final_word(self) -> None:
        generation = make_generation(status=Status.PENDING, remote_id="r1")
        deliver(generation, body(response_text="Hi"))
        deliver(generation, body(status="failed"))
        generation.refresh_from_db()
        assert generation.status == Status.DONE


class TestToken:
    @pytest.mark.parametrize(
        "token",
        ["", "0" * 32, "\u00e4" * 32, "x" * 5000],
        ids=["empty", "zeros", "umlauts", "long"],
    )
    def test_wrong_costs_no_statement(self, token: str, django_assert_num_queries: Any) -> None:
        generation = make_generation(status=Status.PENDING)
        with django_assert_num_queries(0), pytest.raises(WebhookError) as caught:
            services.receive_delivery(generation.pk, token=token, body=body())
        assert caught.value.code == "bad_token"

    def test_of_another_row_is_wrong(self) -> None:
        with pytest.raises(WebhookError):
            services.receive_delivery(uuid.uuid4(), token=make_token(uuid.uuid4()), body=body())

    def test_made_before_a_rotation_is_right(self, settings: Any) -> None:
        generation = make_generation(status=Status.PENDING)
        token = make_token(generation.pk)
        settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
        settings.SECRET_KEY = "another-secret-key"
        services.receive_delivery(generation.pk, token=token, body=body())
        settings.SECRET_KEY_FALLBACKS = []
        with pytest.raises(WebhookError):
            services.receive_delivery(generation.pk, token=token, body=body())

    def test_rejection_is_signalled_without_the_token(self) -> None:
        received: list[dict[str, Any]] = []

        def listen(**reported: Any) -> None:
            received.append(reported)

        webhook_rejected.connect(listen)
        with pytest.raises(WebhookError):
            services.receive_delivery(uuid.uuid4(), token="hush", body=body())
        webhook_rejected.disconnect(listen)
        assert received[0]["reason"] == "bad_token"
        assert "hush" not in str(received)


class TestUrl:
    def test_fits_the_remote_s_limit(self, settings: Any) -> None:
        settings.CREATIFY_TEXTGEN = {
            **settings.CREATIFY_TEXTGEN,
            "WEBHOOK_BASE_URL": "https://a-rather-long-host-name.of-some-company.example",
        }
        assert len(webhook_url(make_generation())) <= 200

    def test_is_none_without_an_origin(self) -> None:
        assert webhook_url(make_generation()) == ""

    def test_is_found_however_the_host_nests_us(self, settings: Any) -> None:
        settings.ROOT_URLCONF = "tests.integration.nested_urls"
        settings.CREATIFY_TEXTGEN = {
            **settings.CREATIFY_TEXTGEN,
            "WEBHOOK_BASE_URL": "https://site.example",
        }
        assert webhook_url(make_generation()).startswith("https://site.example/api/v1/ai/webhooks/")
