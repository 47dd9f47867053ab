"""The history and the page of one generation: columns, fields, paths and who may see them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, update_wrapper
from typing import Any, ClassVar
from uuid import UUID

from django.contrib import admin
from django.contrib.auth import get_user_model
from django.db import transaction
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.utils.decorators import method_decorator
from django.utils.html import format_html, format_html_join
from django.utils.translation import gettext_lazy as _

from creatify_textgen.admin import columns
from creatify_textgen.admin.amounts import NOTHING
from creatify_textgen.admin.credits import show_credit_report
from creatify_textgen.admin.detail import read_detail
from creatify_textgen.admin.exporting import export_selected
from creatify_textgen.admin.filters import (
    AccountFilter,
    BoundedPaginator,
    ErrorCodeFilter,
    ModelFilter,
    OwnerFilter,
)
from creatify_textgen.admin.operations import cancel_selected, link_to, refresh_selected
from creatify_textgen.admin.pages import cancel_page, refresh_page, retry_page
from creatify_textgen.admin.permissions import ReadOnlyAdmin, may_operate, may_view_content
from creatify_textgen.admin.retrying import retry_selected
from creatify_textgen.models import Generation
from creatify_textgen.privacy import discreet

__all__ = ["GenerationAdmin"]

SUMMARY = (
    (columns.status, columns.credits_used),
    ("model_name", "model_version"),
    ("owner", "account"),
    ("mode", columns.duration),
    ("created_at", "finished_at"),
    ("error_code", "finish_reason"),
    "remote_id",
    "related",
)
BOOKKEEPING = (
    "id",
    "metadata",
    "idempotency_key",
    "fingerprint",
    "hinted_remote_id",
    ("attempts", "checks", "deliveries"),
    ("submitted_at", "checked_at"),
    ("next_check_at", "lease_until"),
)
RETRIES_SHOWN = 20


# A host's ATOMIC_REQUESTS would hold its transaction open while an action asks the remote.
@method_decorator(transaction.non_atomic_requests, name="changelist_view")
class GenerationAdmin(ReadOnlyAdmin):
    actions = (refresh_selected, retry_selected, cancel_selected, export_selected)
    date_hierarchy = "created_at"
    list_filter = (
        "status",
        "mode",
        ModelFilter,
        OwnerFilter,
        AccountFilter,
        "created_at",
        ErrorCodeFilter,
    )
    list_max_show_all = 200
    list_per_page = 50
    list_select_related = ("owner",)
    paginator = BoundedPaginator
    show_facets = admin.ShowFacets.NEVER
    show_full_result_count = False
    search_help_text = _("Id, remote id, beginning of the prompt, owner or error code.")
    fieldsets: ClassVar[Any] = (
        (None, {"fields": SUMMARY}),
        (_("Bookkeeping"), {"fields": BOOKKEEPING, "classes": ("collapse",)}),
    )
    readonly_fields: ClassVar[Any] = (
        columns.status,
        columns.credits_used,
        columns.duration,
        "related",
    )

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        facts = [columns.created, columns.status, "model_name", "owner", "mode"]
        amounts = [columns.credits_used, columns.duration]
        # Last, because it takes what room is left.
        return [*facts, *amounts, *([columns.excerpt] if may_view_content(request) else [])]

    def get_search_fields(self, request: HttpRequest) -> list[str]:
        username = getattr(get_user_model(), "USERNAME_FIELD", "pk")
        fields = ["=remote_id", "=error_code", f"owner__{username}"]
        # Who may not read a prompt may not find out by searching what it says.
        return [*fields, "excerpt"] if may_view_content(request) else fields

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        try:
            wanted = UUID(search_term.strip())
        except ValueError:
            return super().get_search_results(request, queryset, search_term)
        return queryset.filter(Q(pk=wanted) | Q(remote_id=search_term.strip())), False

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        # The page of an image or a video links to its generations.
        return lookup == "media__id__exact" or super().lookup_allowed(lookup, value, request)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).select_related("owner")

    @admin.display(description=_("retry"))
    def related(self, generation: Generation) -> str:
        site = self.admin_site.name
        lines = [
            (_("again as"), link_to(row, site=site))
            for row in generation.retries.order_by("created_at")[:RETRIES_SHOWN]
        ]
        if generation.retry_of_id:
            origin = Generation(pk=generation.retry_of_id)
            lines.insert(0, (_("of"), link_to(origin, site=site)))
        items = format_html_join("", "<li>{} {}</li>", lines)
        return format_html('<ul class="textgen-links">{}</ul>', items) if lines else NOTHING

    def has_operate_permission(self, request: HttpRequest) -> bool:
        return may_operate(request)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        if obj is not None and not obj.is_final:
            return False
        # Not super(): the rows of this app are otherwise never deleted by hand.
        return admin.ModelAdmin.has_delete_permission(self, request, obj)

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        deletable, counts, lacking, protected = super().get_deleted_objects(objs, request)
        under_way = [_("%s is not final yet") % row for row in objs if not row.is_final]
        return deletable, counts, set() if under_way else lacking, [*protected, *under_way]

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        queryset.filter(pk__in=Generation.objects.final().values("pk")).delete()

    def get_urls(self) -> list[Any]:
        """Add the credits page and the buttons' targets, before the path that takes anything."""
        pages: dict[str, tuple[Callable[..., HttpResponse], str]] = {
            "credits/": (show_credit_report, "credits"),
            "<uuid:generation_id>/refresh/": (refresh_page, "refresh"),
            "<uuid:generation_id>/retry/": (retry_page, "retry"),
            "<uuid:generation_id>/cancel/": (cancel_page, "cancel"),
        }
        own = [self._path(route, view, name) for route, (view, name) in pages.items()]
        return [*own, *super().get_urls()]

    def _path(self, route: str, view: Callable[..., HttpResponse], name: str) -> Any:
        bound: Any = update_wrapper(partial(view, model_admin=self), view)
        guarded = discreet(self.admin_site.admin_view(bound))
        return path(route, guarded, name=f"creatify_textgen_generation_{name}")

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        return super().changelist_view(request, extra_context)

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        generation = context["original"]
        context |= read_detail(generation, with_content=may_view_content(request))
        context["may_operate"] = may_operate(request)
        return super().render_change_form(request, context, *args, **kwargs)
