"""POST webhooks/{id}/{token}/: right deliveries noted, everything else refused cheaply."""

from __future__ import annotations

import io
import json
import logging
import uuid
from datetime import UTC, datetime
from typing import Any
from unittest.mock import Mock

import pytest
from django.contrib.auth.models import User
from django.db import DataError, OperationalError, connection
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext

from creatify_textgen.dispatch import callbacks
from creatify_textgen.exceptions import WebhookError
from creatify_textgen.models import Generation
from creatify_textgen.webhooks import views
from creatify_textgen.webhooks.views import MAX_BODY_BYTES, receive
from tests.factories import make_generation

REMOTE_ID = "a1b2c3d4-5678-90ab-cdef-1234567890ab"
DELIVERY = {
    "id": REMOTE_ID,
    "status": "done",
    "response_text": "Hello.",
    "response_function_calls": [],
    "failed_reason": "",
    "credits_used": 0.0005,
}
FAR = datetime(2200, 1, 1, tzinfo=UTC)
BAD_BODIES = [
    pytest.param(b"", id="nothing"),
    pytest.param(b"{", id="cut"),
    pytest.param(b"null", id="null"),
    pytest.param(b"[]", id="array"),
    pytest.param(b'"text"', id="string"),
    pytest.param(b"{}", id="no id"),
    pytest.param(b'{"id": {"a": 1}}', id="id an object"),
    pytest.param(b'{"id": "' + b"x" * 10_000 + b'"}', id="endless id"),
    pytest.param(b'{"id": "\\u0000"}', id="NUL"),
    pytest.param(b'{"id": "\\ud800"}', id="lone surrogate"),
    pytest.param(b"\xff\xfe\x00", id="not UTF-8"),
    pytest.param(b"[" * 200_000, id="deep"),
    pytest.param(b'{"a":' * 100_000, id="deep objects"),
    pytest.param(b"a=1&b=2", id="a form"),
]


@pytest.fixture
def pending(db: None) -> Generation:
    return make_generation(status="pending", remote_id=REMOTE_ID, due_at=FAR)


def url(generation_id: uuid.UUID, token: str | None = None) -> str:
    return f"/textgen/webhooks/{generation_id}/{token or callbacks.make_token(generation_id)}/"


def post(client: Client, path: str, body: Any = DELIVERY, **extra: Any) -> Any:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return client.generic("POST", path, content, "application/json", **extra)


def state() -> list[Any]:
    return list(Generation.objects.order_by("pk").values())


class TestRightDelivery:
    def test_is_answered_204(self, client: Client, pending: Generation) -> None:
        response = post(client, url(pending.pk))
        assert (response.status_code, response.content) == (204, b"")

    def test_makes_the_row_due(self, client: Client, pending: Generation) -> None:
        post(client, url(pending.pk))
        noted = Generation.objects.get(pk=pending.pk)
        assert noted.deliveries == 1
        assert noted.due_at < FAR
        assert noted.status == "pending"

    @pytest.mark.parametrize("content_type", ["text/plain", "", "multipart/form-data", "nonsense"])
    def test_may_have_any_type(
        self, client: Client, pending: Generation, content_type: str
    ) -> None:
        body = json.dumps(DELIVERY)
        assert client.generic("POST", url(pending.pk), body, content_type).status_code == 204

    def test_needs_no_csrf_token(self, pending: Generation) -> None:
        assert post(Client(enforce_csrf_checks=True), url(pending.pk)).status_code == 204

    def test_is_larger_than_the_hosts_forms(
        self, client: Client, pending: Generation, settings: Any
    ) -> None:
        settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 10
        assert post(client, url(pending.pk)).status_code == 204

    def test_counts_with_a_retired_key(
        self, client: Client, pending: Generation, settings: Any
    ) -> None:
        path = url(pending.pk)
        settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
        settings.SECRET_KEY = "the next key of this site, also long enough"
        assert post(client, path).status_code == 204

    def test_of_a_final_row_changes_nothing(self, client: Client, db: None) -> None:
        final = make_generation(status="done", remote_id=REMOTE_ID)
        before = state()
        assert post(client, url(final.pk)).status_code == 204
        assert state() == before

    def test_of_a_row_that_is_gone_is_taken(self, client: Client, db: None) -> None:
        assert post(client, url(uuid.uuid4())).status_code == 204

    def test_costs_one_statement(self, client: Client, pending: Generation) -> None:
        post(client, url(pending.pk))
        with CaptureQueriesContext(connection) as queries:
            post(client, url(pending.pk))
        assert len(queries) == 1

    def test_may_be_chunked_where_the_server_says_where_it_ends(self, pending: Generation) -> None:
        body = io.BytesIO(json.dumps(DELIVERY).encode())
        request = RequestFactory().post("/")
        del request.META["CONTENT_LENGTH"]
        request.environ.update({"wsgi.input_terminated": True, "wsgi.input": body})
        response = receive(request, pending.pk, callbacks.make_token(pending.pk))
        assert response.status_code == 204


