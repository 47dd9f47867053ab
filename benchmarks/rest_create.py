"""Creating a generation by REST, compared with a plain DRF create of a row with the same columns.

Both run through the whole WSGI stack of one process, in turn, with the same authentication, which
sends no query. Ours also publishes its task (TEST_BROKER_URL, in memory unless set).

    python benchmarks/rest_create.py [--requests 300] [--pairs 7]
    TEST_DATABASE_URL=postgres://postgres@127.0.0.1:5432/textgen_bench python benchmarks/…
"""

from __future__ import annotations

import argparse
import io
import json
import os
import statistics
import time
from typing import Any

from benchmarks.site import set_up

set_up()

from django.conf import settings  # noqa: E402
from django.contrib.auth.models import User  # noqa: E402
from django.core.handlers.wsgi import WSGIHandler  # noqa: E402
from django.db import connection, models  # noqa: E402
from django.test import override_settings  # noqa: E402
from django.urls import include, path  # noqa: E402
from rest_framework.authentication import BaseAuthentication  # noqa: E402
from rest_framework.mixins import CreateModelMixin  # noqa: E402
from rest_framework.permissions import IsAuthenticated  # noqa: E402
from rest_framework.renderers import JSONRenderer  # noqa: E402
from rest_framework.serializers import JSONField, ModelSerializer  # noqa: E402
from rest_framework.views import APIView  # noqa: E402
from rest_framework.viewsets import GenericViewSet  # noqa: E402

from creatify_textgen.models import Generation, GenerationContent  # noqa: E402
from creatify_textgen.models.json_text import JSONTextField  # noqa: E402
from tests import celery_app as _celery_app  # noqa: E402, F401

BODY = json.dumps(
    {
        "model_name": "gemini-2.5-flash",
        "messages": [{"role": "user", "content": "Write a short tagline for an AI video tool."}],
        "system_instruction": "You are a creative marketing copywriter.",
        "config": {"temperature": 0.8, "max_output_tokens": 256},
    }
).encode()
WRITABLE = ("model_name", "messages", "system_instruction", "config", "tools", "tool_config")


class FixedUser(BaseAuthentication):
    """Authenticates every request as the same user."""

    user: Any = None

    def authenticate(self, request: Any) -> tuple[Any, None]:
        return self.user, None


def _columns() -> dict[str, Any]:
    own = [field for field in Generation._meta.fields if field.name != "retry_of"]
    content = [field for field in GenerationContent._meta.fields if field.name != "generation"]
    return {field.name: field.clone() for field in (*own, *content)}


def _indexes() -> list[models.Index]:
    return [
        models.Index(fields=index.fields, name=f"flat_{index.name}")
        for index in Generation._meta.indexes
    ]


class Meta:
    app_label = "benchmarks"
    # For our unique constraint DRF's serializer would query the database before it writes.
    indexes = [*_indexes(), models.Index(fields=["account", "remote_id"], name="flat_remote")]


Flat = type("Flat", (models.Model,), {"__module__": __name__, "Meta": Meta, **_columns()})


class FlatSerializer(ModelSerializer[Any]):
    serializer_field_mapping = {
        **ModelSerializer.serializer_field_mapping,
        JSONTextField: JSONField,
    }

    class Meta:
        model = Flat
        exclude = ["owner", "claim", "fingerprint", "idempotency_key"]
        read_only_fields = sorted(set(_columns()) - {*WRITABLE, *exclude, "id"})


class FlatViewSet(CreateModelMixin, GenericViewSet[Any]):
    queryset = Flat.objects.all()
    serializer_class = FlatSerializer
    permission_classes = [IsAuthenticated]
    renderer_classes = [JSONRenderer]

    def perform_create(self, serializer: Any) -> None:
        serializer.save(owner=self.request.user)


urlpatterns = [
    path("bare/", FlatViewSet.as_view({"post": "create"})),
    path("textgen/", include("creatify_textgen.urls")),
]


def post(application: WSGIHandler, url: str) -> int:
    """Send one request like a server, and return its status."""
    answered: list[str] = []
    environ = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": url,
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(BODY),
        "wsgi.errors": io.StringIO(),
        "CONTENT_TYPE": "application/json",
        "CONTENT_LENGTH": str(len(BODY)),
    }
    response = application(environ, lambda status, headers: answered.append(status))
    body = b"".join(response)
    response.close()
    if not answered[0].startswith("2"):
        raise SystemExit(f"{url} answered {answered[0]}: {body[:500]!r}")
    return int(answered[0][:3])


def seconds(application: WSGIHandler, url: str, *, requests: int, status: int) -> float:
    start = time.perf_counter()
    for _ in range(requests):
        assert post(application, url) == status
    return (time.perf_counter() - start) / requests


def measure(*, requests: int, pairs: int) -> None:
    application = WSGIHandler()
    ratios = []
    for pair in range(pairs + 1):
        bare = seconds(application, "/bare/", requests=requests, status=201)
        ours = seconds(application, "/textgen/generations/", requests=requests, status=202)
        if pair:  # the first warms up
            ratios.append(ours / bare)
            print(f"bare {bare * 1e3:.2f} ms, ours {ours * 1e3:.2f} ms, {ratios[-1]:.2f}")
    broker = os.environ.get("TEST_BROKER_URL", "memory://").partition(":")[0]
    print(
        f"REST create / bare DRF create on {connection.vendor}, broker {broker}: "
        f"median {statistics.median(ratios):.2f} (at most 2)"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=300)
    parser.add_argument("--pairs", type=int, default=7)
    options = parser.parse_args()
    APIView.authentication_classes = [FixedUser]
    FixedUser.user = User.objects.get_or_create(username="benchmark")[0]
    with connection.schema_editor() as editor:
        editor.create_model(Flat)
    try:
        with override_settings(ROOT_URLCONF=__name__):
            settings.DATABASES["default"]["CONN_MAX_AGE"] = None
            measure(requests=options.requests, pairs=options.pairs)
    finally:
        with connection.schema_editor() as editor:
            editor.delete_model(Flat)


if __name__ == "__main__":
    main()
