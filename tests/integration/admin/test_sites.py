"""Other admin sites: a host's own plain ModelAdmin, or only some of the app's."""

from __future__ import annotations

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.test import Client
from django.urls import path

from creatify_textgen import services
from creatify_textgen.admin import GenerationAdmin, MediaAdmin, UsageDayAdmin
from creatify_textgen.models import Generation, Media, UsageDay
from tests import factories
from tests.factories import save_usage

from .conftest import make_done
from .test_media import PIXEL

pytestmark = pytest.mark.urls(__name__)

plain = admin.AdminSite("plain")
plain.register(Generation)
plain.register(Media)
plain.register(UsageDay)
ours = admin.AdminSite("ours")
ours.register(Generation, GenerationAdmin)
ours.register(Media, MediaAdmin)
ours.register(UsageDay, UsageDayAdmin)
generations_only = admin.AdminSite("generations_only")
generations_only.register(Generation, GenerationAdmin)
media_only = admin.AdminSite("media_only")
media_only.register(Media, MediaAdmin)

SITES = (plain, ours, generations_only, media_only)
urlpatterns = [path(f"{site.name}/", site.urls) for site in SITES]


@pytest.fixture
def generation(db: None) -> Generation:
    """Return one with a picture, and one that repeats it."""
    media = services.store_media(PIXEL, mime_type="image/png")
    part = {"type": "image", "mime_type": "image/png", "media": str(media.pk)}
    generation = make_done(owner=User.objects.create_user("grace"))
    generation.content.messages = [{"role": "user", "content": [part]}]
    generation.content.save()
    generation.media.add(media)
    make_done(retry_of=generation)
    save_usage(day=factories.NOW.date(), account="a", model_name="m", status="done")
    return generation


class TestSite:
    @pytest.mark.parametrize("site", SITES, ids=lambda site: site.name)
    def test_shows_its_pages(
        self, admin_client: Client, generation: Generation, site: admin.AdminSite
    ) -> None:
        pages = [f"/{site.name}/", f"/{site.name}/creatify_textgen/"]
        for model in site._registry:
            listed = f"/{site.name}/creatify_textgen/{model._meta.model_name}/"
            key = model._default_manager.order_by("pk")[0].pk
            pages += [
                listed,
                f"{listed}?q=x",
                *(f"{listed}{key}/{p}/" for p in ("change", "history")),
            ]
        codes = {page: admin_client.get(page).status_code for page in pages}
        assert {page: code for page, code in codes.items() if code != 200} == {}

    def test_of_a_plain_admin_is_djangos_own(
        self, admin_client: Client, generation: Generation
    ) -> None:
        listed = "/plain/creatify_textgen/generation/"
        page = admin_client.get(f"{listed}{generation.pk}/change/").text
        assert "has no content" not in page
        assert 'name="excerpt"' in page
        assert "credits/" not in admin_client.get(listed).text

    def test_links_within_itself(self, admin_client: Client, generation: Generation) -> None:
        page = admin_client.get(f"/ours/creatify_textgen/generation/{generation.pk}/change/").text
        assert f'src="/ours/creatify_textgen/media/{generation.media.get().pk}/file/"' in page

    def test_without_our_media_names_the_file(
        self, admin_client: Client, generation: Generation
    ) -> None:
        listed = "/generations_only/creatify_textgen/generation/"
        page = admin_client.get(f"{listed}{generation.pk}/change/").text
        assert "image/png" in page
        assert "/media/" not in page

    def test_without_our_history_names_the_generation(
        self, admin_client: Client, generation: Generation
    ) -> None:
        media = generation.media.get()
        page = admin_client.get(f"/media_only/creatify_textgen/media/{media.pk}/change/").text
        assert str(generation.pk) in page

    def test_without_our_history_has_no_link_to_it(
        self, admin_client: Client, generation: Generation
    ) -> None:
        factories.make_generation(status="unconfirmed", due_at=factories.NOW)
        page = admin_client.get("/media_only/creatify_textgen/").text
        assert "Unconfirmed" in page
        assert 'href="?' not in page

    @pytest.mark.parametrize("path", ["credits/", "export/csv/"])
    def test_has_our_pages(self, admin_client: Client, generation: Generation, path: str) -> None:
        for site in (ours, generations_only):
            page = f"/{site.name}/creatify_textgen/generation/{path}"
            assert admin_client.get(page).status_code == 200

    def test_is_for_staff_alone(self, client: Client, generation: Generation) -> None:
        client.force_login(User.objects.create_user("no-staff"))
        page = f"/ours/creatify_textgen/generation/{generation.pk}/change/"
        assert client.get(page).status_code == 302
