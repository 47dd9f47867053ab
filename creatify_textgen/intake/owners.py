"""Whose a request or a file is: a user of this site, or no user."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from django.contrib.auth import get_user_model
from django.utils.translation import gettext as _

from creatify_textgen.exceptions import RequestError
from creatify_textgen.intake.reading import Reader

__all__ = ["expect_owner", "read_owner", "refuse_deleted"]


def read_owner(value: Any, *, reader: Reader) -> Any:
    """Return the owner's primary key, or None for the site itself.

    Refuses everything else, because the request would silently belong to nobody: a primary key, a
    user name, a visitor who is not signed in, a user who is not saved.
    """
    if value is None:
        return None
    # A host may pass a proxy of its user model. `isinstance` also accepts the lazy `request.user`.
    user_class = get_user_model()._meta.concrete_model or get_user_model()
    if isinstance(value, user_class) and value.pk is not None:
        return value.pk
    rule = f"Must be a saved {user_class.__name__} object, such as request.user, or None, not "
    reader.refuse("owner", f"{rule}{type(value).__name__}.")
    return None


def expect_owner(value: Any) -> Any:
    """As `read_owner`, for a verb that has nothing else to check. Raises: RequestError."""
    reader = Reader()
    owner_id = read_owner(value, reader=reader)
    reader.raise_if_refused()
    return owner_id


def refuse_deleted(owner_ids: Collection[Any]) -> None:
    """Refuse owners who were deleted since the request began. Raises: RequestError."""
    # By the base manager: the host's own one may hide users, who exist nevertheless.
    users = get_user_model()._base_manager.filter(pk__in=owner_ids)
    if users.count() < len(owner_ids):
        text = _("This user was deleted just now.")
        raise RequestError.about("owner", text)
