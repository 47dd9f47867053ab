"""A database that fails a request, or cuts a reader's connection."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import InterfaceError, InternalError, OperationalError
from rest_framework.test import APIClient

from creatify_textgen import services
from creatify_textgen.models import Generation
from creatify_textgen.rest import viewsets
from creatify_textgen.rest.streaming import readers, views
from creatify_textgen.rest.streaming.formats import Frames
from creatify_textgen.rest.streaming.limits import reader_slots
from creatify_textgen.states import Mode, Status
from creatify_textgen.streams import database, follow
from creatify_textgen.streams.hub import START
from tests.bad_requests import PNG
from tests.factories import make_generation

from .conftest import URL

pytestmark = pytest.mark.django_db(transaction=True)


def fail(*_: Any, **__: Any) -> None:
    raise OperationalError("server closed the connection unexpectedly")


def read_only(name: str = "sqlstate") -> Exception:
    """As Django raises it after PostgreSQL has failed over to a standby; psycopg2 says `pgcode`."""
    error = InternalError("cannot execute UPDATE in a read-only transaction")
    error.__cause__ = Exception()
    setattr(error.__cause__, name, "25006")
    return error


class TestDoor:
    @pytest.mark.parametrize(
        "error",
        [OperationalError("gone"), InterfaceError("closed"), read_only(), read_only("pgcode")],
    )
    @pytest.mark.parametrize("sync", [False, True])
    def test_answers_503_to_a_create(
        self, api: APIClient, monkeypatch: pytest.MonkeyPatch, error: Exception, *, sync: bool
    ) -> None:
        def fail(*_: Any, **__: Any) -> None:
            raise error

        monkeypatch.setattr(viewsets.services, "generate" if sync else "submit", fail)
        response = api.post(URL, {"messages": "Hello", "sync": sync}, format="json")
        assert (response.status_code, response.json()["code"]) == (503, "database_unavailable")
        assert response["Retry-After"] == "5"

    @pytest.mark.parametrize(
        ("view", "url"),
        [
            (viewsets.GenerationViewSet, URL),
            (viewsets.MediaViewSet, f"/textgen/media/{uuid4()}/"),
            (viewsets.CreditsView, "/textgen/credits/"),
            (views.AttachView, f"{URL}{uuid4()}/stream/"),
        ],
        ids=["history", "media", "credits", "attach"],
    )
    def test_answers_503_to_a_read(
        self, api: APIClient, monkeypatch: pytest.MonkeyPatch, view: type[Any], url: str
    ) -> None:
        monkeypatch.setattr(view, "check_permissions", fail)
        response = api.get(url)
        assert (response.status_code, response.json()["code"]) == (503, "database_unavailable")

    def test_answers_503_to_a_stream(self, api: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(views, "get_or_begin_stream", fail)
        response = api.post(f"{URL}stream/", {"messages": "Hello"}, format="json")
        assert (response.status_code, response.json()["code"]) == (503, "database_unavailable")

    def test_leaves_a_bug_its_500(self, api: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(*_: Any, **__: Any) -> None:
            raise LookupError

        monkeypatch.setattr(services, "submit", fail)
        with pytest.raises(LookupError):
            api.post(URL, {"messages": "Hello"}, format="json")


@pytest.fixture
def done(owner: User) -> Generation:
    return make_generation(
        owner=owner,
        mode=Mode.STREAM,
        status=Status.DONE,
        remote_id="r-1",
        content={"response_text": "Hello there"},
    )


@pytest.mark.parametrize("kind", ["sync", "async"])
class TestReader:
    @pytest.fixture(autouse=True)
    def _no_pauses(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(follow, "ROW_PAUSES", (0.0, 0.0))

    def test_outlives_a_connection_that_is_cut(
        self, done: Generation, monkeypatch: pytest.MonkeyPatch, kind: str
    ) -> None:
        load, failures = database.load, iter([fail])

        def load_at_last(generation_id: Any) -> Generation:
            next(failures, lambda: None)()
            return load(generation_id)

        monkeypatch.setattr(database, "load", load_at_last)
        wire = read(done, kind)
        assert "Hello there" in wire
        assert "event: end" in wire

    def test_is_told_of_a_database_that_stays_away(
        self, done: Generation, monkeypatch: pytest.MonkeyPatch, kind: str
    ) -> None:
        monkeypatch.setattr(database, "load", fail)
        wire = read(done, kind)
        assert wire.startswith("event: error\ndata: ")
        assert json.loads(wire.partition("data: ")[2])["code"] == "database_unavailable"
        # Neither an end nor an id: it comes again with the id that it has.
        assert "event: end" not in wire
        assert "id: " not in wire


def read(generation: Generation, kind: str) -> str:
    slot = reader_slots.take(generation.owner_id)
    if kind == "sync":
        wire = b"".join(
            readers.SyncReader(generation.pk, after=START, slot=slot, renderer=Frames())
        )
    else:
        reader = readers.AsyncReader(generation.pk, after=START, slot=slot, renderer=Frames())
        wire = async_to_sync(read_all)(aiter(reader))
    return wire.decode()


async def read_all(pieces: AsyncIterator[bytes]) -> bytes:
    return b"".join([piece async for piece in pieces])


class TestDeletedMeanwhile:
    """What a host deletes while a request works on it."""

    @pytest.mark.parametrize("sync", [False, True])
    def test_of_a_user_is_said(self, api: APIClient, owner: User, *, sync: bool) -> None:
        api.force_authenticate(owner)
        User.objects.filter(pk=owner.pk).delete()
        response = api.post(URL, {"messages": "Hello", "sync": sync}, format="json")
        assert (response.status_code, list(response.json()["errors"])) == (400, ["owner"])
        assert not Generation.objects.exists()

    def test_of_a_user_is_said_of_an_upload(self, api: APIClient, owner: User) -> None:
        api.force_authenticate(owner)
        User.objects.filter(pk=owner.pk).delete()
        file = SimpleUploadedFile("pixel.png", PNG, content_type="image/png")
        response = api.post("/textgen/media/", {"file": file}, format="multipart")
        assert (response.status_code, list(response.json()["errors"])) == (400, ["owner"])

    def test_of_a_generation_is_404(
        self, api: APIClient, owner: User, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refresh(generation: Generation, **_: Any) -> Generation:
            Generation.objects.filter(pk=generation.pk).delete()
            return generation.reloaded()

        monkeypatch.setattr(viewsets.services, "refresh", refresh)
        row = make_generation(owner=owner, status=Status.PENDING)
        response = api.post(f"{URL}{row.pk}/refresh/")
        assert (response.status_code, response.json()["code"]) == (404, "not_found")
