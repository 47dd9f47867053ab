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
    "/textgen/generations/{generation_id}/": {"get", "delete"},
    "/textgen/generations/{generation_id}/refresh/": {"post"},
    "/textgen/generations/{generation_id}/retry/": {"post"},
    "/textgen/generations/{generation_id}/cancel/": {"post"},
    "/textgen/generations/{generation_id}/stop/": {"post"},
    "/textgen/generations/{generation_id}/settle/": {"post"},
    "/textgen/generations/stream/": {"post"},
    "/textgen/generations/{generation_id}/stream/": {"get"},
    "/textgen/generations/{generation_id}/ticket/": {"post"},
    "/textgen/conversations/": {"get", "post"},
    "/textgen/conversations/{conversation_id}/": {"get", "patch", "delete"},
    "/textgen/conversations/{conversation_id}/fork/": {"post"},
    "/textgen/conversations/{conversation_id}/messages/": {"get", "post"},
    "/textgen/conversations/{conversation_id}/messages/stream/": {"get", "post"},
    "/textgen/runs/": {"get"},
    "/textgen/runs/{run_id}/": {"get"},
    "/textgen/runs/{run_id}/stop/": {"post"},
    "/textgen/runs/{run_id}/calls/{call_id}/approve/": {"post"},
    "/textgen/runs/{run_id}/calls/{call_id}/reject/": {"post"},
    "/textgen/credits/": {"get"},
    "/textgen/estimate/": {"get"},
    "/textgen/models/": {"get"},
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

    def test_names_its_components_apart_from_the_hosts(self, document: dict[str, Any]) -> None:
        for name in document["components"]["schemas"]:
            assert name.removeprefix("Paginated").startswith("Textgen"), name

    def test_has_every_path(self, document: dict[str, Any]) -> None:
        assert {path: set(methods) for path, methods in document["paths"].items()} == PATHS

    def test_names_every_field_of_a_creation(self, document: dict[str, Any]) -> None:
        post = document["paths"][URL]["post"]
        shape = post["requestBody"]["content"]["application/json"]["schema"]
        assert set(shape["properties"]) >= {"messages", "model_name", "sync", "metadata"}

    @pytest.mark.parametrize(
        ("path", "method"),
        [
            ("/textgen/generations/", "post"),
            ("/textgen/generations/stream/", "post"),
            ("/textgen/generations/{generation_id}/retry/", "post"),
            ("/textgen/media/", "post"),
        ],
    )
    def test_names_every_refusal_of_what_is_not_allowed(
        self, document: dict[str, Any], path: str, method: str
    ) -> None:
        answers = document["paths"][path][method]["responses"]
        assert {"400", "402", "403", "429", "503"} <= set(answers)

    def test_names_a_database_that_does_not_answer(self, document: dict[str, Any]) -> None:
        operations = [one for path in document["paths"].values() for one in path.values()]
        assert all("503" in operation["responses"] for operation in operations)

    def test_names_ranges_of_a_file(self, document: dict[str, Any]) -> None:
        get = document["paths"]["/textgen/media/{media_id}/"]["get"]
        assert {"200", "206", "416"} <= set(get["responses"])
        assert "Range" in {parameter["name"] for parameter in get["parameters"]}

    @pytest.mark.parametrize(
        ("path", "method"),
        [
            ("/textgen/generations/stream/", "post"),
            ("/textgen/conversations/{conversation_id}/messages/stream/", "post"),
            ("/textgen/media/{media_id}/", "get"),
        ],
    )
    def test_names_a_file_that_is_gone(
        self, document: dict[str, Any], path: str, method: str
    ) -> None:
        assert "410" in document["paths"][path][method]["responses"]

    def test_names_a_body_without_a_length(self, document: dict[str, Any]) -> None:
        changes = [
            operation["responses"]
            for path in document["paths"].values()
            for method, operation in path.items()
            if method != "get"
        ]
        assert [one for one in changes if "411" not in one] == []

    def test_names_the_filters(self, document: dict[str, Any]) -> None:
        names = {parameter["name"] for parameter in document["paths"][URL]["get"]["parameters"]}
        assert names == {
            "status",
            "mode",
            "model_name",
            "account",
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
