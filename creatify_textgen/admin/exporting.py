"""The selected generations as a spreadsheet, in which no cell is ever a formula."""

from __future__ import annotations

import csv
from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from creatify_textgen.admin.permissions import may_view_content
from creatify_textgen.models import Generation

__all__ = ["defuse", "export_selected"]

MOST_ROWS = 10_000
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")  # noqa: RUF001

COLUMNS: dict[str, Callable[[Generation], Any]] = {
    "id": lambda row: row.pk,
    "created_at": lambda row: row.created_at.isoformat(),
    "finished_at": lambda row: row.finished_at.isoformat() if row.finished_at else "",
    "duration_seconds": lambda row: row.duration_seconds,
    "status": lambda row: row.status,
    "mode": lambda row: row.mode,
    "model_name": lambda row: row.model_name,
    "owner": lambda row: row.owner or "",
    "account": lambda row: row.account,
    "credits_used": lambda row: "unknown" if row.credits_used is None else row.credits_used,
    "remote_id": lambda row: row.remote_id or "",
    "error_code": lambda row: row.error_code,
    "finish_reason": lambda row: row.finish_reason,
}
CONTENT_COLUMNS: dict[str, Callable[[Generation], Any]] = {"excerpt": lambda row: row.excerpt}


@admin.action(description=gettext_lazy("Export as CSV"), permissions=["view"])
def export_selected(
    model_admin: Any, request: HttpRequest, queryset: QuerySet[Generation]
) -> HttpResponse | None:
    rows = list(queryset.select_related("owner").defer("metadata")[: MOST_ROWS + 1])
    if len(rows) > MOST_ROWS:
        text = _("Nothing was exported: select at most %(count)d generations.")
        messages.error(request, text % {"count": MOST_ROWS})
        return None
    columns = {**COLUMNS, **(CONTENT_COLUMNS if may_view_content(request) else {})}
    # The mark at the start has spreadsheets read UTF-8.
    response = HttpResponse("\ufeff", content_type="text/csv; charset=utf-8")
    response.headers["Content-Disposition"] = 'attachment; filename="generations.csv"'
    response.headers["X-Content-Type-Options"] = "nosniff"
    writer = csv.writer(response, quoting=csv.QUOTE_ALL)
    writer.writerow(columns)
    writer.writerows([defuse(read(row)) for read in columns.values()] for row in rows)
    return response


def defuse(value: Any) -> str:
    """Return the value as a cell's text; one that a spreadsheet would run gets an apostrophe."""
    text = "" if value is None else str(value)
    risky = text.startswith(FORMULA_STARTS) or text.lstrip().startswith(FORMULA_STARTS)
    return f"'{text}" if risky else text