class TestRefusal:
    @pytest.mark.parametrize(
        "token", ["x", "0" * 32, "ü" * 32, "%00", "%ff" * 10, "x" * 5000, "'--"]
    )
    def test_of_a_wrong_token_is_404(self, client: Client, pending: Generation, token: str) -> None:
        with CaptureQueriesContext(connection) as queries:
            response = post(client, url(pending.pk, token))
        assert (response.status_code, response.content) == (404, b"")
        assert len(queries) == 0

    def test_of_another_rows_token_is_404(self, client: Client, pending: Generation) -> None:
        assert post(client, url(pending.pk, callbacks.make_token(uuid.uuid4()))).status_code == 404

    @pytest.mark.parametrize("body", BAD_BODIES)
    def test_of_a_body_is_400_and_changes_nothing(
        self, client: Client, pending: Generation, body: bytes
    ) -> None:
        before = state()
        response = post(client, url(pending.pk), body)
        assert (response.status_code, response.content) == (400, b"")
        assert state() == before

    @pytest.mark.parametrize(
        "body", [b'{"id": 7}', b'{"id": "x", "credits_used": 1e999999999}'], ids=["id", "number"]
    )
    def test_of_an_odd_body_is_no_error_of_ours(
        self, client: Client, pending: Generation, body: bytes
    ) -> None:
        assert post(client, url(pending.pk), body).status_code in {204, 400}

    @pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "NONSENSE"])
    def test_of_another_method_is_405(
        self, client: Client, pending: Generation, method: str
    ) -> None:
        response = client.generic(method, url(pending.pk), json.dumps(DELIVERY))
        assert (response.status_code, response["Allow"]) == (405, "POST")

    @pytest.mark.parametrize("where", ["stated", "read"])
    def test_of_a_huge_body_is_413(self, pending: Generation, where: str) -> None:
        request = RequestFactory().generic("POST", "/", b"x" * (MAX_BODY_BYTES + 1))
        if where == "read":
            del request.META["CONTENT_LENGTH"]
            terminated = {"wsgi.input_terminated": True, "wsgi.input": request._stream}
            request.environ.update(terminated)
        response = receive(request, pending.pk, callbacks.make_token(pending.pk))
        assert response.status_code == 413

    @pytest.mark.parametrize(
        ("length", "status"), [("\xb2", 400), ("\u0663", 400), ("-1", 400), ("9" * 5000, 413)]
    )
    def test_of_an_odd_length_is_no_error_of_ours(
        self, pending: Generation, length: str, status: int
    ) -> None:
        request = RequestFactory().post("/", b"{}", "application/json", CONTENT_LENGTH=length)
        assert receive(request, pending.pk, callbacks.make_token(pending.pk)).status_code == status

    def test_of_a_broken_connection_is_400(self, pending: Generation) -> None:
        class Gone(io.RawIOBase):
            def read(self, size: int = -1) -> bytes:
                raise OSError("connection lost")

        request = RequestFactory().post("/")
        request._stream = Gone()
        response = receive(request, pending.pk, callbacks.make_token(pending.pk))
        assert response.status_code == 400

    @pytest.mark.parametrize("path", ["webhooks/nonsense/token/", "webhooks/1/token/"])
    def test_of_an_id_that_is_none_is_404(self, client: Client, db: None, path: str) -> None:
        assert post(client, f"/textgen/{path}").status_code == 404


