"""The table of wrong requests, posted to be streamed: each named, none kept, none sent."""

from __future__ import annotations

import json

import pytest
from django.contrib.auth.models import User
from rest_framework.test import APIClient

from creatify_textgen import enqueue
from creatify_textgen.models import Generation, Media
from creatify_textgen.rest.streaming import limits
from tests.bad_requests import BAD_REFERENCES, BAD_REQUESTS, PROMPT, BadRequest

pytestmark = pytest.mark.django_db(transaction=True)
STREAM = "/textgen/generations/stream/"


@pytest.fixture
def api() -> APIClient:
    client = APIClient()
    client.force_authenticate(User.objects.create_user("owner"))
    return client


@pytest.mark.parametrize("case", [*BAD_REQUESTS, *BAD_REFERENCES], ids=lambda case: case.id)
def test_is_refused_whole(
    api: APIClient, monkeypatch: pytest.MonkeyPatch, case: BadRequest
) -> None:
    streamed: list[object] = []
    monkeypatch.setattr(enqueue, "stream", streamed.append)
    response = api.post(STREAM, json.dumps(case.body), content_type="application/json")
    assert response.status_code == 400
    reported = response.json()
    # A body that is nested too deeply is refused before there are fields to name.
    assert "nested deeper" in reported["error"] or case.rule in " ".join(
        reported["errors"][case.field]
    )
    assert PROMPT not in response.content.decode()
    assert not Generation.objects.exists()
    assert not Media.objects.exists()
    assert limits.reader_slots.count() == 0
    assert not streamed
