"""Conversations in the admin: read, never changed; titles and texts only with permission."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.db.models import Count, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join
from django.utils.translation import gettext_lazy as _

from creatify_textgen.admin.filters import OwnerFilter
from creatify_textgen.admin.permissions import (
    ReadOnlyAdmin,
    may_view_content,
    may_view_generations,
)
from creatify_textgen.admin.rendering import (
    NOTHING,
    foreign,
    format_json,
    link_to_generation,
    render_moment,
    render_name,
    render_text,
)
from creatify_textgen.chat import Conversation, Turn
from creatify_textgen.models import read_uuid

__all__ = ["ConversationAdmin"]

TURNS_SHOWN = 200
# The title and the metadata are the host's, and may say what the conversation is about.
CONTENT = {"title_text", "system_text", "tools_text", "metadata_text"}


account, owner = (foreign(Conversation, name) for name in ("account", "owner"))


class ConversationList(ChangeList):
    """The list, with the number of turns of each conversation of the page."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        rows = list(self.result_list)
        # Not by an annotation of the list: the database would group all turns of the site before
        # it takes one page, and would do so again to count the rows.
        turns = Turn.objects.filter(conversation__in=rows).order_by().values("conversation")
        totals = dict(turns.annotate(total=Count("pk")).values_list("conversation", "total"))
        for row in rows:
            row.turns_total = totals.get(row.pk, 0)
        self.result_list: Any = rows


class ConversationAdmin(ReadOnlyAdmin):
    list_display = ("updated", owner, "model_text", "turn_count", "title_text")
    list_filter = (OwnerFilter,)
    lookups = frozenset({"owner"})
    list_select_related = ("owner",)
    ordering = ("-updated_at",)
    # Shows the field for a search. `get_search_results` reads an id and asks for nothing else.
    search_fields = ("=pk",)
    search_help_text = _("An id.")
    fields: ClassVar[Any] = (
        "title_text",
        owner,
        "model_text",
        "system_text",
        "tools_text",
        "metadata_text",
        "window_messages",
        "window_tokens",
        "turn_list",
        "forked_from",
        account,
        "created_at",
        "updated_at",
        "id",
    )
    readonly_fields: ClassVar[Any] = fields

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return ConversationList

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        return [name for name in self.list_display if _may_see(name, request)]

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        return [name for name in self.fields if _may_see(name, request)]

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        words = search_term.strip()
        return (queryset.filter(pk=read_uuid(words)) if words else queryset), False

    @admin.display(description=_("last turn"))
    def updated(self, conversation: Conversation) -> str:
        return render_moment(conversation.updated_at)

    @admin.display(description=_("model"))
    def model_text(self, conversation: Conversation) -> str:
        return render_name(conversation.model_name)

    @admin.display(description=_("turns"))
    def turn_count(self, conversation: Conversation) -> int:
        return int(getattr(conversation, "turns_total", 0))

    @admin.display(description=_("title"))
    def title_text(self, conversation: Conversation) -> str:
        return render_text(conversation.title) if conversation.title else NOTHING

    @admin.display(description=_("system instruction"))
    def system_text(self, conversation: Conversation) -> str:
        return _block(conversation.system_instruction)

    @admin.display(description=_("tools"))
    def tools_text(self, conversation: Conversation) -> str:
        return _block(format_json(conversation.tools) if conversation.tools else "")

    @admin.display(description=_("metadata"))
    def metadata_text(self, conversation: Conversation) -> str:
        return _block(format_json(conversation.metadata) if conversation.metadata else "")

    @admin.display(description=_("turns"))
    def turn_list(self, conversation: Conversation) -> str:
        site = self.admin_site.name
        turns = Turn.objects.filter(conversation=conversation).select_related("generation")
        last = list(turns.order_by("-number")[:TURNS_SHOWN])
        items = [(turn.number, link_to_generation(turn.generation, site=site)) for turn in last]
        if not items:
            return NOTHING
        lines = format_html_join("", "<li>{}: {}</li>", items)
        return format_html('<ul class="textgen-links">{}</ul>', lines)


def _may_see(name: Any, request: HttpRequest) -> bool:
    if name in CONTENT:
        return may_view_content(request)
    return name != "turn_list" or may_view_generations(request)


def _block(text: str) -> str:
    if not text:
        return NOTHING
    return format_html('<pre class="textgen-json" dir="auto">{}</pre>', render_text(text))
