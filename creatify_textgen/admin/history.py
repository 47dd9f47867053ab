"""The history of generations: columns, search, paths and permissions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.contrib.auth import get_user_model
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.decorators import method_decorator
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from creatify_textgen import databases
from creatify_textgen.admin.bulk import bulk_page, delete_selected
from creatify_textgen.admin.credits import credits_page
from creatify_textgen.admin.export import export_page, export_selected, totals_page
from creatify_textgen.admin.filters import (
    AccountFilter,
    AttentionFilter,
    ErrorCodeFilter,
    ModelFilter,
    OwnerFilter,
)
from creatify_textgen.admin.generation import read_detail, render_metadata, render_retries
from creatify_textgen.admin.operations import (
    cancel_page,
    cancel_selected,
    refresh_page,
    refresh_selected,
    retry_page,
    retry_selected,
)
from creatify_textgen.admin.pausing import pause_page
from creatify_textgen.admin.periods import PeriodFilter, find_by_id
from creatify_textgen.admin.permissions import (
    ReadOnlyAdmin,
    may_export,
    may_operate,
    may_view_content,
)
from creatify_textgen.admin.persons import PERSON_ACTIONS, PersonsMixin, person_page, record_read
from creatify_textgen.admin.playground import PlaygroundMixin, outcome_page
from creatify_textgen.admin.rendering import (
    NOTHING,
    foreign,
    format_duration,
    render_credits,
    render_moment,
    render_name,
    render_status,
)
from creatify_textgen.admin.settlement import settle_page
from creatify_textgen.models import Generation
from creatify_textgen.states import Status

__all__ = ["GenerationAdmin"]


UNDER_WAY = {Status.QUEUED, Status.SUBMITTING, Status.PENDING, Status.RUNNING}


@admin.display(description=_("created"))
def created(generation: Generation) -> str:
    return render_moment(generation.created_at)


@admin.display(description=_("status"))
def status(generation: Generation) -> str:
    word = render_status(generation.status)
    mark = format_html('<span class="textgen-mark">{}</span>', _("partial"))
    return format_html("{} {}", word, mark) if generation.partial else word


@admin.display(description=_("status"))
def status_and_reason(generation: Generation) -> str:
    if not generation.error_code:
        return status(generation)
    reason = render_name(generation.error_code)
    return format_html('{}<div class="textgen-under">{}</div>', status(generation), reason)


@admin.display(description=_("prompt"))
def prompt(generation: Generation) -> str:
    text = render_name(generation.excerpt) if generation.excerpt else NOTHING
    return format_html('<div class="textgen-excerpt">{}</div>', text)


@admin.display(description=_("owner"))
def owner(generation: Generation) -> str:
    return render_name(generation.owner) if generation.owner else NOTHING


@admin.display(description=_("model"))
def model_and_mode(generation: Generation) -> str:
    mode = generation.get_mode_display()
    name = render_name(generation.model_name)
    return format_html('{}<div class="textgen-under">{}</div>', name, mode)


@admin.display(description=_("credits"))
def credits_used(generation: Generation) -> str:
    # What is under way has no cost yet; what may have been charged has one that nobody knows.
    is_known = generation.credits_used is not None or generation.status not in UNDER_WAY
    return labelled(_("Credits:"), render_credits(generation.credits_used) if is_known else NOTHING)


@admin.display(description=_("duration"))
def duration(generation: Generation) -> str:
    return labelled(_("Duration:"), format_duration(generation.duration_seconds))


def labelled(label: Any, value: str) -> str:
    """Return the value; in a list too narrow for headings, the style sheet shows the label, too."""
    return format_html('<span class="textgen-cell-label">{} </span><bdi>{}</bdi>', label, value)


@admin.display(description=_("metadata"))
def metadata(generation: Generation) -> str:
    return render_metadata(generation)


# Columns whose texts come from a caller or from the remote.
FOREIGN_FIELDS = (
    "model_name",
    "model_version",
    "account",
    "error_code",
    "finish_reason",
    "remote_id",
    "unverified_remote_id",
    "idempotency_key",
)
TEXTS = {name: foreign(Generation, name) for name in FOREIGN_FIELDS}
SUMMARY = (
    (status, credits_used),
    (TEXTS["model_name"], TEXTS["model_version"]),
    (owner, TEXTS["account"]),
    ("mode", duration),
    ("created_at", "finished_at"),
    (TEXTS["error_code"], TEXTS["finish_reason"]),
    TEXTS["remote_id"],
    "related",
)
BOOKKEEPING = (
    "id",
    TEXTS["idempotency_key"],
    TEXTS["unverified_remote_id"],
    ("attempts", "polls", "deliveries"),
    ("submitted_at", "polled_at"),
    ("due_at", "lease_until"),
)
# Metadata is the host's own and may say anything. The fingerprint confirms a guessed prompt.
CONTENT_FIELDS = (metadata, "fingerprint")
SELECTION = (refresh_selected, retry_selected, cancel_selected, export_selected, delete_selected)


def _has_period(request: HttpRequest) -> bool:
    # Django's autocomplete calls `get_search_results` of the list, but has none of its filters.
    match = request.resolver_match
    return match is None or match.url_name != "autocomplete"


class History(ChangeList):
    """The list, without the columns that it does not show."""

    def get_queryset(self, request: HttpRequest, *args: Any, **kwargs: Any) -> QuerySet[Any]:
        # No column shows it, and it may be the largest part of a row.
        return super().get_queryset(request, *args, **kwargs).defer("metadata")


# A host's ATOMIC_REQUESTS would hold its transaction open while an action asks the remote.
@method_decorator(databases.outside_transactions, name="changelist_view")
class GenerationAdmin(PersonsMixin, PlaygroundMixin, ReadOnlyAdmin):
    change_list_template = "creatify_textgen/admin/history.html"
    change_form_template = "creatify_textgen/admin/generation.html"
    actions = (*SELECTION, *PERSON_ACTIONS)
    list_filter = (
        AttentionFilter,
        PeriodFilter,
        "status",
        OwnerFilter,
        ModelFilter,
        "mode",
        ErrorCodeFilter,
        AccountFilter,
    )
    lookups = frozenset(
        {
            "attention",
            *PeriodFilter.parameters,
            "owner",
            "model_name",
            "error_code",
            "account",
            # From the page of an image or a video.
            "media__id__exact",
        }
    )
    list_select_related = ("owner",)
    search_help_text = _("An id, an id at the remote, or words of a prompt, owner or error code.")
    readonly_fields: ClassVar[Any] = (
        *(status, credits_used, duration, owner, metadata),
        *TEXTS.values(),
        "related",
    )

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return History

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        asked = [prompt] if may_view_content(request) else []
        facts = [owner, model_and_mode, credits_used, duration]
        return [created, status_and_reason, *asked, *facts]

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        content = CONTENT_FIELDS if may_view_content(request) else ()
        fields = (*BOOKKEEPING[:1], *content, *BOOKKEEPING[1:])
        folded = {"fields": fields, "classes": ("collapse",)}
        return ((None, {"fields": SUMMARY}), (_("Bookkeeping"), folded))

    def get_search_fields(self, request: HttpRequest) -> list[str]:
        # "=error_code" is compared as a whole: a code is a fixed word.
        username = getattr(get_user_model(), "USERNAME_FIELD", "pk")
        fields = ["=error_code", f"owner__{username}"]
        # Who may not read a prompt may not find out by searching what it says.
        return [*fields, "excerpt"] if may_view_content(request) else fields

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        term = search_term.strip()
        keys = find_by_id(request, term)
        # A choice of generations (Django's autocomplete) has no period to search words in.
        if keys or (term and not _has_period(request)):
            return queryset.filter(pk__in=keys), False
        return super().get_search_results(request, queryset, search_term)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        # Also for the page of one row, which `list_select_related` does not concern.
        return super().get_queryset(request).select_related("owner")

    @admin.display(description=_("retry"))
    def related(self, generation: Generation) -> str:
        return render_retries(generation, site=self.admin_site.name)

    def has_operate_permission(self, request: HttpRequest) -> bool:
        return may_operate(request)

    def has_export_permission(self, request: HttpRequest) -> bool:
        return may_export(request)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        if obj is not None and not obj.is_final:
            # An open row may still be charged, and what was charged must be on a row.
            return False
        # Not super(): the rows of this app are otherwise never deleted by hand.
        return admin.ModelAdmin.has_delete_permission(self, request, obj)

    def get_urls(self) -> list[Any]:
        """Add the credits page and the buttons' targets, before the path that takes anything."""
        pages: dict[str, tuple[Callable[..., Any], str]] = {
            "credits/": (credits_page, "credits"),
            "pause/": (pause_page, "pause"),
            "person/": (person_page, "person"),
            "export/<slug:form>/": (export_page, "export"),
            "totals/": (totals_page, "totals"),
            "bulk/<slug:verb>/": (bulk_page, "bulk"),
            "<uuid:generation_id>/refresh/": (refresh_page, "refresh"),
            "<uuid:generation_id>/retry/": (retry_page, "retry"),
            "<uuid:generation_id>/cancel/": (cancel_page, "cancel"),
            "<uuid:generation_id>/settle/": (settle_page, "settle"),
            "<uuid:generation_id>/outcome/": (outcome_page, "outcome"),
        }
        own = [self.own_path(route, view, name) for route, (view, name) in pages.items()]
        return [*own, *super().get_urls()]

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        generation = context["original"]
        with_content, site = may_view_content(request), self.admin_site.name
        context |= read_detail(generation, with_content=with_content, site=site)
        # Opening the page is reading, whatever the reader scrolls to.
        if with_content:
            record_read(request, generation)
        context["may_operate"] = may_operate(request)
        return super().render_change_form(request, context, *args, **kwargs)
