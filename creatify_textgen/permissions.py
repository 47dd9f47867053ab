"""Whether a member of staff has one of the app's permissions. Every room may import this module.

Owners see and use their own rows without any of these permissions.
"""

from __future__ import annotations

from typing import Any

__all__ = ["has_permission", "is_staff_with"]


def is_staff_with(user: Any, permission: str) -> bool:
    """Return whether the user is active, is staff and has this permission, e.g. `view_content`."""
    # A host's backend may grant permissions to inactive users. Django's does not.
    is_staff = getattr(user, "is_active", False) and getattr(user, "is_staff", False)
    return bool(is_staff) and has_permission(user, f"creatify_textgen.{permission}")


def has_permission(user: Any, permission: str) -> bool:
    """Whether the user has this permission; never if the host's user model knows none."""
    # A user model without Django's PermissionsMixin has no such method.
    has_perm = getattr(user, "has_perm", None)
    return has_perm is not None and bool(has_perm(permission))
