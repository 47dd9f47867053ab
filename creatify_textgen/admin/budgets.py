"""Budgets: how much may be spent, and how much is left of each.

What a budget counts cannot be changed later, because its sums depend on it.
"""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.contrib.admin.widgets import AutocompleteSelect
from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.utils.html import format_html, format_html_join
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from creatify_textgen import services
from creatify_textgen.admin.filters import can_search_users
from creatify_textgen.admin.permissions import ReadOnlyAdmin
from creatify_textgen.admin.rendering import (
    foreign,
    format_credits,
    format_number,
    named,
    render_name,
    show_control_chars,
)
from creatify_textgen.conf import conf
from creatify_textgen.models import Budget
from creatify_textgen.permissions import is_staff_with
from creatify_textgen.services import BudgetState

__all__ = ["BudgetAdmin", "describe_state"]

SCOPE = ("account", "owner", "group", "model_name")
SHOWN_SCOPE = tuple(foreign(Budget, name) for name in SCOPE)
PERIODS_SHOWN = 12


class BudgetForm(forms.ModelForm):  # type: ignore[type-arg]
    """The limit without the zeros of its column, and the accounts of the settings to choose."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk:
            self.initial["limit"] = f"{self.instance.limit.normalize():f}"
        # Missing for an existing budget: what it counts is only shown.
        account: Any = self.fields.get("account")
        if account is not None:
            names = [("", _("All accounts")), *named(conf.accounts)]
            self.fields["account"] = forms.ChoiceField(
                choices=names, required=False, label=account.label
            )


class OwnerSelect(AutocompleteSelect):
    """Shows a form again if its owner is no key of a user; Django would ask the database for it."""

    def optgroups(self, name: str, value: Any, attr: Any = None) -> Any:
        return super().optgroups(name, [one for one in value if _is_key(one)], attr)


def _is_key(written: str) -> bool:
    try:
        get_user_model()._meta.pk.clean(written, None)
    except ValidationError:
        return False
    return True


class BudgetList(ChangeList):
    """The list, with what each budget of the page holds now."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        # One query for the page instead of one for each row.
        rows = list(self.result_list)
        for state in services.budget_states(rows):
            state.budget.state = state  # type: ignore[attr-defined]
        self.result_list: Any = rows


@admin.display(description=gettext_lazy("budget"))
def name_and_scope(budget: Budget) -> str:
    words = {Budget.Period.DAY: _("a day"), Budget.Period.MONTH: _("a month")}
    period = words.get(Budget.Period(budget.period), _("in all"))
    kind = _("hard") if budget.is_hard else _("only reported")
    parts = [
        (_("account"), budget.account),
        (_("owner"), budget.owner),
        (_("group"), budget.group),
        (_("model"), budget.model_name),
    ]
    chosen = [(label, render_name(value)) for label, value in parts if value]
    scope = format_html_join(", ", "{} {}", chosen) if chosen else _("everything")
    return format_html(
        '{}<div class="textgen-under">{}, {}: {}</div>',
        *(render_name(budget.name), period, kind, scope),
    )


@admin.display(description=gettext_lazy("used now"))
def used(budget: Budget) -> str:
    # The page of one budget has no list that has read it.
    state = getattr(budget, "state", None) or services.budget_states([budget])[0]
    return render_to_string("creatify_textgen/admin/budget.html", describe_state(state))


def describe_state(state: BudgetState) -> dict[str, Any]:
    """Return the context of the template that shows a budget as a bar with its sums."""
    sums = ("held", "settled", "reserved", "unknown", "left")
    return {
        "level": "over" if state.share >= 1 else "near" if state.is_near_end else "fine",
        "share": f"{min(state.share, 1):.4f}",
        # At most 999 %: budgets that only report may be exceeded by any factor.
        "percent": format_number(min(state.percent, 999)),
        "unit": state.budget.get_unit_display(),
        "limit": format_credits(state.budget.limit),
        **{name: format_credits(getattr(state, name)) for name in sums},
    }


@admin.display(description=gettext_lazy("periods"))
def periods(budget: Budget) -> str:
    rows = list(budget.periods.order_by("-starts_on")[:PERIODS_SHOWN])
    sums = [
        (row, *(format_credits(s) for s in (row.settled, row.reserved, row.unknown)))
        for row in rows
    ]
    is_total = budget.period == Budget.Period.TOTAL
    context = {"rows": sums, "is_total": is_total}
    return render_to_string("creatify_textgen/admin/budget_periods.html", context)


class BudgetAdmin(ReadOnlyAdmin):
    form = BudgetForm
    list_display = (name_and_scope, used)
    list_select_related = ("owner", "group")
    ordering = ("name",)
    # If the search for users is not possible: a select would load all users.
    raw_id_fields = ("owner",)
    actions = None

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return BudgetList

    def get_autocomplete_fields(self, request: HttpRequest) -> tuple[str, ...]:
        return ("owner",) if can_search_users(request, self.admin_site) else ()

    def formfield_for_foreignkey(self, db_field: Any, request: Any, **kwargs: Any) -> Any:
        if db_field.name in self.get_autocomplete_fields(request):
            kwargs.setdefault("widget", OwnerSelect(db_field, self.admin_site))
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        terms = {"fields": ["name", ("limit", "unit", "period"), "is_hard"]}
        counted = {
            "fields": SHOWN_SCOPE if obj else SCOPE,
            "description": _(
                "Leave a field empty to count all. What a budget counts, its unit and its period "
                "cannot be changed later: create another budget, and delete this one."
            ),
        }
        now = [(_("Now"), {"fields": [used, periods]})] if obj else []
        return [(None, terms), *now, (_("What it counts"), counted)]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return (used, periods, "unit", "period", *SHOWN_SCOPE) if obj else (used, periods)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).select_related("owner", "group")

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return is_staff_with(request.user, "view_budget") or may_manage_budgets(request)

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return may_manage_budgets(request)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return may_manage_budgets(request)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return may_manage_budgets(request)

    def save_model(self, request: HttpRequest, obj: Budget, form: Any, *args: Any) -> None:
        super().save_model(request, obj, form, *args)
        if "limit" in form.changed_data:
            # `budget_reached` is sent once per period. It is sent again for another limit.
            obj.periods.update(reached_at=None)

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """Return the budgets and the number of their periods, for the confirmation.

        Django would load each hold, and there is one per generation.
        """
        budgets = list(objs)
        count = sum(budget.periods.count() for budget in budgets)
        text = ngettext("%(count)d period of it", "%(count)d periods of it", count)
        names = [show_control_chars(str(budget)) for budget in budgets]
        return [*names, text % {"count": count}], {_("budgets"): len(budgets)}, set(), []


def may_manage_budgets(request: HttpRequest) -> bool:
    return is_staff_with(request.user, "manage_budgets")
