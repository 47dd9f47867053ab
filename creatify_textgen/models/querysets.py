"""Adjectives for generations: what one may ask of the table. Reads only."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Self

from django.db import models

from creatify_textgen.states import IN_FLIGHT, TERMINAL

if TYPE_CHECKING:
    from creatify_textgen.models.generation import Generation  # noqa: F401

__all__ = ["GenerationQuerySet"]

VIEW_PERMISSION = "creatify_textgen.view_generation"


class GenerationQuerySet(models.QuerySet["Generation"]):
    def in_flight(self) -> Self:
        """Sent, or perhaps sent, and not final."""
        return self.filter(status__in=IN_FLIGHT)

    def final(self) -> Self:
        return self.filter(status__in=TERMINAL)

    def due(self, now: datetime) -> Self:
        """Those at which something should look by `now`, the longest due first."""
        return self.filter(next_check_at__lte=now).order_by("next_check_at")

    def for_owner(self, user: Any) -> Self:
        """Only the rows of this user; none for somebody without an account."""
        if not getattr(user, "is_authenticated", False):
            return self.none()
        return self.filter(owner_id=user.pk)

    def visible_to(self, user: Any) -> Self:
        """The user's own rows, or every row for staff who may view generations."""
        if getattr(user, "is_staff", False) and user.has_perm(VIEW_PERMISSION):
            return self.all()
        return self.for_owner(user)
