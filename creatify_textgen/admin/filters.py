"""The filters of lists, except the period, and the paginator.

Invariant: no filter reads the whole table. It offers the values of the latest generations.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.widgets import AutocompleteSelect
from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.functional import cached_property
from django.utils.translation import gettext_lazy as _

from creatify_textgen import clock, services
from creatify_textgen.admin.periods import hidden_fields
from creatify_textgen.admin.rendering import render_name, show_control_chars
from creatify_textgen.models import Generation
from creatify_textgen.permissions import is_staff_with
from creatify_textgen.states import IN_FLIGHT, TERMINAL, Status

__all__ = [
    "AccountFilter",
    "AttentionFilter",
    "BoundedPaginator",
    "ErrorCodeFilter",
    "ModelFilter",
    "OwnerFilter",
    "can_search_users",
]

RECENT = 1000
"""How many of the latest generations give the filters their values."""
# Read together: each filter of a page has its values from one query.
RECENT_COLUMNS = ("model_name", "account", "error_code", "owner_id")
COUNTED = 10_000
NOBODY = "-"
# Without the expired ones, which the index and another choice of this filter name apart.
OPEN = sorted({Status.QUEUED, *IN_FLIGHT})


class BoundedPaginator(Paginator):  # type: ignore[type-arg]
    """Counts up to 10,000 rows. The rows after them are found by period, filters and search."""

    @cached_property
    def count(self) -> int:
        rows: Any = self.object_list
        # PostgreSQL counts by reading each row, so a number without a limit slows every page down.
        return int(rows.order_by()[:COUNTED].count())

    @property
    def is_capped(self) -> bool:
        return self.count >= COUNTED


class AttentionFilter(admin.SimpleListFilter):
    """What somebody should look at, and what has not ended."""

    title = _("needs attention")
    parameter_name = "attention"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [
            ("lost", _("Unconfirmed or expired")),
            ("overdue", _("Overdue")),
            ("cost", _("Cost unknown")),
            ("open", _("Not ended yet")),
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        match self.value():
            case "lost":
                return queryset.filter(status__in=[Status.UNCONFIRMED, Status.EXPIRED])
            case "overdue":
                late = clock.now() - services.OVERDUE_AFTER
                # Final rows whose signal is late, too, as in the line of the index.
                return queryset.filter(due_at__lt=late)
            case "cost":
                return queryset.filter(status__in=sorted(TERMINAL), credits_used=None)
            case "open":
                return queryset.filter(status__in=OPEN)
        return queryset


class RecentValueFilter(admin.SimpleListFilter):
    """Offers the values that a column has in the latest generations, and the chosen one."""

    column: ClassVar[str]

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        values = {value for value in recent_values(request, self.column) if value}
        chosen = self.value()
        # Otherwise the filter of an older link would be in effect and not be shown as chosen.
        values |= {chosen} if chosen else set()
        return [(value, render_name(value)) for value in sorted(values)]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        value = self.value()
        return queryset.filter(**{self.column: value}) if value else queryset


class ModelFilter(RecentValueFilter):
    title = _("model")
    parameter_name = column = "model_name"


class AccountFilter(RecentValueFilter):
    title = _("account")
    parameter_name = column = "account"


class ErrorCodeFilter(RecentValueFilter):
    title = _("error code")
    parameter_name = column = "error_code"


class OwnerFilter(RecentValueFilter):
    """By owner: one of the latest, or any user that the search of the admin site finds.

    The search is offered to readers who may view users, if the admin site has the model.
    """

    title = _("owner")
    template = "creatify_textgen/admin/owner_filter.html"
    parameter_name = "owner"
    column = "owner_id"

    def __init__(self, request: HttpRequest, params: Any, model: Any, model_admin: Any) -> None:
        super().__init__(request, params, model, model_admin)
        self.form = _owner_form(request, model, model_admin, chosen=self._chosen())
        self.hidden: list[tuple[str, str]] = []

    def choices(self, changelist: Any) -> Iterator[Any]:
        # `choices` is the one place where Django gives a filter the list, and so its other filters.
        self.hidden = hidden_fields(changelist, without=(self.parameter_name,))
        return super().choices(changelist)

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        recent = {key for key in recent_values(request, self.column) if key is not None}
        chosen = self._chosen()
        is_known = _may_be_named(chosen - recent, request, model_admin)
        keys = recent | chosen
        owners = get_user_model()._default_manager.in_bulk(list(keys if is_known else recent))
        named = sorted((str(owner), str(key)) for key, owner in owners.items())
        # Users who were deleted or whose names this reader may not see: their keys alone.
        strangers = [str(key) for key in keys - owners.keys()]
        return [
            (NOBODY, str(_("the site itself"))),
            *((key, render_name(name)) for name, key in named),
            *((key, key) for key in strangers),
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        value = self.value()
        if value == NOBODY:
            return queryset.filter(owner=None)
        return queryset.filter(owner_id=self._key(value)) if value else queryset

    def _chosen(self) -> set[Any]:
        value = self.value()
        return {self._key(value)} if value and value != NOBODY else set()

    def _key(self, value: str) -> Any:
        try:
            # Not to_python alone: a number may be too large for the database.
            return get_user_model()._meta.pk.clean(value, None)
        except ValidationError as error:
            raise IncorrectLookupParameters(str(error)) from error


def _may_be_named(keys: set[Any], request: HttpRequest, model_admin: Any) -> bool:
    """Whether the list has rows of these users, or the reader may see all users.

    Without this, a reader who tries one key after another in the query string would get the names
    of all users.
    """
    if not keys or can_search_users(request, model_admin.admin_site):
        return True
    return bool(model_admin.model._default_manager.filter(owner_id__in=keys).exists())


class OwnerField(forms.ModelChoiceField):  # type: ignore[type-arg]
    """Shows the name of the chosen user, with its control characters written out."""

    def label_from_instance(self, obj: Any) -> str:
        return show_control_chars(str(obj))


def _owner_form(
    request: HttpRequest, model: Any, model_admin: Any, *, chosen: set[Any]
) -> forms.Form | None:
    site = model_admin.admin_site
    if not can_search_users(request, site):
        return None
    # Loads only the chosen user; a plain select would have an option for each user of the site.
    widget = AutocompleteSelect(model._meta.get_field("owner"), site)
    rows = get_user_model()._default_manager.all()
    form = forms.Form({"owner": next(iter(chosen), None)})
    form.fields["owner"] = OwnerField(rows, widget=widget, label=_("Any owner"))
    return form


def can_search_users(request: HttpRequest, site: admin.AdminSite) -> bool:
    """Whether this admin site has a search for users, and the reader may use it."""
    users = site._registry.get(get_user_model())
    return bool(users and users.get_search_fields(request) and users.has_view_permission(request))


def recent_values(request: HttpRequest, column: str) -> set[Any]:
    """Return the values of a column in the latest generations, with one query per request.

    Empty for readers who may not view generations: other lists have these filters, too.
    """
    if not is_staff_with(request.user, "view_generation"):
        return set()
    # On the request: each filter of the list asks, and Django makes new filters for an action.
    seen = getattr(request, "_textgen_recent", None)
    if seen is None:
        latest = Generation.objects.order_by("-created_at").values_list(*RECENT_COLUMNS)
        rows = list(latest[:RECENT])
        columns = zip(*rows, strict=True) if rows else ((),) * len(RECENT_COLUMNS)
        seen = dict(zip(RECENT_COLUMNS, map(set, columns), strict=True))
        request._textgen_recent = seen  # type: ignore[attr-defined]
    return set(seen[column])
