"""Images and videos in the admin: looked at, never changed; their bytes only with permission."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404
from django.template.defaultfilters import filesizeformat
from django.template.loader import render_to_string
from django.urls import path, reverse
from django.utils.html import format_html, format_html_join
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from creatify_textgen import services
from creatify_textgen.admin.amounts import NOTHING
from creatify_textgen.admin.files import show_file
from creatify_textgen.admin.operations import link_to
from creatify_textgen.admin.permissions import (
    ReadOnlyAdmin,
    may_view_content,
    may_view_generations,
)
from creatify_textgen.exceptions import RequestError, TextgenError
from creatify_textgen.models import Generation, Media

__all__ = ["MediaAdmin"]

USES_SHOWN = 20


class MediaAdmin(ReadOnlyAdmin):
    list_display = ("created_at", "kind", "mime_type", "readable_size", "owner", "id")
    list_filter = ("kind", "mime_type", "created_at")
    list_select_related = ("owner",)
    search_fields = ("sha256", "path")
    date_hierarchy = "created_at"
    show_full_result_count = False
    readonly_fields = ("preview", "readable_size", "used_by")
    fields = (
        "preview",
        "kind",
        "mime_type",
        "readable_size",
        "owner",
        "used_by",
        "sha256",
        "path",
        "created_at",
        "id",
    )

    def get_urls(self) -> list[Any]:
        file_view = self.admin_site.admin_view(self.file_view, cacheable=True)
        file_path = path("<uuid:media_id>/file/", file_view, name="creatify_textgen_media_file")
        return [file_path, *super().get_urls()]

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        hidden = set() if may_view_content(request) else {"preview"}
        hidden |= set() if may_view_generations(request) else {"used_by"}
        return [name for name in self.fields if name not in hidden]

    @admin.display(description=_("size"), ordering="size")
    def readable_size(self, media: Media) -> str:
        return filesizeformat(media.size)

    @admin.display(description=_("preview"))
    def preview(self, media: Media) -> str:
        file_page, site = "admin:creatify_textgen_media_file", self.admin_site.name
        file_url = reverse(file_page, args=[media.pk], current_app=site)
        context = {"media": media, "file_url": file_url}
        return render_to_string("admin/creatify_textgen/medium.html", context)

    @admin.display(description=_("used by"))
    def used_by(self, media: Media) -> str:
        site = self.admin_site.name
        users: QuerySet[Generation] = Generation.objects.filter(media=media).order_by("-created_at")
        links = [(link_to(row, site=site),) for row in users[:USES_SHOWN]]
        if not links:
            return NOTHING
        history = reverse("admin:creatify_textgen_generation_changelist", current_app=site)
        all_of_them = format_html(
            '<li><a href="{}?media__id__exact={}">{}</a></li>', history, media.pk, _("Show all")
        )
        items = format_html_join("", "<li>{}</li>", links)
        return format_html('<ul class="textgen-links">{}{}</ul>', items, all_of_them)

    def file_view(self, request: HttpRequest, media_id: UUID) -> HttpResponseBase:
        return _show(request, media_id)


@require_safe
def _show(request: HttpRequest, media_id: UUID) -> HttpResponseBase:
    if not may_view_content(request):
        raise PermissionDenied
    media = get_object_or_404(Media, pk=media_id)
    try:
        file = services.open_media(media)
    except RequestError as error:
        raise Http404(str(error)) from error
    except TextgenError as error:
        return HttpResponse(str(error), status=503, content_type="text/plain; charset=utf-8")
    return show_file(request, media, file)
