"""Images and videos in the admin: shown, never changed; their files only with permission."""

from __future__ import annotations

from typing import Any, ClassVar
from uuid import UUID

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404
from django.template.defaultfilters import filesizeformat
from django.template.loader import render_to_string
from django.urls import path
from django.utils.html import format_html, format_html_join
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from creatify_textgen import services
from creatify_textgen.admin.filters import OwnerFilter
from creatify_textgen.admin.permissions import (
    ReadOnlyAdmin,
    may_view_content,
    may_view_generations,
)
from creatify_textgen.admin.rendering import (
    NOTHING,
    admin_path,
    foreign,
    history_path,
    link_to_generation,
    render_moment,
    render_name,
    show_control_chars,
)
from creatify_textgen.exceptions import RequestError, TextgenError
from creatify_textgen.http.files import answer_file
from creatify_textgen.intake.media import is_erased
from creatify_textgen.models import Generation, Media, read_uuid
from creatify_textgen.privacy import discreet

__all__ = ["MediaAdmin"]

USES_SHOWN = 20


stored_path, owner = (foreign(Media, name) for name in ("path", "owner"))


class MediaAdmin(ReadOnlyAdmin):
    list_display = ("created", "kind_word", "type_name", "readable_size", owner)
    list_filter = ("kind", OwnerFilter)
    lookups = frozenset({"owner"})
    list_select_related = ("owner",)
    # Ids are made in the order of time, and have the index.
    ordering = ("-pk",)
    search_help_text = _("An id, or the SHA-256 of the file.")
    # Only the methods: Django shows a column as text if nobody may change it.
    readonly_fields: ClassVar[Any] = ("preview", *list_display[1:5], "used_by", stored_path)
    fields: ClassVar[Any] = (
        "preview",
        "kind",
        "type_name",
        "readable_size",
        owner,
        "used_by",
        "sha256",
        stored_path,
        "created_at",
        "id",
    )

    def get_search_fields(self, request: HttpRequest) -> tuple[str, ...]:
        # A hash found or not found says whether somebody sent a known picture.
        return ("=sha256",) if may_view_content(request) else ()

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        key = read_uuid(search_term.strip())
        if key:
            return queryset.filter(pk=key), False
        return super().get_search_results(request, queryset, search_term)

    @admin.display(description=_("created"))
    def created(self, media: Media) -> str:
        return render_moment(media.created_at)

    @admin.display(description=_("kind"))
    def kind_word(self, media: Media) -> str:
        return media.get_kind_display()

    @admin.display(description=_("type"))
    def type_name(self, media: Media) -> str:
        return render_name(media.mime_type)

    def get_urls(self) -> list[Any]:
        # Not by `own_path`, whose pages a browser never keeps: a file does not change.
        file_view = discreet(self.admin_site.admin_view(self.file_view, cacheable=True))
        file_path = path("<uuid:media_id>/file/", file_view, name="creatify_textgen_media_file")
        return [file_path, *super().get_urls()]

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        hidden = set() if may_view_content(request) else {"preview", "sha256", stored_path}
        hidden |= set() if may_view_generations(request) else {"used_by"}
        return [name for name in self.fields if name not in hidden]

    @admin.display(description=_("size"))
    def readable_size(self, media: Media) -> str:
        return filesizeformat(media.size)

    @admin.display(description=_("preview"))
    def preview(self, media: Media) -> str:
        if is_erased(media):
            return NOTHING
        file_url = admin_path("media_file", site=self.admin_site.name, key=media.pk)
        type_name = show_control_chars(media.mime_type)
        context = {"media": media, "file_url": file_url, "type_name": type_name}
        return render_to_string("creatify_textgen/admin/medium.html", context)

    @admin.display(description=_("used by"))
    def used_by(self, media: Media) -> str:
        site = self.admin_site.name
        users: QuerySet[Generation] = Generation.objects.filter(media=media).order_by("-created_at")
        links = [(link_to_generation(row, site=site),) for row in users[:USES_SHOWN]]
        if not links:
            return NOTHING
        path = history_path(f"media__id__exact={media.pk}", site=site)
        show_all = '<li><a href="{}">{}</a></li>'
        all_of_them = format_html(show_all, path, _("Show all")) if path else ""
        items = format_html_join("", "<li>{}</li>", links)
        return format_html('<ul class="textgen-links">{}{}</ul>', items, all_of_them)

    def file_view(self, request: HttpRequest, media_id: UUID) -> HttpResponseBase:
        return _show(request, media_id)


@require_safe
def _show(request: HttpRequest, media_id: UUID) -> HttpResponseBase:
    if not may_view_content(request):
        raise PermissionDenied
    media = get_object_or_404(Media, pk=media_id)
    if is_erased(media):
        raise Http404
    try:
        file = services.open_media(media)
    except RequestError as error:
        raise Http404(str(error)) from error
    except TextgenError as error:
        # The storage does not answer now. Nothing is missing, so this is no 404.
        return HttpResponse(str(error), status=503, content_type="text/plain; charset=utf-8")
    return answer_file(request, media, file)
