"""The manager that chooses the database of our rows, and QuerySets for the queries of other rooms.

Their methods are adjectives, such as `.in_flight()`. Nothing here writes.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Self, TypeVar

from django.db import models, router
from django.db.models import Q
from django.db.models.fields.json import KeyTransform

from creatify_textgen.permissions import is_staff_with
from creatify_textgen.remote_ids import identifier
from creatify_textgen.states import IN_FLIGHT, TERMINAL

if TYPE_CHECKING:
    from creatify_textgen.models.bookkeeping import Pause  # noqa: F401
    from creatify_textgen.models.generation import Generation  # noqa: F401

__all__ = ["GenerationManager", "GenerationQuerySet", "PauseQuerySet", "WrittenManager"]


Row = TypeVar("Row", bound=models.Model)


class WrittenManager(models.Manager[Row]):
    """Reads from the database that is written, whatever a router says of reads.

    A replica lags, and a claim, a lease or an answer that was just written must be seen by the
    next statement. `.using(alias)` still chooses any database.
    """

    def get_queryset(self) -> models.QuerySet[Row]:
        rows = super().get_queryset()
        # `using()` or `db_manager()` has named a database.
        if self._db is not None:
            return rows
        # A router may choose by the row from which a relation is followed.
        hints: dict[str, Any] = self._hints  # type: ignore[attr-defined]
        return rows.using(router.db_for_write(self.model, **hints))


class GenerationQuerySet(models.QuerySet["Generation"]):
    def in_flight(self) -> Self:
        """Return the rows that were sent, or may have been, and whose result is expected."""
        return self.filter(status__in=IN_FLIGHT)

    def final(self) -> Self:
        return self.filter(status__in=TERMINAL)

    def due(self, now: datetime) -> Self:
        """Return the rows that the sweep must process by `now`; the one due longest is first."""
        return self.filter(due_at__lte=now).order_by("due_at")

    def for_owner(self, user: Any) -> Self:
        """Return the rows of this user; none for an anonymous user."""
        if not getattr(user, "is_authenticated", False):
            return self.none()
        return self.filter(owner_id=user.pk)

    def with_remote_id(self, text: str) -> Self:
        """Return the rows that have exactly this id at the remote, however it is written."""
        return self.filter(remote_id=identifier(text) or text)

    def with_metadata(self, wanted: Mapping[str, str]) -> Self:
        """Return the rows whose metadata has these values at its top-level keys.

        `{"order": "17"}` finds the number 17 and the text "17". Give no key that is a number: some
        databases take it for a place in a list.
        """
        rows = self
        for index, (key, text) in enumerate(wanted.items()):
            name = f"metadata_{index}"
            # No lookup `metadata__<key>`: a key may have any character, and `order__gt` would be an
            # operator.
            found = models.Q((name, text))
            if (scalar := _scalar(text)) is not None:
                found |= models.Q((name, scalar))
            rows = rows.alias(**{name: KeyTransform(key, "metadata")}).filter(found)
        return rows

    def visible_to(self, user: Any) -> Self:
        """Return the user's rows, or all rows for staff with the permission to view generations."""
        if is_staff_with(user, "view_generation"):
            return self.all()
        return self.for_owner(user)


class PauseQuerySet(models.QuerySet["Pause"]):
    def current(self, *, now: datetime) -> Self:
        """Return the pauses that hold now; the one of all accounts is first."""
        in_force = self.filter(Q(until=None) | Q(until__gt=now))
        # The empty text, which stands for all accounts, sorts before every other.
        return in_force.select_related("paused_by").order_by("account")


if TYPE_CHECKING:

    class GenerationManager(WrittenManager["Generation"]):
        """What `from_queryset` makes, for checkers without Django's plugin."""

        def all(self) -> GenerationQuerySet: ...
        def filter(self, *args: Any, **kwargs: Any) -> GenerationQuerySet: ...
        def exclude(self, *args: Any, **kwargs: Any) -> GenerationQuerySet: ...
        def select_related(self, *fields: Any) -> GenerationQuerySet: ...
        def order_by(self, *fields: Any) -> GenerationQuerySet: ...
        def in_flight(self) -> GenerationQuerySet: ...
        def final(self) -> GenerationQuerySet: ...
        def due(self, now: datetime) -> GenerationQuerySet: ...
        def for_owner(self, user: Any) -> GenerationQuerySet: ...
        def visible_to(self, user: Any) -> GenerationQuerySet: ...
        def with_remote_id(self, text: str) -> GenerationQuerySet: ...
        def with_metadata(self, wanted: Mapping[str, str]) -> GenerationQuerySet: ...
else:
    GenerationManager = WrittenManager.from_queryset(GenerationQuerySet)


def _scalar(text: str) -> int | float | bool | None:
    """Return the number or the boolean that a text writes in JSON, else None."""
    # A text may have brackets that are too deep for the parser, or more digits than a float.
    try:
        value = json.loads(text)
        return value if isinstance(value, int | float) and math.isfinite(value) else None
    except (ValueError, OverflowError, RecursionError):
        return None
