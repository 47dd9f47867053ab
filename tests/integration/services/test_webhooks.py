"""Deliveries, from bytes to a row that the next sweep settles."""

from __future__ import annotations

import json
import uuid
from typing import Any
from unittest.mock import Mock

import pytest
from django.db import DatabaseError

from creatify_textgen import lifecycle, services
from creatify_textgen.emulator import Emulator
from creatify_textgen.exceptions import WebhookError
from creatify_textgen.models import Generation
from creatify_textgen.services.callbacks import make_token, webhook_url
from creatify_textgen.signals import webhook_rejected
from creatify_textgen.states import Status
from tests.factories import make_generation

pytestmark = pytest.mark.django_db


def body(remote_id: str = "r1", **fields: Any) -> bytes:
    told = {"id": remote_id, "status": "done", "response_text": "forged?", "credits_used": 0.5}
    return json.dumps({**told, **fields}).encode()


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
        services.sweep()
        generation.refresh_from_db()
        assert (generation.status, generation.hinted_remote_id) == ("unconfirmed", "")

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

    def test_for_a_finished_row_changes_nothing(self) -> None:
        generation = make_generation(status=Status.DONE, remote_id="r1")
        deliver(generation, body())
        generation.refresh_from_db()
        assert generation.deliveries == 0

    def test_costs_one_statement_and_no_call(
        self, remote: Emulator, django_assert_max_num_queries: Any
    ) -> None:
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

    def test_refuses_another_generation_s_body(self) -> None:
        generation = make_generation(status=Status.PENDING, remote_id="r1")
        with pytest.raises(WebhookError):
            deliver(generation, body("r2"))

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
        heard: list[dict[str, Any]] = []

        def listen(**told: Any) -> None:
            heard.append(told)

        webhook_rejected.connect(listen)
        with pytest.raises(WebhookError):
            services.receive_delivery(uuid.uuid4(), token="hush", body=body())
        webhook_rejected.disconnect(listen)
        assert heard[0]["reason"] == "bad_token"
        assert "hush" not in str(heard)


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
