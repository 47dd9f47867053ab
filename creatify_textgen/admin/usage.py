"""The table of usage by day, owner and account."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib import admin
from django.utils.formats import date_format
from django.utils.translation import gettext_lazy

from creatify_textgen.admin.filters import AccountFilter, ModelFilter, OwnerFilter
from creatify_textgen.admin.periods import UsagePeriodFilter
from creatify_textgen.admin.permissions import ReadOnlyAdmin
from creatify_textgen.admin.rendering import (
    foreign,
    render_credits,
    render_name,
    render_status,
)
from creatify_textgen.models import UsageDay

__all__ = ["UsageDayAdmin"]


class UsageDayAdmin(ReadOnlyAdmin):
    list_display = (
        "date",
        "model_word",
        "status_word",
        *(foreign(UsageDay, name) for name in ("owner", "account")),
        "count",
        "credits",
        "unknown",
    )
    list_filter = (UsagePeriodFilter, "status", OwnerFilter, ModelFilter, AccountFilter)
    lookups = frozenset({*UsagePeriodFilter.parameters, "owner", "model_name", "account"})
    list_select_related = ("owner",)
    fields: ClassVar[Any] = list_display
    readonly_fields: ClassVar[Any] = list_display

    @admin.display(description=gettext_lazy("day"))
    def date(self, usage: UsageDay) -> str:
        return date_format(usage.day, "SHORT_DATE_FORMAT")

    @admin.display(description=gettext_lazy("model"))
    def model_word(self, usage: UsageDay) -> str:
        return render_name(usage.model_name)

    @admin.display(description=gettext_lazy("status"))
    def status_word(self, usage: UsageDay) -> str:
        return render_status(usage.status)

    @admin.display(description=gettext_lazy("generations"))
    def count(self, usage: UsageDay) -> int:
        return usage.generations

    @admin.display(description=gettext_lazy("known credits"))
    def credits(self, usage: UsageDay) -> str:
        # A sum of 0 is known if at least one of its costs is.
        is_known = usage.credits_used or usage.credits_unknown < usage.generations
        return render_credits(usage.credits_used if is_known else None)

    @admin.display(description=gettext_lazy("cost unknown"))
    def unknown(self, usage: UsageDay) -> int:
        return usage.credits_unknown
