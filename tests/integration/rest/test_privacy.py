"""Nobody sees another's row, text, media or cost, but staff who may."""

from __future__ import annotations

import uuid
from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from rest_framework.test import APIClient

from .conftest import URL, make_generation

Staff = Callable[..., APIClient]
CONTENT = (
    "messages",
    "system_instruction",
    "config",
    "response_text",
    "response_function_calls",
    "failed_reason",
    "tools",
    "tool_config",
    "metadata",
)
ACTIONS = ("refresh", "retry", "cancel")
NOBODYS = uuid.UUID(int=1)


class TestCaches:
    @pytest.mark.parametrize("path", ["generations/", "generations/{}/", "credits/"])
    def test_keep_nothing(self, api: APIClient, owner: User, path: str) -> None:
        response = api.get(f"/textgen/{path.format(make_generation(owner).pk)}")
        assert (response.status_code, response["Cache-Control"]) == (200, "private, no-store")

    def test_keep_no_refusal(self, strangers_api: APIClient, owner: User) -> None:
        response = strangers_api.get(f"{URL}{make_generation(owner).pk}/")
        assert (response.status_code, response["Cache-Control"]) == (404, "private, no-store")


class TestStranger:
    def test_finds_no_row(self, strangers_api: APIClient, owner: User) -> None:
        row = make_generation(owner)
        assert strangers_api.get(f"{URL}{row.pk}/").status_code == 404
        assert strangers_api.get(URL).json()["results"] == []

    def test_gets_the_same_answer_for_no_row(self, strangers_api: APIClient, owner: User) -> None:
        row = make_generation(owner)
        there = strangers_api.get(f"{URL}{row.pk}/")
        nowhere = strangers_api.get(f"{URL}{uuid.uuid4()}/")
        assert there.json() == nowhere.json()

    @pytest.mark.parametrize("action", ACTIONS)
    def test_cannot_act(self, strangers_api: APIClient, owner: User, action: str) -> None:
        row = make_generation(owner, status="queued")
        assert strangers_api.post(f"{URL}{row.pk}/{action}/").status_code == 404
        row.refresh_from_db()
        assert row.status == "queued"

    def test_sees_no_row_of_the_site(self, strangers_api: APIClient) -> None:
        row = make_generation(None)
        assert strangers_api.get(f"{URL}{row.pk}/").status_code == 404


class TestAnonymous:
    @pytest.mark.parametrize(
        ("method", "path"),
        [
            ("get", "generations/"),
            ("post", "generations/"),
            ("get", f"generations/{NOBODYS}/"),
            ("post", f"generations/{NOBODYS}/retry/"),
            ("get", "credits/"),
            ("post", "media/"),
            ("get", f"media/{NOBODYS}/"),
        ],
    )
    def test_is_turned_away(self, db: None, method: str, path: str) -> None:
        response = getattr(APIClient(), method)(f"/textgen/{path}")
        assert response.status_code in (401, 403)
        assert response.json()["code"] == "not_authenticated"


class TestStaff:
    def test_without_permission_sees_only_their_own(self, staff_with: Staff, owner: User) -> None:
        row = make_generation(owner)
        assert staff_with().get(f"{URL}{row.pk}/").status_code == 404

    def test_sees_rows_without_content(self, staff_with: Staff, owner: User) -> None:
        row = make_generation(owner, prompt="secret", content={"failed_reason": "secret"})
        body = staff_with("view_generation").get(f"{URL}{row.pk}/").json()
        assert {body[name] for name in CONTENT} == {None}
        assert body["status"] == "done"

    def test_sees_content_with_the_permission(self, staff_with: Staff, owner: User) -> None:
        row = make_generation(owner)
        reader = staff_with("view_generation", "view_content")
        assert reader.get(f"{URL}{row.pk}/").json()["response_text"] == "Good day."

    def test_cannot_probe_content_by_search(self, staff_with: Staff, owner: User) -> None:
        make_generation(owner, prompt="secret")
        viewer = staff_with("view_generation")
        reader = staff_with("view_generation", "view_content")
        query = {"search": "secret", "created_after": "2000-01-01"}
        assert viewer.get(URL, query).json()["results"] == []
        assert len(reader.get(URL, query).json()["results"]) == 1

    @pytest.mark.parametrize("action", ACTIONS)
    def test_needs_a_permission_to_act(self, staff_with: Staff, owner: User, action: str) -> None:
        row = make_generation(owner, status="queued")
        response = staff_with("view_generation").post(f"{URL}{row.pk}/{action}/")
        assert response.status_code == 403
        assert response.json()["code"] == "permission_denied"

    def test_acts_with_the_permission(self, staff_with: Staff, owner: User) -> None:
        row = make_generation(owner, status="queued")
        operator = staff_with("view_generation", "operate_generation")
        body = operator.post(f"{URL}{row.pk}/cancel/").json()
        assert body["status"] == "cancelled"
        assert body["messages"] is None

    def test_who_is_no_staff_gains_nothing_by_permission(
        self, staff_with: Staff, owner: User
    ) -> None:
        client = staff_with("view_generation", "view_content")
        User.objects.filter(username__startswith="staff").update(is_staff=False)
        row = make_generation(owner)
        assert client.get(f"{URL}{row.pk}/").status_code == 404
