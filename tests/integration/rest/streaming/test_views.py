"""Who may stream what, and how a refusal looks. The rows are real, the pump is not."""

from __future__ import annotations

import json
import uuid
from datetime import timedelta
from threading import Timer
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.core import signing
from django.db import connection
from django.test import override_settings
from django.urls import reverse
from rest_framework.test import APIClient

from creatify_textgen import enqueue
from creatify_textgen.http import tickets
from creatify_textgen.models import Generation, GenerationContent
from creatify_textgen.remote import Chunk
from creatify_textgen.rest.streaming import limits, views
from creatify_textgen.states import Mode, Status
from creatify_textgen.streams import begin
from creatify_textgen.streams.hub import END, ERROR, START, get_hub, word_frame
from creatify_textgen.streams.transcript import Transcript
from tests.factories import make_generation

pytestmark = pytest.mark.django_db(transaction=True)
STREAM = "/textgen/generations/stream/"
BODY = {"messages": "Hello", "model_name": "gemini-2.5-flash"}
FIRST_ERROR = '{"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "message": "No."}}'


@pytest.fixture
def owner() -> User:
    return User.objects.create_user("owner", password="pw")


@pytest.fixture
def api(owner: User) -> APIClient:
    client = APIClient()
    client.force_authenticate(owner)
    return client


@pytest.fixture
def done(owner: User) -> Generation:
    content = {
        "response_text": "Hello there",
        "response_function_calls": [{"name": "wave", "args": {}}],
        "usage": {"total_token_count": 7},
    }
    return make_generation(
        owner=owner,
        mode=Mode.STREAM,
        status=Status.DONE,
        remote_id="r-1",
        credits_used="0.0005",
        finish_reason="STOP",
        content=content,
    )


