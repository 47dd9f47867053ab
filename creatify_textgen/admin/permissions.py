"""The permissions of the admin. Metadata, content and operations need different permissions.

Invariant: staff who may not read content learn nothing about it by a filter, a search or an order.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, update_wrapper
from typing import Any, ClassVar

from django.contrib import admin
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import ERROR_FLAG, SEARCH_VAR, ChangeList
from django.contrib.admin.widgets import AutocompleteSelect
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.forms import Media as Assets
from django.http import HttpRequest, HttpResponseRedirect
from django.urls import URLPattern, path

from creatify_textgen.admin.filters import BoundedPaginator
from creatify_textgen.conf import conf
from creatify_textgen.permissions import has_permission, is_staff_with
from creatify_textgen.privacy import discreet

__all__ = [
    "ReadOnlyAdmin",
    "may_export",
    "may_generate",
    "may_operate",
    "may_pause",
    "may_view_balance",
    "may_view_content",
    "may_view_generations",
]


def may_view_generations(request: HttpRequest) -> bool:
    return is_staff_with(request.user, "view_generation")


def may_view_content(request: HttpRequest) -> bool:
    return is_staff_with(request.user, "view_content")


def may_generate(request: HttpRequest) -> bool:
    """Whether the user may spend credits here: staff, and what callers of the REST API need."""
    needed = conf.create_permission
    is_allowed = needed is None or has_permission(request.user, needed)
    return is_allowed and is_staff_with(request.user, "add_generation")


def may_operate(request: HttpRequest) -> bool:
    return may_view_generations(request) and is_staff_with(request.user, "operate_generation")


def may_export(request: HttpRequest) -> bool:
    return may_view_generations(request) and is_staff_with(request.user, "export_generation")


def may_view_balance(request: HttpRequest) -> bool:
    return is_staff_with(request.user, "view_credits")


def may_pause(request: HttpRequest) -> bool:
    return is_staff_with(request.user, "pause_sending")


class ReadOnlyAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Rows that the app writes and that people only read."""

    lookups: ClassVar[frozenset[str]] = frozenset()
    """The query parameters that the filters and the links between our pages use."""
    # Only an index can order a table of any size.
    sortable_by = ()
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    list_per_page = 50
    list_max_show_all = 200
    paginator = BoundedPaginator
    # By name, because Django's naming convention would hand our templates to any other ModelAdmin
    # of the same model.
    change_list_template = "creatify_textgen/admin/change_list.html"
    change_form_template = add_form_template = "creatify_textgen/admin/change_form.html"
    delete_confirmation_template = "creatify_textgen/admin/delete.html"
    object_history_template = "creatify_textgen/admin/object_history.html"

    class Media:
        css = {"all": ["creatify_textgen/admin.css"]}

    @property
    def media(self) -> Assets:
        """The style sheet, and what the filter by owner needs if the rows have one."""
        names = {field.name for field in self.model._meta.get_fields()}
        if "owner" not in names:
            return super().media
        field: Any = self.model._meta.get_field("owner")
        return super().media + AutocompleteSelect(field, self.admin_site).media

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        """Allow what the filters use, and nothing else.

        Any other lookup answers a question about a column that the page does not show: with
        `?excerpt__startswith=` a prompt was read letter by letter.
        """
        fields = {name for name in self.get_list_filter(request) if isinstance(name, str)}
        own = {f"{name}__{kind}" for name in fields for kind in ("exact", "isnull")}
        return lookup in self.lookups | own

    def get_urls(self) -> list[Any]:
        """Keep what the pages show out of error reports."""
        urls = super().get_urls()
        for url in urls:
            url.callback = discreet(url.callback)
        return urls

    def own_path(self, route: str, view: Callable[..., Any], name: str) -> URLPattern:
        """Return the path of a page that Django's admin does not have."""
        bound: Any = update_wrapper(partial(view, model_admin=self), view)
        guarded = discreet(self.admin_site.admin_view(bound))
        return path(route, guarded, name=f"creatify_textgen_{self.opts.model_name}_{name}")

    def get_changelist_instance(self, request: HttpRequest) -> ChangeList:
        """Return the list. Raises: IncorrectLookupParameters, which is shown as the whole list."""
        filters = [values for name, values in request.GET.lists() if name != SEARCH_VAR]
        if any("\0" in value for values in filters for value in values):
            raise IncorrectLookupParameters  # PostgreSQL refuses a NUL, once the page is drawn.
        try:
            return super().get_changelist_instance(request)
        except OverflowError as error:
            # Django makes a date of any year that is asked for.
            raise IncorrectLookupParameters from error

    def response_action(
        self, request: HttpRequest, queryset: QuerySet[Any], *args: Any, **kwargs: Any
    ) -> Any:
        """Run an action; for keys that no row can have, lead to the whole list as for a filter."""
        key: Any = self.model._meta.pk
        try:
            for written in request.POST.getlist(ACTION_CHECKBOX_NAME):
                key.clean(written, None)
        except ValidationError:
            return HttpResponseRedirect(f"{request.path}?{ERROR_FLAG}=1")
        return super().response_action(request, queryset, *args, **kwargs)

    def get_object(self, request: HttpRequest, object_id: str, from_field: Any = None) -> Any:
        # Django looks for a field without a name if `_to_field` is empty.
        return super().get_object(request, object_id, from_field or None)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
