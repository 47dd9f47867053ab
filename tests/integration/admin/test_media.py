"""Images and videos: their pages, and their bytes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.files.storage import default_storage
from django.test import Client

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


class TestFile:
    def test_is_for_who_may_read_content(
        self, staff_with: Callable[..., Client], pixel: Media
    ) -> None:
        client = staff_with("view_generation", "view_media")
        assert client.get(f"{MEDIA}{pixel.pk}/file/").status_code == 403

    def test_that_is_gone_is_404(self, operator: Client, pixel: Media) -> None:
        default_storage.delete(pixel.path)
        assert operator.get(f"{MEDIA}{pixel.pk}/file/").status_code == 404

    def test_of_an_erased_person_is_not_shown_while_it_is_needed(
        self, admin_client: Client, pixel: Media
    ) -> None:
        ada = User.objects.create_user("ada")
        Media.objects.filter(pk=pixel.pk).update(owner=ada)
        make_done(owner=ada, status="pending", finished_at=None).media.add(pixel)
        file, page = f"{MEDIA}{pixel.pk}/file/", f"{MEDIA}{pixel.pk}/change/"
        assert admin_client.get(file).status_code == 200
        assert file in admin_client.get(page).text
        services.erase(ada)
        assert Media.objects.filter(pk=pixel.pk).exists()
        assert admin_client.get(file).status_code == 404
        assert file not in admin_client.get(page).text

    def test_is_not_in_a_report_of_an_error(
        self, operator: Client, pixel: Media, settings: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(_: Media) -> None:
            written = "tpmorp"[::-1]
            raise RuntimeError(len(written))

        settings.DEBUG = True
        monkeypatch.setattr(services, "open_media", fail)
        operator.raise_request_exception = False
        response = operator.get(f"{MEDIA}{pixel.pk}/file/")
        assert response.status_code == 500
        assert "prompt" not in response.text.partition("Request information")[0]

    def test_is_only_read(self, operator: Client, pixel: Media) -> None:
        assert operator.post(f"{MEDIA}{pixel.pk}/file/").status_code == 405


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

    def test_shows_what_a_row_claims_as_text(self, admin_client: Client) -> None:
        owner = User.objects.create_user("\u202egnp.exe")
        media = make_media(mime_type="\u202egnp", owner=owner)
        for page in (MEDIA, f"{MEDIA}{media.pk}/change/"):
            assert "\u202e" not in admin_client.get(page).text

    def test_is_read_only(self, admin_client: Client) -> None:
        media = make_media()
        assert admin_client.get(MEDIA).status_code == 200
        assert admin_client.get(f"{MEDIA}add/").status_code == 403
        assert admin_client.post(f"{MEDIA}{media.pk}/delete/", {"post": "yes"}).status_code == 403
