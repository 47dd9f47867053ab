"""A stored image or video as an answer: the same at each door that has it."""

from __future__ import annotations

from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.models import User
from django.test import AsyncClient, Client

from creatify_textgen import services
from creatify_textgen.models import Media

PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c636460"
    "f85f0f0002870180eb47ba920000000049454e44ae426082"
)


@pytest.fixture(params=["/textgen/media/{}/", "/admin/creatify_textgen/media/{}/file/"])
def door(request: pytest.FixtureRequest) -> str:
    """Return the path of a stored file, with a place for its id."""
    return str(request.param)


@pytest.fixture
def reader(admin_client: Client) -> Client:
    return admin_client


@pytest.fixture
def pixel(db: None) -> Media:
    return services.store_media(PIXEL, mime_type="image/png")


def read(response: Any) -> bytes:
    return b"".join(response.streaming_content)


async def read_async(client: AsyncClient, url: str) -> bytes:
    response: Any = await client.get(url)
    return b"".join([block async for block in response.streaming_content])


class TestAnswer:
    def test_is_shown_and_never_guessed_at(self, reader: Client, door: str, pixel: Media) -> None:
        response = reader.get(door.format(pixel.pk))
        assert read(response) == PIXEL
        assert response["Content-Type"] == "image/png"
        assert response["X-Content-Type-Options"] == "nosniff"
        assert response["Content-Security-Policy"] == "default-src 'none'; sandbox"
        assert response["Cache-Control"] == "private, max-age=300"

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
        reader: Client,
        door: str,
        pixel: Media,
        wanted: str,
        status: int,
        content_range: str | None,
        body: bytes,
    ) -> None:
        response = reader.get(door.format(pixel.pk), headers={"Range": wanted})
        size = len(PIXEL)
        expected = content_range and content_range.format(size=size, last=size - 1, tail=size - 4)
        assert (response.status_code, response.get("Content-Range")) == (status, expected)
        assert read(response) == body
        assert response["Content-Length"] == str(len(body))

    @pytest.mark.parametrize("wanted", ["bytes=99999-", "bytes=5-4", "bytes=-0"])
    def test_has_no_range_beyond_its_end(
        self, reader: Client, door: str, pixel: Media, wanted: str
    ) -> None:
        response = reader.get(door.format(pixel.pk), headers={"Range": wanted})
        assert (response.status_code, response["Content-Range"]) == (416, f"bytes */{len(PIXEL)}")
        assert response.json()["code"] == "outside_of_file"

    @pytest.mark.parametrize("mime_type", ["text/html", "image/svg+xml", "video/mp4\r\nX: y", ""])
    def test_of_another_type_is_only_downloaded(
        self, reader: Client, door: str, pixel: Media, mime_type: str
    ) -> None:
        Media.objects.update(mime_type=mime_type)
        response = reader.get(door.format(pixel.pk))
        assert response["Content-Type"] == "application/octet-stream"
        assert response["Content-Disposition"].startswith("attachment")

    @pytest.mark.django_db(transaction=True)
    def test_is_sent_in_blocks_by_an_async_server(
        self, admin_user: User, door: str, pixel: Media
    ) -> None:
        client = AsyncClient()
        client.force_login(admin_user)
        assert async_to_sync(read_async)(client, door.format(pixel.pk)) == PIXEL
