"""Who may do what beyond their own rows. Reads permissions, never rows' content.

Rows a user may not see are kept from view by the queryset, so they answer 404, not 403.
"""

from __future__ import annotations

from typing import Any

from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request
from rest_framework.views import APIView

from creatify_textgen.models import Generation

__all__ = ["MayOperate", "is_staff_with"]


def is_staff_with(user: Any, permission: str) -> bool:
    """Whether the user is staff and has this permission of ours (`view_content`, …)."""
    return bool(
        getattr(user, "is_staff", False) and user.has_perm(f"creatify_textgen.{permission}")
    )


class MayOperate(BasePermission):
    """Owners act on their own generations; on others', staff who may operate."""

    message = "You may see this generation, but not act on it."

    def has_object_permission(self, request: Request, view: APIView, obj: Generation) -> bool:
        return (
            request.method in SAFE_METHODS
            or obj.owner_id == request.user.pk
            or is_staff_with(request.user, "operate_generation")
        )
