"""The table of wrong requests, posted as JSON: each named, none kept, none sent."""

from __future__ import annotations

import json
from typing import Any

import pytest
from rest_framework.test import APIClient

from creatify_textgen.emulator import Emulator
from creatify_textgen.models import Generation, Media
from tests.bad_requests import BAD_REFERENCES, BAD_REQUESTS, PROMPT, BadRequest

from .conftest import URL

TOO_DEEP_FOR_JSON = {"call-arguments-deep-lists"}
"""Refused while it is read, before there are fields to name."""


def cases(*, too_deep: bool = False) -> list[Any]:
    table = [*BAD_REQUESTS, *BAD_REFERENCES]
    chosen = [case for case in table if (case.id in TOO_DEEP_FOR_JSON) is too_deep]
    return [pytest.param(case, id=case.id) for case in chosen]


class TestBadRequest:
    @pytest.mark.parametrize("sync", [False, True], ids=["async", "sync"])
    @pytest.mark.parametrize("case", cases())
    def test_is_refused_whole(
        self, api: APIClient, remote: Emulator, case: BadRequest, *, sync: bool
    ) -> None:
        body = {"sync": True, **case.body} if sync and isinstance(case.body, dict) else case.body
        response = api.post(URL, json.dumps(body), content_type="application/json")
        assert response.status_code == 400
        assert case.rule in " ".join(response.json()["errors"][case.field])
        assert PROMPT not in response.content.decode()
        assert not Generation.objects.exists()
        assert not Media.objects.exists()
        assert not remote.requests

    @pytest.mark.parametrize("case", cases(too_deep=True))
    def test_is_refused_while_it_is_read(self, api: APIClient, case: BadRequest) -> None:
        response = api.post(URL, json.dumps(case.body), content_type="application/json")
        assert response.status_code == 400
        assert "nested deeper" in response.json()["error"]
        assert not Generation.objects.exists()


class CutConnection:
    """The body of a client that disconnects while its server reads it."""

    def read(self, *_: int) -> bytes:
        raise ConnectionResetError

    readline = read


class TestLostConnection:
    @pytest.mark.parametrize(
        ("path", "kind"),
        [
            (URL, "application/json"),
            (f"{URL}stream/", "application/json"),
            ("/textgen/conversations/", "application/json"),
            ("/textgen/media/", "multipart/form-data; boundary=x"),
        ],
    )
    def test_is_no_error_of_the_site(self, api: APIClient, path: str, kind: str) -> None:
        body = {"wsgi.input": CutConnection(), "CONTENT_LENGTH": "1000", "CONTENT_TYPE": kind}
        response = api.request(PATH_INFO=path, REQUEST_METHOD="POST", **body)
        assert (response.status_code, response.json()["code"]) == (400, "parse_error")
        assert not Generation.objects.exists()
