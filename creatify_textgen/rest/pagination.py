"""Pages by cursor: as fast on the last page as on the first. Reads no rows by itself."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db.models import QuerySet
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.pagination import Cursor, CursorPagination
from rest_framework.request import Request

from creatify_textgen.models import Generation
from creatify_textgen.rest.moments import to_stored

__all__ = ["GenerationPages"]

ORDERINGS = {
    name: (name, "-id" if name.startswith("-") else "id")
    for name in ("-created_at", "created_at", "-updated_at", "updated_at")
}


class GenerationPages(CursorPagination):
    page_size = 50
    max_page_size = 200
    page_size_query_param = "page_size"
    ordering = "-created_at"

    def get_ordering(
        self, request: Request, queryset: QuerySet[Generation], view: Any
    ) -> tuple[str, ...]:
        """Return the columns that the query asks for, the id last as the tie-breaker.

        Raises: ValidationError.
        """
        asked = request.query_params.get("ordering") or "-created_at"
        if asked not in ORDERINGS:
            raise ValidationError({"ordering": [f"Must be one of {', '.join(ORDERINGS)}."]})
        return ORDERINGS[asked]

    def decode_cursor(self, request: Request) -> Cursor | None:
        """Return where the page begins. Raises: NotFound for a cursor that is not ours."""
        cursor = super().decode_cursor(request)
        if cursor is None or cursor.position is None:
            return cursor
        try:
            # DRF would hand the text to the database, whose complaint would be a 500.
            position = str(to_stored(datetime.fromisoformat(str(cursor.position))))
        except ValueError as error:
            raise NotFound(self.invalid_cursor_message) from error
        return cursor._replace(position=position)  # type: ignore[arg-type]  # it is text
