"""Pages by cursor: the last page is as fast as the first."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar

from django.db.models import QuerySet
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.pagination import Cursor, CursorPagination
from rest_framework.request import Request

from creatify_textgen.permissions import is_staff_with
from creatify_textgen.rest.moments import to_stored

__all__ = ["ConversationPages", "GenerationPages", "TurnPages"]

LARGEST_NUMBER = 2**31 - 1
"""Of Django's `PositiveIntegerField`."""

# Rows may have the same time. The id decides between them, so that no page repeats or omits one.
ORDERINGS = {
    name: (name, "-id" if name.startswith("-") else "id")
    for name in ("-created_at", "created_at", "-updated_at", "updated_at")
}

OF_ONE_OWNER = "Generations of all owners have no order by updated_at: name an owner as well."


class GenerationPages(CursorPagination):
    """Pages of the history, from the newest or from the oldest."""

    page_size = 50
    max_page_size = 200
    page_size_query_param = "page_size"
    ordering = "-created_at"
    orderings: ClassVar[Mapping[str, tuple[str, ...]]] = ORDERINGS

    def get_ordering(self, request: Request, queryset: QuerySet[Any], view: Any) -> tuple[str, ...]:
        """Return the columns to order by, with the id last to make the order unique.

        Raises: ValidationError.
        """
        asked = request.query_params.get("ordering") or self.ordering
        if asked not in self.orderings:
            raise ValidationError({"ordering": [f"Must be one of {', '.join(self.orderings)}."]})
        if asked.endswith("updated_at") and self._is_of_all(request):
            raise ValidationError({"ordering": [OF_ONE_OWNER]})
        return self.orderings[asked]

    def _is_of_all(self, request: Request) -> bool:
        """Whether rows of all owners are asked for, which no index has by their latest change."""
        may_see_all = is_staff_with(request.user, "view_generation")
        return may_see_all and not request.query_params.get("owner")

    def decode_cursor(self, request: Request) -> Cursor | None:
        """Return where the page begins. Raises: NotFound if the cursor is not valid."""
        cursor = super().decode_cursor(request)
        if cursor is None or cursor.position is None:
            return cursor
        try:
            # DRF would pass any text to the database, and the database's error would be a 500.
            position = self.read_position(str(cursor.position))
        except ValueError as error:
            raise NotFound(self.invalid_cursor_message) from error
        return cursor._replace(position=position)  # type: ignore[arg-type]  # it is text

    def read_position(self, written: str) -> str:
        """Return the value of the first column in a cursor. Raises: ValueError."""
        return str(to_stored(datetime.fromisoformat(written)))


class ConversationPages(GenerationPages):
    """Pages of conversations; by default the one with the latest message is first."""

    ordering = "-updated_at"

    def _is_of_all(self, request: Request) -> bool:
        return False  # Conversations have an index for it.


class TurnPages(GenerationPages):
    """Pages of a conversation, from its first message or from its last (`-number`)."""

    ordering = "number"
    orderings: ClassVar[Mapping[str, tuple[str, ...]]] = {
        name: (name,) for name in ("number", "-number")
    }

    def read_position(self, written: str) -> str:
        """Return the number in a cursor. Raises: ValueError."""
        number = int(written)
        if not 0 <= number <= LARGEST_NUMBER:
            raise ValueError("No turn has this number.")
        return str(number)
