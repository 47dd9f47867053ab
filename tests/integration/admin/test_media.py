"""Images and videos: their pages, and their bytes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.models import User
from django.core.files.storage import default_storage
from django.test import AsyncClient, Client

from creatify_textgen import services
from creatify_textgen.models import Media

from .conftest import make_done, make_media, page_of

MEDIA = "/admin/creatify_textgen/media/"
PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c636460"
    "f85f0f0002870180eb47ba920000000049454e44ae426082"
)


@pytest.fixture
def pixel(db: None) -> Media:
    return services.store_media(PIXEL, mime_type="image/png")


def read(response: Any) -> bytes:
    return b"".join(response.streaming_content)


async def read_async(client: AsyncClient, url: str) -> bytes:
    response: Any = await client.get(url)
    return b"".join([block async for block in response.streaming_content])


class TestFile:
    def test_is_shown_and_never_guessed_at(self, operator: Client, pixel: Media) -> None:
        response = operator.get(f"{MEDIA}{pixel.pk}/file/")
        assert read(response) == PIXEL
        assert response["Content-Type"] == "image/png"
        assert response["X-Content-Type-Options"] == "nosniff"
        assert response["Content-Security-Policy"] == "default-src 'none'; sandbox"
        assert "private" in response["Cache-Control"]

    @pytest.mark.parametrize(
        ("wanted", "status", "content_range", "body"),
        [
            ("bytes=0-3", 206, "bytes 0-3/{size}", PIXEL[:4]),
            ("bytes=4-", 206, "bytes 4-{last}/{size}", PIXEL[4:]),
            ("bytes=-4", 206, "bytes {tail}-{last}/{size}", PIXEL[-4:]),
            ("bytes=0-99999", 200, None, PIXEL),
            ("bytes=0-1,3-4", 200, None, PIXEL),
            ("bytes=-", 200, None, PIXEL),
            ("lines=1-2", 200, None, PIXEL),
        ],
    )
    def test_is_sent_by_range(
        self,
        operator: Client,
        pixel: Media,
        wanted: str,
        status: int,
        content_range: str | None,
        body: bytes,
    ) -> None:
        response = operator.get(f"{MEDIA}{pixel.pk}/file/", headers={"Range": wanted})
        size = len(PIXEL)
        expected = content_range and content_range.format(size=size, last=size - 1, tail=size - 4)
        assert (response.status_code, response.get("Content-Range")) == (status, expected)
        assert read(response) == body
        assert response["Content-Length"] == str(len(body))

    @pytest.mark.parametrize("wanted", ["bytes=99999-", "bytes=5-4", "bytes=-0"])
    def test_has_no_range_beyond_its_end(self, operator: Client, pixel: Media, wanted: str) -> None:
        response = operator.get(f"{MEDIA}{pixel.pk}/file/", headers={"Range": wanted})
        assert (response.status_code, response["Content-Range"]) == (416, f"bytes */{len(PIXEL)}")

    @pytest.mark.parametrize("mime_type", ["text/html", "image/svg+xml", "video/mp4\r\nX: y", ""])
    def test_of_another_type_is_only_downloaded(
        self, operator: Client, pixel: Media, mime_type: str
    ) -> None:
        Media.objects.update(mime_type=mime_type)
        response = operator.get(f"{MEDIA}{pixel.pk}/file/")
        assert response["Content-Type"] == "application/octet-stream"
        assert response["Content-Disposition"].startswith("attachment")

    def test_is_for_who_may_read_content(
        self, staff_with: Callable[..., Client], pixel: Media
    ) -> None:
        client = staff_with("view_generation", "view_media")
        assert client.get(f"{MEDIA}{pixel.pk}/file/").status_code == 403

    def test_that_is_gone_is_404(self, operator: Client, pixel: Media) -> None:
        default_storage.delete(pixel.path)
        assert operator.get(f"{MEDIA}{pixel.pk}/file/").status_code == 404

    def test_is_only_read(self, operator: Client, pixel: Media) -> None:
        assert operator.post(f"{MEDIA}{pixel.pk}/file/").status_code == 405

    @pytest.mark.django_db(transaction=True)
    def test_is_sent_in_blocks_by_an_async_server(self, admin_user: User, pixel: Media) -> None:
        client = AsyncClient()
        client.force_login(admin_user)
        assert async_to_sync(read_async)(client, f"{MEDIA}{pixel.pk}/file/") == PIXEL


class TestPage:
    def test_shows_where_it_is_used(self, admin_client: Client) -> None:
        media, generation = make_media(), make_done()
        generation.media.add(media)
        page = admin_client.get(f"{MEDIA}{media.pk}/change/").text
        assert page_of(generation) in page
        assert f"{MEDIA}{media.pk}/file/" in page
        assert media.sha256 in page

    def test_hides_the_image_from_who_may_not_read_content(
        self, staff_with: Callable[..., Client]
    ) -> None:
        media = make_media()
        page = staff_with("view_media").get(f"{MEDIA}{media.pk}/change/").text
        assert f"{MEDIA}{media.pk}/file/" not in page

    def test_is_read_only(self, admin_client: Client) -> None:
        media = make_media()
        assert admin_client.get(MEDIA).status_code == 200
        assert admin_client.get(f"{MEDIA}add/").status_code == 403
        assert admin_client.post(f"{MEDIA}{media.pk}/delete/", {"post": "yes"}).status_code == 403
