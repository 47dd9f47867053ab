"""The daily rollup as a table, for whoever wants it by owner or account."""

from __future__ import annotations

from django.contrib import admin
from django.utils.translation import gettext_lazy as _

from creatify_textgen.admin.amounts import show_credits, show_status
from creatify_textgen.admin.permissions import ReadOnlyAdmin
from creatify_textgen.models import UsageDay

__all__ = ["UsageDayAdmin"]


class UsageDayAdmin(ReadOnlyAdmin):
    list_display = (
        "day",
        "model_name",
        "status_word",
        "owner",
        "account",
        "generations",
        "credits",
        "credits_unknown",
    )
    list_filter = ("status", "model_name", "account")
    list_select_related = ("owner",)
    search_fields = ("model_name", "account")
    date_hierarchy = "day"
    show_full_result_count = False
    readonly_fields = ("status_word", "credits")
    fields = list_display

    @admin.display(description=_("status"), ordering="status")
    def status_word(self, usage: UsageDay) -> str:
        return show_status(usage.status)

    @admin.display(description=_("known credits"), ordering="credits_used")
    def credits(self, usage: UsageDay) -> str:
        is_known = usage.credits_used or usage.credits_unknown < usage.generations
        return show_credits(usage.credits_used if is_known else None)
