"""Refresh, retry, cancel, stop and delete."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import User
from rest_framework.test import APIClient

from creatify_textgen.models import Generation
from creatify_textgen.remote import RemoteGeneration
from tests.faults.remote_double import RemoteDouble

from .conftest import URL, make_generation


class TestCancel:
    def test_takes_back_what_is_queued(self, api: APIClient, owner: User) -> None:
        row = make_generation(owner, status="queued")
        response = api.post(f"{URL}{row.pk}/cancel/")
        assert (response.status_code, response.json()["status"]) == (200, "cancelled")

    @pytest.mark.parametrize("status", ["pending", "done"])
    def test_refuses_what_was_sent(self, api: APIClient, owner: User, status: str) -> None:
        row = make_generation(owner, status=status)
        response = api.post(f"{URL}{row.pk}/cancel/")
        assert (response.status_code, response.json()["code"]) == (409, "not_cancellable")


class TestRetry:
    def test_makes_a_new_one_of_the_same_request(self, api: APIClient, owner: User) -> None:
        row = make_generation(owner, status="failed", content={"config": {"temperature": 0.5}})
        response = api.post(f"{URL}{row.pk}/retry/")
        body = response.json()
        assert response.status_code == 202
        assert response["Location"] == f"{URL}{body['id']}/"
        assert body["id"] != str(row.pk)
        assert body["messages"] == [{"role": "user", "content": "Hello"}]
        assert body["config"] == {"temperature": 0.5}
        assert Generation.objects.get(pk=body["id"]).retry_of == row

    def test_makes_one_for_one_idempotency_key(self, api: APIClient, owner: User) -> None:
        row = make_generation(owner, status="failed")
        for _ in range(2):
            api.post(f"{URL}{row.pk}/retry/", headers={"Idempotency-Key": "k1"})
        assert row.retries.count() == 1

    @pytest.mark.parametrize("status", ["queued", "submitting", "unconfirmed", "pending"])
    def test_refuses_what_may_still_bring_its_result(
        self, api: APIClient, owner: User, status: str
    ) -> None:
        row = make_generation(owner, status=status)
        response = api.post(f"{URL}{row.pk}/retry/")
        assert (response.status_code, response.json()["code"]) == (409, "not_finished")


class TestRefresh:
    def test_shows_a_finished_row_as_it_is(self, api: APIClient, owner: User) -> None:
        row = make_generation(owner)
        response = api.post(f"{URL}{row.pk}/refresh/")
        assert (response.status_code, response.json()["status"]) == (200, "done")

    @pytest.mark.django_db(transaction=True)
    def test_says_that_the_remote_is_away(self, api: APIClient, owner: User) -> None:
        row = make_generation(owner, status="pending", remote_id=str(uuid.uuid4()))
        response = api.post(f"{URL}{row.pk}/refresh/")
        assert response.status_code == 503
        assert response.json()["code"] == "remote_unavailable"


class TestMethod:
    @pytest.mark.parametrize("method", ["put", "patch", "trace"])
    def test_that_is_not_offered_is_405(self, api: APIClient, owner: User, method: str) -> None:
        row = make_generation(owner)
        response = getattr(api, method)(f"{URL}{row.pk}/")
        assert response.status_code == 405
        assert response.json()["code"] == "method_not_allowed"
        assert "GET" in response["Allow"]

    def test_of_an_action_is_post(self, api: APIClient, owner: User) -> None:
        row = make_generation(owner)
        assert api.get(f"{URL}{row.pk}/retry/").status_code == 405

    def test_head_is_get_without_a_body(self, api: APIClient) -> None:
        response = api.head(URL)
        assert (response.status_code, response.content) == (200, b"")

    @pytest.mark.parametrize("accept", ["text/event-stream", "image/png", "*/*", "x"])
    def test_answers_json_whatever_is_accepted(self, api: APIClient, accept: str) -> None:
        response = api.get(URL, headers={"Accept": accept})
        assert response["Content-Type"] == "application/json"


class TestStop:
    def test_cancels_what_is_queued(self, api: APIClient, owner: User) -> None:
        row = make_generation(owner, status="queued")
        response = api.post(f"{URL}{row.pk}/stop/")
        assert (response.status_code, response.json()["status"]) == (200, "cancelled")

    def test_refuses_what_is_no_stream(self, api: APIClient, owner: User) -> None:
        row = make_generation(owner, status="pending")
        response = api.post(f"{URL}{row.pk}/stop/")
        assert (response.status_code, response.json()["code"]) == (409, "not_stoppable")

    def test_is_for_its_owner(self, strangers_api: APIClient, owner: User) -> None:
        row = make_generation(owner, status="queued")
        assert strangers_api.post(f"{URL}{row.pk}/stop/").status_code == 404


class TestSettle:
    @pytest.fixture
    def operator(self, staff_with: Callable[..., APIClient]) -> APIClient:
        return staff_with("view_generation", "view_content", "operate_generation")

    @pytest.fixture
    def path(self, owner: User) -> str:
        return f"{URL}{make_generation(owner, status='unconfirmed', attempts=1).pk}/settle/"

    @pytest.mark.parametrize(
        ("body", "cost", "code"),
        [
            ({"decision": "never_accepted"}, "0", "never_accepted"),
            ({"decision": "charged"}, None, "answer_lost"),
            ({"decision": "charged", "credits_used": None}, None, "answer_lost"),
            ({"decision": "charged", "credits_used": 0.0005}, "0.0005", "answer_lost"),
            ({"decision": "charged", "credits_used": "0.1"}, "0.1", "answer_lost"),
        ],
        ids=str,
    )
    def test_writes_what_a_person_found_out(
        self, operator: APIClient, path: str, body: dict[str, Any], cost: str | None, code: str
    ) -> None:
        response = operator.post(path, body, format="json")
        assert (response.status_code, response.json()["status"]) == (200, "failed")
        row = Generation.objects.get()
        assert (row.credits_used, row.error_code) == (cost and Decimal(cost), code)
        assert "by staff-view_generation" in row.events.get().detail

    def test_adopts_what_was_found(
        self, operator: APIClient, double: RemoteDouble, path: str
    ) -> None:
        row = Generation.objects.get()
        found = RemoteGeneration(
            str(uuid.uuid4()),
            "done",
            "Good day.",
            messages=row.content.messages,
            created_at=row.created_at,
            credits_used=Decimal("0.5"),
        )
        double.generations[found.id] = found
        body = {"decision": "found", "remote_id": found.id}
        response = operator.post(path, body, format="json")
        assert (response.status_code, response.json()["response_text"]) == (200, "Good day.")
        assert Generation.objects.get().credits_used == Decimal("0.5")

    @pytest.mark.parametrize(
        ("body", "field"),
        [
            ({}, "decision"),
            ([], ""),
            ({"decision": "guess"}, "decision"),
            ({"decision": ["charged"]}, "decision"),
            ({"decision": None}, "decision"),
            ({"decision": "charged", "cost": 1}, "cost"),
            ({"decision": "charged", "credits_used": -1}, "credits_used"),
            ({"decision": "charged", "credits_used": True}, "credits_used"),
            ({"decision": "charged", "credits_used": {"a": 1}}, "credits_used"),
            ({"decision": "charged", "credits_used": "9" * 5000}, "credits_used"),
            ({"decision": "never_accepted", "credits_used": 0}, "credits_used"),
            ({"decision": "found"}, "remote_id"),
            ({"decision": "found", "remote_id": 7}, "remote_id"),
            ({"decision": "charged", "remote_id": "x"}, "remote_id"),
        ],
        ids=lambda value: str(value)[:60],
    )
    def test_names_what_is_wrong(
        self, operator: APIClient, path: str, body: Any, field: str
    ) -> None:
        response = operator.post(path, body, format="json")
        assert response.status_code == 400
        assert list(response.json()["errors"]) == [field]
        assert Generation.objects.get().status == "unconfirmed"

    def test_is_decided_once(self, operator: APIClient, path: str) -> None:
        operator.post(path, {"decision": "never_accepted"}, format="json")
        response = operator.post(path, {"decision": "charged"}, format="json")
        assert (response.status_code, response.json()["code"]) == (409, "not_undecided")

    def test_of_no_id_of_the_remote_s_is_refused(self, operator: APIClient, path: str) -> None:
        body = {"decision": "found", "remote_id": "../x"}
        assert operator.post(path, body, format="json").status_code == 400

    def test_is_for_staff_who_operate(
        self,
        api: APIClient,
        strangers_api: APIClient,
        staff_with: Callable[..., APIClient],
        path: str,
    ) -> None:
        body = {"decision": "never_accepted"}
        assert api.post(path, body, format="json").status_code == 403
        assert strangers_api.post(path, body, format="json").status_code == 403
        assert staff_with("view_generation").post(path, body, format="json").status_code == 403
        assert Generation.objects.get().status == "unconfirmed"


class TestDelete:
    def test_removes_what_has_ended(self, api: APIClient, owner: User) -> None:
        row = make_generation(owner)
        assert api.delete(f"{URL}{row.pk}/").status_code == 204
        assert api.get(f"{URL}{row.pk}/").status_code == 404
        assert api.delete(f"{URL}{row.pk}/").status_code == 404

    def test_refuses_what_has_not(self, api: APIClient, owner: User) -> None:
        row = make_generation(owner, status="pending")
        response = api.delete(f"{URL}{row.pk}/")
        assert (response.status_code, response.json()["code"]) == (409, "not_finished")

    def test_is_for_its_owner_alone(
        self, strangers_api: APIClient, staff_with: Callable[..., APIClient], owner: User
    ) -> None:
        row = make_generation(owner)
        assert strangers_api.delete(f"{URL}{row.pk}/").status_code == 404
        operator = staff_with("view_generation", "view_content", "operate_generation")
        assert operator.delete(f"{URL}{row.pk}/").status_code == 403
        assert Generation.objects.filter(pk=row.pk).exists()
