"""Finds the user that a command line names."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import CommandError

__all__ = ["find_user"]


def find_user(username: str) -> Any:
    """Return the user of this name. Raises: CommandError if there is none."""
    users: Any = get_user_model()
    try:
        # As Django's ModelBackend does: the manager of a host may ignore the case of names.
        return users._default_manager.get_by_natural_key(username)
    except users.DoesNotExist:
        field = users.USERNAME_FIELD
        raise CommandError(f"There is no user with {field} {username!r}.") from None