@pytest.fixture
def silent_pump(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(enqueue, "stream", lambda generation_id: None)
    monkeypatch.setattr(views, "FIRST_FRAME_SECONDS", 0.05)


def attach_path(generation: Generation) -> str:
    return reverse("creatify_textgen:generation-attach", args=[generation.pk])


def fail_at_once(monkeypatch: pytest.MonkeyPatch, failure: dict[str, Any]) -> None:
    error = word_frame(START, ERROR, failure)
    frames = [error, word_frame(error.end, END, {"status": "failed"})]
    monkeypatch.setattr(
        enqueue, "stream", lambda generation_id: get_hub().publish(str(generation_id), frames)
    )


def body_of(response: Any) -> str:
    return b"".join(response.streaming_content).decode()


class TestAttach:
    def test_serves_a_finished_one_from_its_row(self, api: APIClient, done: Generation) -> None:
        body = body_of(api.get(attach_path(done), HTTP_LAST_EVENT_ID="3-6"))
        chunk, end, rest = body.split("\n\n")
        answer = json.loads(chunk.partition("data: ")[2])
        assert answer["candidates"][0]["content"]["parts"] == [
            {"text": "there"},
            {"functionCall": {"name": "wave", "args": {}}},
        ]
        assert answer["usageMetadata"] == {"totalTokenCount": 7}
        assert '"creatify":{"id":"r-1","credits_used":0.0005}' in chunk
        assert chunk.startswith("id: 4-11-0-1\n")
        assert end.startswith("event: end\nid: end\n")
        assert rest == ""

    def test_answers_head_without_reading_the_stream(self, api: APIClient, owner: User) -> None:
        running = make_generation(owner=owner, mode=Mode.STREAM, status=Status.RUNNING)
        response = api.head(attach_path(running))
        assert response["Content-Type"] == "text/event-stream"
        assert response["X-Generation-Id"] == str(running.pk)
        assert (response.streaming, limits.reader_slots.count()) == (False, 0)

    def test_says_no_more_to_a_reader_that_has_all(self, api: APIClient, done: Generation) -> None:
        assert api.get(attach_path(done), HTTP_LAST_EVENT_ID="end").status_code == 204

    def test_tells_why_there_is_no_answer(self, api: APIClient, owner: User) -> None:
        failed = make_generation(
            owner=owner,
            mode=Mode.STREAM,
            status=Status.FAILED,
            error_code="blocked",
            content={"failed_reason": "The prompt was blocked."},
        )
        error, end, _ = body_of(api.get(attach_path(failed))).split("\n\n")
        assert error == (
            'event: error\ndata: {"code":"blocked","message":"The prompt was blocked."}'
        )
        assert '"status":"failed"' in end

    @pytest.mark.parametrize("written", ["seventeen", "1-2-3", "-1-5", "1-", "\u0661-1", "9" * 400])
    def test_refuses_an_id_that_is_not_ours(
        self, api: APIClient, done: Generation, written: str
    ) -> None:
        response = api.get(attach_path(done), {"after": written})
        assert response.status_code == 400
        assert response.json()["code"] == "invalid_request"

    @pytest.mark.parametrize("accept", ["text/event-stream", "*/*", "text/html", "nonsense"])
    def test_takes_any_accept(self, api: APIClient, done: Generation, accept: str) -> None:
        response = api.get(attach_path(done), HTTP_ACCEPT=accept)
        assert response["Content-Type"] == "text/event-stream"
        response.close()

    def test_hides_others(self, api: APIClient, done: Generation) -> None:
        Generation.objects.filter(pk=done.pk).update(owner=None)
        assert api.get(attach_path(done)).status_code == 404

    def test_asks_who_is_there(self, done: Generation) -> None:
        assert APIClient().get(attach_path(done)).status_code in (401, 403)

    @pytest.mark.parametrize(("permission", "status"), [("view_content", 200), (None, 403)])
    def test_keeps_content_from_staff_who_may_not_read_it(
        self, done: Generation, permission: str | None, status: int
    ) -> None:
        staff = User.objects.create_user("staff", is_staff=True)
        names = {"view_generation", permission}
        staff.user_permissions.set(Permission.objects.filter(codename__in=names))
        client = APIClient()
        client.force_authenticate(staff)
        response = client.get(attach_path(done))
        assert response.status_code == status
        response.close()

    def test_ends_where_the_row_is_deleted(self, api: APIClient, done: Generation) -> None:
        response = api.get(attach_path(done))
        Generation.objects.all().delete()
        assert body_of(response) == ""

    def test_is_left_alone_by_gzip(self, api: APIClient, done: Generation) -> None:
        gzip = "django.middleware.gzip.GZipMiddleware"
        with override_settings(MIDDLEWARE=[gzip]):
            response = api.get(attach_path(done), HTTP_ACCEPT_ENCODING="gzip")
        assert response["Content-Encoding"] == "identity"
        assert body_of(response).endswith("\n\n")


@pytest.mark.usefixtures("silent_pump")
class TestCreate:
    def test_begins_with_heartbeats_where_the_first_frame_takes_long(self, api: APIClient) -> None:
        response = api.post(STREAM, BODY, format="json")
        assert response.status_code == 200
        assert Generation.objects.filter(pk=response["X-Generation-Id"]).exists()
        response.close()

    @pytest.mark.parametrize(
        ("code", "status"),
        [
            ("insufficient_credits", 402),
            ("rate_limited", 429),
            ("authentication", 502),
            ("remote_unavailable", 503),
            ("unconfirmed", 504),
            ("invalid_request", 400),
            ("something_new", 502),
        ],
    )
    def test_answers_an_early_error_with_its_status(
        self, api: APIClient, monkeypatch: pytest.MonkeyPatch, code: str, status: int
    ) -> None:
        fail_at_once(monkeypatch, {"code": code, "message": "No."})
        response = api.post(STREAM, BODY, format="json")
        assert (response.status_code, response.json()["code"]) == (status, code)
        assert response["X-Generation-Id"] == response.json()["id"]
        assert limits.reader_slots.count() == 0

    @pytest.mark.parametrize(
        ("failure", "wait"),
        [
            ({"code": "rate_limited", "retry_after": 33}, "33"),
            ({"code": "rate_limited"}, "10"),
            ({"code": "unconfirmed"}, None),
            ({"code": "insufficient_credits"}, None),
        ],
    )
    def test_says_when_to_ask_again_where_that_is_safe(
        self,
        api: APIClient,
        monkeypatch: pytest.MonkeyPatch,
        failure: dict[str, Any],
        wait: str | None,
    ) -> None:
        fail_at_once(monkeypatch, {**failure, "message": "No."})
        response = api.post(STREAM, BODY, format="json")
        assert response.headers.get("Retry-After") == wait

    @pytest.mark.parametrize(
        "raw",
        [
            b"{",
            b"[" * 100_000,
            b"\xff",
            b"null",
            b'{"messages": []}',
            b'{"nonsense": 1}',
            b'{"messages": "a", "messages": "b"}',
            b'{"messages": "a", "config": {"temperature": NaN}}',
            '{"messages": "a"}'.encode("utf-16"),
        ],
    )
    def test_refuses_a_wrong_body_before_anything_is_saved(
        self, api: APIClient, raw: bytes
    ) -> None:
        response = api.post(STREAM, raw, content_type="application/json")
        assert response.status_code == 400
        assert response.json()["error"]
        assert not Generation.objects.exists()
        assert limits.reader_slots.count() == 0

    def test_refuses_a_body_above_the_sites_limit(self, api: APIClient, settings: Any) -> None:
        settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 10
        response = api.post(STREAM, BODY, format="json")
        assert (response.status_code, response.json()["code"]) == (413, "body_too_large")
        assert "DATA_UPLOAD_MAX_MEMORY_SIZE" in response.json()["error"]

    def test_refuses_another_charset(self, api: APIClient) -> None:
        response = api.post(STREAM, b"{}", content_type="application/json; charset=utf-16")
        assert response.status_code == 415

    def test_refuses_a_body_without_length(self, api: APIClient) -> None:
        assert api.post(STREAM, headers={"Transfer-Encoding": "chunked"}).status_code == 411

    def test_honours_the_idempotency_key(self, api: APIClient) -> None:
        first, second = (
            api.post(STREAM, BODY, format="json", HTTP_IDEMPOTENCY_KEY="k") for _ in range(2)
        )
        assert first["X-Generation-Id"] == second["X-Generation-Id"]
        other = {**BODY, "messages": "Other"}
        conflict = api.post(STREAM, other, format="json", HTTP_IDEMPOTENCY_KEY="k")
        assert conflict.status_code == 409
        first.close()
        second.close()

    @pytest.mark.parametrize(("written", "text"), [("1-6", "there"), ("", "Hello there")])
    def test_goes_on_behind_the_last_id_where_the_key_names_a_stream(
        self, api: APIClient, written: str, text: str
    ) -> None:
        """A page on another origin may not see the generation's id, and comes again by its key."""
        api.post(STREAM, BODY, format="json", HTTP_IDEMPOTENCY_KEY="k").close()
        Generation.objects.update(status=Status.DONE)
        GenerationContent.objects.update(response_text="Hello there")
        again = api.post(
            STREAM, BODY, format="json", HTTP_IDEMPOTENCY_KEY="k", HTTP_LAST_EVENT_ID=written
        )
        assert f'"parts":[{{"text":"{text}"}}]' in body_of(again)

    def test_says_no_more_by_key_to_a_reader_that_has_all(self, api: APIClient) -> None:
        api.post(STREAM, BODY, format="json", HTTP_IDEMPOTENCY_KEY="k").close()
        again = api.post(
            STREAM, BODY, format="json", HTTP_IDEMPOTENCY_KEY="k", HTTP_LAST_EVENT_ID="end"
        )
        assert again.status_code == 204
        assert limits.reader_slots.count() == 0

    @pytest.mark.parametrize("written", ["1-6", "end"])
    def test_begins_at_the_beginning_where_the_generation_is_new(
        self, api: APIClient, written: str
    ) -> None:
        response = api.post(STREAM, BODY, format="json", HTTP_LAST_EVENT_ID=written)
        Generation.objects.update(status=Status.DONE)
        GenerationContent.objects.update(response_text="Hello there")
        assert "Hello there" in body_of(response)

    def test_refuses_an_id_that_is_not_ours_before_anything_is_saved(self, api: APIClient) -> None:
        response = api.post(STREAM, BODY, format="json", HTTP_LAST_EVENT_ID="seventeen")
        assert response.status_code == 400
        assert not Generation.objects.exists()
        assert limits.reader_slots.count() == 0

    def test_answers_an_error_that_is_the_remotes_first_word_with_its_status(
        self, api: APIClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        first_word = Chunk(FIRST_ERROR, json.loads(FIRST_ERROR), "message")
        said = Transcript().add(first_word)
        reported = word_frame(said.end, ERROR, {"code": "rate_limited", "message": "No."})
        end = word_frame(reported.end, END, {"status": "failed"})

        def pump(generation_id: uuid.UUID) -> None:
            get_hub().publish(str(generation_id), [said])
            Timer(0.02, get_hub().publish, [str(generation_id), [reported, end]]).start()

        monkeypatch.setattr(views, "FIRST_FRAME_SECONDS", 5)
        monkeypatch.setattr(enqueue, "stream", pump)
        response = api.post(STREAM, BODY, format="json")
        assert (response.status_code, response.json()["code"]) == (429, "rate_limited")

    def test_is_called_off_where_no_pump_takes_it_up(self, api: APIClient, owner: User) -> None:
        response = api.post(STREAM, BODY, format="json")
        row = Generation.objects.get()
        late = row.created_at - timedelta(seconds=16)
        Generation.objects.update(created_at=late, due_at=late)
        body = body_of(response)
        row.refresh_from_db()
        assert row.status == Status.CANCELLED
        assert '"code":"not_taken_up"' in body


class TestExpired:
    def test_ends(self, api: APIClient, owner: User) -> None:
        expired = make_generation(owner=owner, mode=Mode.ASYNC, status=Status.EXPIRED)
        error, end, _ = body_of(api.get(attach_path(expired))).split("\n\n")
        assert '"code":"expired"' in error
        assert '"status":"expired"' in end


class TestLimits:
    def test_a_user_may_read_so_many(
        self, api: APIClient, done: Generation, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(limits, "MAX_READERS_PER_USER", 1)
        first = api.get(attach_path(done))
        second = api.get(attach_path(done))
        assert (second.status_code, second.json()["code"]) == (429, "too_many_streams")
        assert second["Retry-After"]
        first.close()
        third = api.get(attach_path(done))
        assert third.status_code == 200
        third.close()

    def test_a_process_may_have_so_many(
        self, api: APIClient, done: Generation, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(limits, "MAX_READERS", 0)
        refused = api.get(attach_path(done))
        assert (refused.status_code, refused.json()["code"]) == (503, "too_many_readers")
        assert refused["Retry-After"]


class TestWithoutWorker:
    def test_answers_503_once_nobody_takes_it_up(
        self, api: APIClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(enqueue, "stream", lambda generation_id: None)
        monkeypatch.setattr(begin, "PICKUP_LIMIT", timedelta(seconds=0.2))
        response = api.post(STREAM, BODY, format="json")
        assert (response.status_code, response.json()["code"]) == (503, "not_taken_up")
        assert response["Retry-After"] == "5"
        assert Generation.objects.get().status == Status.CANCELLED

    def test_waits_for_that_long(self) -> None:
        assert begin.PICKUP_LIMIT.total_seconds() < views.FIRST_FRAME_SECONDS


class TestTicket:
    def ticket_url(self, api: APIClient, generation: Generation) -> str:
        path = reverse("creatify_textgen:generation-ticket", args=[generation.pk])
        response = api.post(path)
        assert response.status_code == 201
        return str(response.json()["url"])

    def test_opens_the_stream_without_a_cookie(self, api: APIClient, done: Generation) -> None:
        response = APIClient().get(self.ticket_url(api, done))
        assert "Hello there" in body_of(response)

    def test_opens_no_other_stream(self, api: APIClient, done: Generation, owner: User) -> None:
        other = make_generation(owner=owner, status=Status.DONE)
        query = self.ticket_url(api, done).partition("?")[2]
        assert APIClient().get(f"{attach_path(other)}?{query}").status_code in (401, 403)

    def test_expires(
        self, api: APIClient, done: Generation, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        url = self.ticket_url(api, done)
        monkeypatch.setattr(tickets, "LIFETIME_SECONDS", -1)
        assert APIClient().get(url).status_code in (401, 403)

    def test_is_worth_nothing_once_its_user_is_shut_out(
        self, api: APIClient, done: Generation, owner: User
    ) -> None:
        url = self.ticket_url(api, done)
        User.objects.filter(pk=owner.pk).update(is_active=False)
        assert APIClient().get(url).status_code in (401, 403)

    def test_dies_with_the_password(self, api: APIClient, done: Generation, owner: User) -> None:
        url = self.ticket_url(api, done)
        owner.set_password("another")
        owner.save()
        assert APIClient().get(url).status_code in (401, 403)

    def test_dies_with_the_permission(self, done: Generation) -> None:
        staff = User.objects.create_user("staff", is_staff=True)
        names = ["view_generation", "view_content"]
        staff.user_permissions.set(Permission.objects.filter(codename__in=names))
        api = APIClient()
        api.force_authenticate(User.objects.get(pk=staff.pk))
        url = self.ticket_url(api, done)
        assert "Hello there" in body_of(APIClient().get(url))
        staff.user_permissions.clear()
        assert APIClient().get(url).status_code == 404

    @pytest.mark.parametrize(
        "forged",
        ["", "x", "a:b:c", pytest.param(signing.dumps("mine"), id="signed for something else")],
    )
    def test_refuses_what_we_did_not_sign(self, done: Generation, forged: str) -> None:
        response = APIClient().get(attach_path(done), {"ticket": forged})
        assert response.status_code in (401, 403)

    def test_is_for_those_who_may_read(self, done: Generation) -> None:
        stranger = APIClient()
        stranger.force_authenticate(User.objects.create_user("stranger"))
        path = reverse("creatify_textgen:generation-ticket", args=[done.pk])
        assert stranger.post(path).status_code == 404


def test_leaves_no_connection_open(done: Generation, owner: User) -> None:
    client = APIClient()
    client.force_authenticate(owner)
    response = client.get(attach_path(done))
    assert connection.connection is None
    response.close()
