"""GET models/."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from rest_framework.test import APIClient

URL = "/textgen/models/"


@pytest.fixture
def client(db: None) -> APIClient:
    client = APIClient()
    client.force_authenticate(User.objects.create_user("ann"))
    return client


class TestModels:
    def test_needs_a_user(self, db: None) -> None:
        assert APIClient().get(URL).status_code in (401, 403)

    def test_begin_with_the_default_one(self, client: APIClient, settings: Any) -> None:
        settings.CREATIFY_TEXTGEN = {
            **settings.CREATIFY_TEXTGEN,
            "MODELS": ["a", "b"],
            "DEFAULT_MODEL": "b",
        }
        assert [one["name"] for one in client.get(URL).json()] == ["b", "a"]

    def test_say_what_follows_one_that_has_ended(self, client: APIClient) -> None:
        by_name = {one["name"]: one for one in client.get(URL).json()}
        ended = by_name["gemini-3.1-flash-lite-preview"]
        assert (ended["ends_on"], ended["has_ended"]) == ("2026-05-25", True)
        assert ended["successor"] == "gemini-3.1-flash-lite"
        assert by_name["gemini-3-flash-preview"]["ends_on"] is None

    def test_say_that_nothing_is_known_of_a_new_one(self, client: APIClient, settings: Any) -> None:
        settings.CREATIFY_TEXTGEN = {**settings.CREATIFY_TEXTGEN, "MODELS": ["gemini-9"]}
        new = client.get(URL).json()[-1]
        assert (new["name"], new["source"], new["has_ended"]) == ("gemini-9", "", False)