class TestWithoutDatabase:
    def test_is_answered_503(
        self,
        client: Client,
        pending: Generation,
        caplog: pytest.LogCaptureFixture,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        away = OperationalError("server closed the connection")
        monkeypatch.setattr(views, "receive_delivery", Mock(side_effect=away))
        for _ in range(3):
            assert post(client, url(pending.pk)).status_code == 503
        # A sentence, once: an outage has as many deliveries as generations.
        [line] = [one for one in caplog.records if one.name == "creatify_textgen.webhooks"]
        assert (line.levelname, line.exc_info) == ("ERROR", None)

    def test_that_refuses_a_value_is_not_quoted(
        self,
        client: Client,
        pending: Generation,
        caplog: pytest.LogCaptureFixture,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """If deliveries are believed, the value may be the answer."""
        refusal = DataError("Failing row contains (the answer)")
        monkeypatch.setattr(views, "receive_delivery", Mock(side_effect=refusal))
        assert post(client, url(pending.pk)).status_code == 503
        assert f"{pending.pk} could not be saved (DataError)" in caplog.text
        assert "the answer" not in caplog.text


class TestToken:
    @pytest.mark.parametrize(
        "fault",
        [
            pytest.param(WebhookError("no", code="malformed_delivery"), id="malformed"),
            pytest.param(OperationalError("away"), id="no database"),
        ],
    )
    def test_never_reaches_a_log(
        self,
        client: Client,
        pending: Generation,
        caplog: pytest.LogCaptureFixture,
        monkeypatch: pytest.MonkeyPatch,
        fault: Exception,
    ) -> None:
        monkeypatch.setattr(views, "receive_delivery", Mock(side_effect=fault))
        with caplog.at_level(logging.DEBUG):
            post(client, url(pending.pk))
            client.get(url(pending.pk))
        assert callbacks.make_token(pending.pk) not in caplog.text

    def test_does_not_reach_the_log_of_django(
        self, client: Client, pending: Generation, caplog: pytest.LogCaptureFixture
    ) -> None:
        assert post(client, "/old" + url(pending.pk)).status_code == 404
        lines = [one.getMessage() for one in caplog.records if one.name == "django.request"]
        assert len(lines) == 1
        assert str(pending.pk) in lines[0]
        assert callbacks.make_token(pending.pk) not in caplog.text

    def test_of_a_foreign_host_does_not_reach_the_log_of_django(
        self, pending: Generation, caplog: pytest.LogCaptureFixture, settings: Any
    ) -> None:
        """Some versions of Django write the path of such a request, and all write a line."""
        settings.ALLOWED_HOSTS = ["testserver"]
        client = Client(headers={"host": "stranger.example"})
        assert post(client, url(pending.pk)).status_code == 400
        assert "stranger.example" in caplog.text
        assert callbacks.make_token(pending.pk) not in caplog.text


class TestLoginRequiredMiddleware:
    def test_lets_the_remote_through(
        self, client: Client, pending: Generation, settings: Any
    ) -> None:
        settings.MIDDLEWARE = [
            *settings.MIDDLEWARE,
            "django.contrib.auth.middleware.LoginRequiredMiddleware",
        ]
        assert post(client, url(pending.pk)).status_code == 204


class TestOwner:
    def test_is_no_matter(self, client: Client, pending: Generation) -> None:
        client.force_login(User.objects.create_user("somebody"))
        assert post(client, url(pending.pk)).status_code == 204
