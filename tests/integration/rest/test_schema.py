"""The OpenAPI document, and what it says against what is answered."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from drf_spectacular.drainage import GENERATOR_STATS
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.validation import validate_schema
from rest_framework.test import APIClient

from creatify_textgen.rest import openapi as _registered  # noqa: F401
from creatify_textgen.rest.serializers import GenerationSerializer

from .conftest import URL, make_generation

PATHS = {
    "/textgen/generations/": {"get", "post"},
    "/textgen/generations/{generation_id}/": {"get"},
    "/textgen/generations/{generation_id}/refresh/": {"post"},
    "/textgen/generations/{generation_id}/retry/": {"post"},
    "/textgen/generations/{generation_id}/cancel/": {"post"},
    "/textgen/generations/stream/": {"post"},
    "/textgen/generations/{generation_id}/stream/": {"get"},
    "/textgen/generations/{generation_id}/ticket/": {"post"},
    "/textgen/credits/": {"get"},
    "/textgen/media/": {"post"},
    "/textgen/media/{media_id}/": {"get"},
}


@pytest.fixture
def document(settings: Any) -> dict[str, Any]:
    settings.REST_FRAMEWORK = {"DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema"}
    GENERATOR_STATS.reset()
    generated: dict[str, Any] = SchemaGenerator().get_schema(request=None, public=True)
    return generated


class TestDocument:
    def test_is_valid_and_draws_no_complaint(self, document: dict[str, Any]) -> None:
        validate_schema(document)
        assert not GENERATOR_STATS

    def test_has_every_path(self, document: dict[str, Any]) -> None:
        assert {path: set(methods) for path, methods in document["paths"].items()} == PATHS

    def test_names_every_field_of_a_creation(self, document: dict[str, Any]) -> None:
        post = document["paths"][URL]["post"]
        shape = post["requestBody"]["content"]["application/json"]["schema"]
        assert set(shape["properties"]) >= {"messages", "model_name", "sync", "metadata"}

    def test_names_the_filters(self, document: dict[str, Any]) -> None:
        names = {parameter["name"] for parameter in document["paths"][URL]["get"]["parameters"]}
        assert names == {
            "status",
            "mode",
            "model_name",
            "created_after",
            "created_before",
            "owner",
            "search",
            "ordering",
            "cursor",
            "page_size",
        }


class TestSerializer:
    def test_declares_what_it_answers(self, api: APIClient, owner: User) -> None:
        row = make_generation(owner)
        assert list(api.get(f"{URL}{row.pk}/").json()) == list(GenerationSerializer().fields)
