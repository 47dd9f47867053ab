"""Runs and calls of functions in the admin: staff read them, and with permission approve calls.

The arguments of a call are content: staff who may not read them cannot decide about the call.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from creatify_textgen import chat
from creatify_textgen.admin.filters import OwnerFilter
from creatify_textgen.admin.permissions import (
    ReadOnlyAdmin,
    may_operate,
    may_view_content,
    may_view_generations,
)
from creatify_textgen.admin.rendering import (
    NOTHING,
    foreign,
    format_json,
    link_to_generation,
    render_credits,
    render_moment,
    render_name,
    render_text,
)
from creatify_textgen.chat import Run, Step, ToolCall
from creatify_textgen.exceptions import TransitionError

__all__ = ["RunAdmin", "ToolCallAdmin"]

STEPS_SHOWN = 200


error_code, owner = (foreign(Run, name) for name in ("error_code", "owner"))


class RunAdmin(ReadOnlyAdmin):
    list_display = ("created", "state", owner, error_code)
    list_filter = ("state", OwnerFilter)
    lookups = frozenset({"owner"})
    list_select_related = ("owner",)
    ordering = ("-created_at",)
    search_fields = ("=pk",)
    search_help_text = _("An id.")
    fields: ClassVar[Any] = (
        "state",
        error_code,
        owner,
        "step_list",
        "limit",
        "used",
        "max_credits",
        "created_at",
        "finished_at",
        "due_at",
        "id",
    )
    readonly_fields: ClassVar[Any] = fields

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        # A cost, and which generations there are, need the permission for generations.
        hidden = set() if may_view_generations(request) else {"step_list", "used"}
        return [name for name in self.fields if name not in hidden]

    @admin.display(description=_("created"))
    def created(self, run: Run) -> str:
        return render_moment(run.created_at)

    @admin.display(description=_("credits used"))
    def used(self, run: Run) -> str:
        return render_credits(run.credits_used)

    @admin.display(description=_("steps"))
    def step_list(self, run: Run) -> str:
        site = self.admin_site.name
        steps = Step.objects.filter(run=run).select_related("generation").order_by("number")
        items = [
            (s.number, link_to_generation(s.generation, site=site)) for s in steps[:STEPS_SHOWN]
        ]
        lines = format_html_join("", "<li>{}: {}</li>", items)
        return format_html('<ul class="textgen-links">{}</ul>', lines)


class ToolCallAdmin(ReadOnlyAdmin):
    list_display = ("asked", "name_text", "state", "owner_name", "arguments", "decided_by")
    list_filter = ("state",)
    list_select_related = ("step__run__owner", "step__generation__content", "decided_by")
    # The primary key is in the order of creation, and has an index.
    ordering = ("-pk",)
    fields = ("name_text", "state", "arguments", "owner_name", "decided_by", "run_id", "id")
    readonly_fields = fields
    actions = ("approve", "reject")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        # The arguments of a call are a part of its step's answer. The request beside them is the
        # whole conversation, and 50 of them may be many megabytes.
        request_fields = ("messages", "tools", "system_instruction")
        names = [f"step__generation__content__{name}" for name in request_fields]
        return super().get_queryset(request).defer(*names)

    def has_decide_permission(self, request: HttpRequest) -> bool:
        # Nobody approves what they cannot read.
        return may_operate(request) and may_view_content(request)

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        return [name for name in self.list_display if _may_see(name, request)]

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        return [name for name in self.fields if _may_see(name, request)]

    @admin.action(description=_("Approve"), permissions=["decide"])
    def approve(self, request: HttpRequest, queryset: QuerySet[ToolCall]) -> None:
        self._decide(request, queryset, chat.approve)

    @admin.action(description=_("Reject"), permissions=["decide"])
    def reject(self, request: HttpRequest, queryset: QuerySet[ToolCall]) -> None:
        self._decide(request, queryset, chat.reject)

    @admin.display(description=_("run of"))
    def asked(self, call: ToolCall) -> str:
        return render_moment(call.step.run.created_at)

    @admin.display(description=_("function"))
    def name_text(self, call: ToolCall) -> str:
        return render_name(call.name)

    @admin.display(description=_("owner"))
    def owner_name(self, call: ToolCall) -> str:
        owner = call.step.run.owner
        return render_name(owner) if owner else NOTHING

    @admin.display(description=_("arguments"))
    def arguments(self, call: ToolCall) -> str:
        text = render_text(format_json(call.args))
        return format_html('<pre class="textgen-json" dir="auto">{}</pre>', text)

    @admin.display(description=_("run"))
    def run_id(self, call: ToolCall) -> str:
        return str(call.step.run_id)

    def _decide(
        self, request: HttpRequest, queryset: QuerySet[ToolCall], decide: Callable[..., Any]
    ) -> None:
        decided = 0
        for call in queryset.select_related("step"):
            try:
                decide(call, by=request.user)
                decided += 1
            except TransitionError as error:
                # A colleague was faster, or the run has ended. The other calls are still decided.
                self.message_user(request, str(error), messages.WARNING)
        if decided:
            text = ngettext("%d call was decided.", "%d calls were decided.", decided) % decided
            self.message_user(request, text, messages.SUCCESS)


def _may_see(name: str, request: HttpRequest) -> bool:
    return name != "arguments" or may_view_content(request)
