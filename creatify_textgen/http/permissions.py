"""What staff may do with the rows of others. Reads permissions only, never the content of rows.

A row that a user may not see is not in the queryset, so the response is 404 and not 403.
"""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _
from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request
from rest_framework.views import APIView

from creatify_textgen.conf import conf
from creatify_textgen.models import Generation
from creatify_textgen.permissions import has_permission, is_staff_with

__all__ = ["MayOperate", "MaySettle", "MaySpend"]


class MaySpend(BasePermission):
    """Requires the permission of the setting `CREATE_PERMISSION`, if any, to spend credits."""

    message = _("You may not generate text on this site.")

    def has_permission(self, request: Request, view: APIView) -> bool:
        needed = conf.create_permission
        # `OPTIONS` spends nothing, and asks about POST separately (`Capabilities`).
        spends = getattr(view, "kind_of_call", None) == "create" and request.method != "OPTIONS"
        return not spends or needed is None or has_permission(request.user, needed)


class MayOperate(BasePermission):
    """Users may act on their own generations, and staff with `operate_generation` on all."""

    message = _("You may see this generation, but not change it.")

    def has_object_permission(self, request: Request, view: APIView, obj: Generation) -> bool:
        # A row without an owner is not an anonymous user's, because `Endpoint` refuses these first.
        return (
            request.method in SAFE_METHODS
            or obj.owner_id == request.user.pk
            or is_staff_with(request.user, "operate_generation")
        )


class MaySettle(BasePermission):
    """Staff with `operate_generation`, also about their own: nobody else says what one cost."""

    message = _("Only staff may decide what a generation has cost.")

    def has_permission(self, request: Request, view: APIView) -> bool:
        settles = getattr(view, "action", None) == "settle" and request.method != "OPTIONS"
        return not settles or is_staff_with(request.user, "operate_generation")
