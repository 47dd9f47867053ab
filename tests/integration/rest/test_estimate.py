"""`GET estimate/`."""

from __future__ import annotations

from decimal import Decimal

import pytest
from django.core.cache import cache
from rest_framework.test import APIClient

from tests.factories import NOW, make_generation

pytestmark = pytest.mark.django_db

URL = "/textgen/estimate/"


class TestEstimate:
    @pytest.fixture(autouse=True)
    def _settle(self) -> None:
        cache.clear()
        make_generation(status="done", credits_used=Decimal("0.0010"), finished_at=NOW)

    def test_is_in_decimal_strings(self, api: APIClient) -> None:
        found = api.get(URL, {"model_name": "gemini-2.5-flash"}).json()
        assert (found["sample"], found["median"], found["p95"]) == (1, "0.001", "0.001")
        assert found["median_per_1000_tokens"] is None

    def test_is_null_where_nothing_is_known(self, api: APIClient) -> None:
        found = api.get(URL, {"model_name": "x"}).json()
        assert (found["model_name"], found["median"], found["mean"]) == ("x", None, None)

    @pytest.mark.parametrize("name", ["x" * 256, "a\0b"])
    def test_refuses_a_name_that_is_none(self, api: APIClient, name: str) -> None:
        response = api.get(URL, {"model_name": name})
        assert (response.status_code, list(response.json()["errors"])) == (400, ["model_name"])

    def test_is_for_users(self) -> None:
        assert APIClient().get(URL).status_code in (401, 403)
