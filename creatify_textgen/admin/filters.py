"""The history's filters and its paginator: none reads the whole table to draw itself."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.functional import cached_property
from django.utils.translation import gettext_lazy as _

from creatify_textgen.models import Generation

__all__ = ["AccountFilter", "BoundedPaginator", "ErrorCodeFilter", "ModelFilter", "OwnerFilter"]

RECENT = 1000
"""Generations whose values the filters offer."""
RECENT_COLUMNS = ("model_name", "account", "error_code", "owner_id")
COUNTED = 10_000
NOBODY = "-"


class BoundedPaginator(Paginator):  # type: ignore[type-arg]
    """Counts up to 10,000 rows: what lies behind is found by date, filters and search."""

    @cached_property
    def count(self) -> int:
        rows: Any = self.object_list
        return int(rows.order_by()[:COUNTED].count())

    @property
    def is_capped(self) -> bool:
        return self.count >= COUNTED


class RecentValueFilter(admin.SimpleListFilter):
    """Offers what the latest generations hold of a column, and what is chosen already."""

    column: ClassVar[str]

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        values = {value for value in recent_values(request, self.column) if value}
        chosen = self.value()
        return [(value, value) for value in sorted(values | ({chosen} if chosen else set()))]

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
    """By owner; a site may have more users than a list can show."""

    title = _("owner")
    parameter_name = "owner"
    column = "owner_id"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        keys = {key for key in recent_values(request, self.column) if key is not None}
        chosen = self.value()
        if chosen and chosen != NOBODY:
            keys.add(self._key(chosen))
        owners = get_user_model()._default_manager.in_bulk(list(keys))
        named = sorted((str(owner), str(key)) for key, owner in owners.items())
        strangers = [str(key) for key in keys - owners.keys()]
        return [
            (NOBODY, str(_("the site itself"))),
            *((key, name) for name, key in named),
            *((key, key) for key in strangers),
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        value = self.value()
        if value == NOBODY:
            return queryset.filter(owner=None)
        return queryset.filter(owner_id=self._key(value)) if value else queryset

    def _key(self, value: str) -> Any:
        try:
            # Not to_python alone: a number may be too large for the database.
            return get_user_model()._meta.pk.clean(value, None)
        except ValidationError as error:
            raise IncorrectLookupParameters(str(error)) from error


def recent_values(request: HttpRequest, column: str) -> set[Any]:
    """Return the values of a column in the latest generations; one query a request for all."""
    seen = getattr(request, "_textgen_recent", None)
    if seen is None:
        latest = Generation.objects.order_by("-created_at").values_list(*RECENT_COLUMNS)
        rows = list(latest[:RECENT])
        columns = zip(*rows, strict=True) if rows else ((),) * len(RECENT_COLUMNS)
        seen = dict(zip(RECENT_COLUMNS, map(set, columns), strict=True))
        request._textgen_recent = seen  # type: ignore[attr-defined]
    return set(seen[column])
