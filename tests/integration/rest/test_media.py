"""POST media/ and GET media/{id}/."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.models import User
from django.core.files.storage import storages
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import AsyncClient
from rest_framework.test import APIClient

from creatify_textgen import services
from creatify_textgen.models import Media
from tests.bad_requests import PNG
from tests.factories import make_generation

URL = "/textgen/media/"


def upload(api: APIClient, content: bytes = PNG, content_type: str = "image/png") -> Any:
    file = SimpleUploadedFile("a.png", content, content_type=content_type)
    return api.post(URL, {"file": file}, format="multipart")


class TestUpload:
    def test_answers_what_was_stored(self, api: APIClient) -> None:
        response = upload(api)
        media = Media.objects.get()
        assert response.status_code == 201
        assert response["Location"] == f"{URL}{media.pk}/"
        assert list(response.json()) == [
            "id",
            "kind",
            "mime_type",
            "size",
            "sha256",
            "created_at",
        ]
        assert response.json()["kind"] == "image"
        assert response.json()["size"] == len(PNG)

    def test_stores_the_same_once(self, api: APIClient) -> None:
        assert upload(api).json() == upload(api).json()

    def test_takes_a_file_of_no_stated_type(self, api: APIClient) -> None:
        response = upload(api, content_type="application/octet-stream")
        assert response.json()["mime_type"] == "image/png"

    @pytest.mark.parametrize(
        ("content", "content_type"),
        [
            pytest.param(b"<html>", "image/png", id="no image"),
            pytest.param(b"", "image/png", id="empty"),
            pytest.param(PNG, "video/mp4", id="another kind than stated"),
            pytest.param(b"<svg xmlns='http://www.w3.org/2000/svg'/>", "image/svg+xml", id="SVG"),
        ],
    )
    def test_refuses(self, api: APIClient, content: bytes, content_type: str) -> None:
        response = upload(api, content, content_type)
        assert response.status_code == 400
        assert set(response.json()["errors"]) & {"file", "mime_type"}
        assert not Media.objects.exists()

    def test_names_a_missing_file(self, api: APIClient) -> None:
        response = api.post(URL, {"other": "x"}, format="multipart")
        assert response.status_code == 400
        assert "file" in response.json()["errors"]

    @pytest.mark.parametrize(
        ("body", "content_type", "status"),
        [
            (b"{}", "application/json", 415),
            (b"x", "multipart/form-data", 400),
            (b"x", "multipart/form-data; boundary=b", 400),
            (b"--b\r\n\r\n", "multipart/form-data; boundary=b", 400),
            (b"x" * 100, "multipart/form-data; boundary=" + "b" * 300, 400),
        ],
    )
    def test_refuses_a_broken_form(
        self, api: APIClient, body: bytes, content_type: str, status: int
    ) -> None:
        response = api.post(URL, body, content_type=content_type)
        assert response.status_code == status
        assert response.json()["error"]

    def test_refuses_a_form_of_many_fields(self, api: APIClient) -> None:
        response = api.post(URL, {f"f{n}": "x" for n in range(1500)}, format="multipart")
        assert response.status_code == 400

    def test_refuses_a_form_of_large_fields(self, api: APIClient, settings: Any) -> None:
        settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1000
        response = api.post(URL, {"a": "x" * 2000}, format="multipart")
        assert response.status_code == 413

    def test_refuses_what_no_kind_may_be(self, api: APIClient) -> None:
        length = str(200 * 1024 * 1024)
        response = api.generic(
            "POST", URL, b"x", "multipart/form-data; boundary=b", CONTENT_LENGTH=length
        )
        assert response.status_code == 413


class TestShow:
    def test_streams_it_safely(self, api: APIClient) -> None:
        response = api.get(f"{URL}{upload(api).json()['id']}/")
        assert b"".join(response.streaming_content) == PNG
        assert response["Content-Type"] == "image/png"
        assert response["Content-Length"] == str(len(PNG))
        assert response["X-Content-Type-Options"] == "nosniff"
        assert response["Content-Security-Policy"] == "default-src 'none'; sandbox"
        assert response["Content-Disposition"].startswith("inline")
        response.close()

    @pytest.mark.parametrize(("wanted", "status", "length"), [("", 200, len(PNG)), ("-5", 206, 5)])
    def test_answers_head_without_reading_it(
        self, api: APIClient, wanted: str, status: int, length: int
    ) -> None:
        path = upload(api)["Location"]
        response = api.head(path, headers={"Range": f"bytes={wanted}"})
        assert (response.status_code, response.streaming) == (status, False)
        assert response["Content-Length"] == str(length)

    def test_ignores_what_an_image_tag_accepts(self, api: APIClient) -> None:
        url = f"{URL}{upload(api).json()['id']}/"
        response = api.get(url, headers={"Accept": "image/avif,image/webp"})
        assert response.status_code == 200
        response.close()

    def test_is_for_the_owner(self, api: APIClient, strangers_api: APIClient) -> None:
        media_id = upload(api).json()["id"]
        response = strangers_api.get(f"{URL}{media_id}/")
        assert (response.status_code, response.json()["code"]) == (404, "media_not_found")

    def test_is_for_staff_who_may_read_content(
        self, api: APIClient, staff_with: Callable[..., APIClient]
    ) -> None:
        media_id = upload(api).json()["id"]
        assert staff_with("view_generation").get(f"{URL}{media_id}/").status_code == 404
        response = staff_with("view_content").get(f"{URL}{media_id}/")
        assert response.status_code == 200
        response.close()

    def test_is_refused_while_it_waits_for_a_generation_of_an_erased_person(
        self, api: APIClient, owner: User, staff_with: Callable[..., APIClient]
    ) -> None:
        media = Media.objects.get(pk=upload(api).json()["id"])
        make_generation(owner=owner, status="pending").media.add(media)
        services.erase(owner)
        assert Media.objects.filter(pk=media.pk, discarded_at=None).exists()
        for client in (api, staff_with("view_content")):
            assert client.get(f"{URL}{media.pk}/").status_code == 404

    def test_is_shown_again_if_a_new_generation_uses_it(self, api: APIClient, owner: User) -> None:
        media = Media.objects.get(pk=upload(api).json()["id"])
        make_generation(owner=owner, status="pending").media.add(media)
        services.erase(owner)
        make_generation(owner=owner, status="pending").media.add(media)
        response = api.get(f"{URL}{media.pk}/")
        assert response.status_code == 200
        response.close()

    def test_finds_no_unknown_one(self, api: APIClient) -> None:
        assert api.get(f"{URL}{uuid.uuid4()}/").status_code == 404

    def test_says_that_the_file_is_gone(self, api: APIClient) -> None:
        media_id = upload(api).json()["id"]
        storages["default"].delete(Media.objects.get().path)
        response = api.get(f"{URL}{media_id}/")
        assert (response.status_code, response.json()["code"]) == (410, "media_missing")

    def test_is_read_in_blocks_by_an_async_server(self, api: APIClient, owner: User) -> None:
        client = AsyncClient()
        client.force_login(owner)
        response = async_to_sync(client.get)(f"{URL}{upload(api).json()['id']}/")

        async def read() -> list[bytes]:
            return [block async for block in response.streaming_content]

        assert response.is_async
        assert b"".join(async_to_sync(read)()) == PNG
        assert response["Content-Length"] == str(len(PNG))
        response.close()
