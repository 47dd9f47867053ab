"""Refresh, retry and cancel."""

from __future__ import annotations

import uuid

import pytest
from django.contrib.auth.models import User
from rest_framework.test import APIClient

from creatify_textgen.models import Generation

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
    @pytest.mark.parametrize("method", ["put", "patch", "delete", "options", "trace"])
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

    @pytest.mark.parametrize("accept", ["text/html", "text/event-stream", "image/png", "*/*", "x"])
    def test_answers_json_whatever_is_accepted(self, api: APIClient, accept: str) -> None:
        response = api.get(URL, headers={"Accept": accept})
        assert response["Content-Type"] == "application/json"
