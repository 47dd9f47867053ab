"""Who may do what in the admin. Metadata, content and operations are three permissions."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import ChangeList
from django.http import HttpRequest

from creatify_textgen.privacy import discreet

__all__ = ["ReadOnlyAdmin", "may_operate", "may_view_content", "may_view_generations"]


def may_view_generations(request: HttpRequest) -> bool:
    return _has(request, "view_generation")


def may_view_content(request: HttpRequest) -> bool:
    return _has(request, "view_content")


def may_operate(request: HttpRequest) -> bool:
    return may_view_generations(request) and _has(request, "operate_generation")


def _has(request: HttpRequest, permission: str) -> bool:
    user: Any = request.user
    is_staff = user.is_active and user.is_staff
    return bool(is_staff and user.has_perm(f"creatify_textgen.{permission}"))


class ReadOnlyAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Rows that the app writes and people look at."""

    class Media:
        css = {"all": ["creatify_textgen/admin.css"]}

    def get_urls(self) -> list[Any]:
        """Keep what the pages show out of error reports."""
        urls = super().get_urls()
        for url in urls:
            url.callback = discreet(url.callback)
        return urls

    def get_changelist_instance(self, request: HttpRequest) -> ChangeList:
        """Return the list. Raises: IncorrectLookupParameters, which is shown as the whole list."""
        try:
            return super().get_changelist_instance(request)
        except OverflowError as error:
            # Django makes a date of any year that is asked for.
            raise IncorrectLookupParameters from error

    def get_object(self, request: HttpRequest, object_id: str, from_field: Any = None) -> Any:
        # Django looks for a field without a name where `_to_field` is empty.
        return super().get_object(request, object_id, from_field or None)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
