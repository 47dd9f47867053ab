"""Where the views run: outside a request's transaction, under whatever namespaces."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connections
from django.test.utils import override_script_prefix
from django.urls import include, path, resolve
from rest_framework.test import APIClient

PATHS = [
    "generations/",
    "generations/01890a5d-ac96-774b-bcce-b302099a8057/",
    "generations/01890a5d-ac96-774b-bcce-b302099a8057/refresh/",
    "generations/01890a5d-ac96-774b-bcce-b302099a8057/retry/",
    "generations/01890a5d-ac96-774b-bcce-b302099a8057/cancel/",
    "credits/",
    "media/",
    "media/01890a5d-ac96-774b-bcce-b302099a8057/",
    "webhooks/01890a5d-ac96-774b-bcce-b302099a8057/token/",
]

ours = [path("deep/", include("creatify_textgen.urls", namespace="texts"))]
urlpatterns = [path("v1/", include((ours, "v1")))]
"""Two namespaces, one within the other."""


class TestView:
    @pytest.mark.parametrize("view", PATHS)
    def test_runs_outside_a_transaction_of_the_request(self, view: str) -> None:
        found: Any = resolve(f"/textgen/{view}").func
        assert found._non_atomic_requests == set(connections)


class TestPrefix:
    def test_of_the_server_is_in_every_address(self, api: APIClient) -> None:
        """Such as `SCRIPT_NAME`, of which a request is part of the path and the rest is ours."""
        with override_script_prefix("/shop/"):
            place = {"SCRIPT_NAME": "/shop"}
            created = api.post(
                "/textgen/generations/", {"messages": "Hello"}, format="json", **place
            )
            path = f"/shop/textgen/generations/{created.json()['id']}/"
            assert created["Location"] == path
            api.post("/textgen/generations/", {"messages": "Hello"}, format="json", **place)
            page = api.get("/textgen/generations/", {"page_size": "1"}, **place).json()
            assert "/shop/textgen/generations/" in page["next"]
            ticket = api.post(f"{path.removeprefix('/shop')}ticket/", **place).json()
            assert ticket["url"].startswith(f"{path}stream/?ticket=")


class TestLocation:
    def test_leads_through_every_namespace(self, api: APIClient, settings: Any) -> None:
        settings.ROOT_URLCONF = __name__
        response = api.post("/v1/deep/generations/", {"messages": "Hello"}, format="json")
        assert response["Location"] == f"/v1/deep/generations/{response.json()['id']}/"
        assert api.get(response["Location"]).status_code == 200
