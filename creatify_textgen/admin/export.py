"""Export and sums of all rows that a filter shows.

An export reads the rows in slices, so its memory does not grow. No cell of a spreadsheet is a
formula, and every amount is exact.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.options import IncorrectLookupParameters
from django.core.exceptions import PermissionDenied
from django.db.models import Count, Q, QuerySet, Sum
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_safe

from creatify_textgen import clock
from creatify_textgen.admin.permissions import may_view_content
from creatify_textgen.admin.rendering import admin_path, format_credits
from creatify_textgen.http.blocks import blocks_for
from creatify_textgen.models import Generation
from creatify_textgen.states import TERMINAL

__all__ = ["defuse", "export_page", "export_selected", "rows_shown", "totals_page"]

SLICE = 500
# OWASP's page on CSV injection names these, and the wide forms of the signs.
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")  # noqa: RUF001

Columns = dict[str, Callable[[Generation], Any]]

COLUMNS: Columns = {
    "id": lambda row: str(row.pk),
    "created_at": lambda row: _in_utc(row.created_at),
    "finished_at": lambda row: _in_utc(row.finished_at),
    "duration_seconds": lambda row: row.duration_seconds,
    "status": lambda row: row.status,
    "mode": lambda row: row.mode,
    "model_name": lambda row: row.model_name,
    "owner": lambda row: str(row.owner) if row.owner else None,
    "account": lambda row: row.account,
    # As text with all its places: neither a spreadsheet nor a JSON reader may round it.
    "credits_used": lambda row: None if row.credits_used is None else f"{row.credits_used:f}",
    "remote_id": lambda row: row.remote_id,
    "error_code": lambda row: row.error_code,
    "finish_reason": lambda row: row.finish_reason,
}
CONTENT_COLUMNS: Columns = {"excerpt": lambda row: row.excerpt}


@admin.action(description=gettext_lazy("Export as CSV"), permissions=["export"])
def export_selected(
    model_admin: Any, request: HttpRequest, queryset: QuerySet[Generation]
) -> HttpResponseBase:
    return _export(request, queryset, form="csv")


@require_safe
def export_page(request: HttpRequest, *, model_admin: Any, form: str) -> HttpResponseBase:
    """Return all rows that the history shows for the same query string, as `csv` or `jsonl`."""
    if form not in WRITERS:
        raise Http404
    if not model_admin.has_export_permission(request):
        raise PermissionDenied
    return _export(request, rows_shown(request, model_admin), form=form)


@require_safe
def totals_page(request: HttpRequest, *, model_admin: Any) -> HttpResponse:
    """Sum up all rows that the history shows for the same query string, by one query.

    On request alone: over a long period it reads as many rows as there are.
    """
    rows = rows_shown(request, model_admin).order_by()
    is_unknown = Q(status__in=TERMINAL, credits_used=None)
    sums = rows.aggregate(
        count=Count("pk"), credits=Sum("credits_used"), unknown=Count("pk", filter=is_unknown)
    )
    text = ngettext(
        "%(count)s generation, %(credits)s credits; of %(unknown)s the cost is unknown.",
        "%(count)s generations, %(credits)s credits; of %(unknown)s the cost is unknown.",
        sums["count"],
    )
    credits_used = format_credits(sums["credits"] or Decimal())
    messages.info(request, text % {**sums, "credits": credits_used})
    history = admin_path("generation_changelist", site=model_admin.admin_site.name)
    return redirect(f"{history}?{request.GET.urlencode()}")


def rows_shown(request: HttpRequest, model_admin: Any) -> QuerySet[Generation]:
    """Return what the history shows. Raises: PermissionDenied; Http404 for a wrong filter."""
    if not model_admin.has_view_permission(request):
        raise PermissionDenied
    try:
        rows: QuerySet[Generation] = model_admin.get_changelist_instance(request).queryset
    except IncorrectLookupParameters as error:
        raise Http404(_("These filters are not understood.")) from error
    return rows


def _export(
    request: HttpRequest, queryset: QuerySet[Generation], *, form: str
) -> StreamingHttpResponse:
    columns = {**COLUMNS, **(CONTENT_COLUMNS if may_view_content(request) else {})}
    # Metadata is in no column, and may be the largest part of a row.
    rows = queryset.select_related("owner").defer("metadata")
    write, content_type = WRITERS[form]
    blocks = write(_in_slices(rows), columns)
    response = StreamingHttpResponse(
        blocks_for(request, partial(next, blocks, b""), close=blocks.close),
        content_type=f"{content_type}; charset=utf-8",
    )
    response.headers["Content-Disposition"] = f'attachment; filename="generations.{form}"'
    # Texts of strangers: a browser must not take them for a page, and no proxy may keep them.
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Cache-Control"] = "private, no-store"
    return response


def _in_slices(queryset: QuerySet[Generation]) -> Iterator[list[Generation]]:
    """Yield the rows, latest first, each slice by a separate query.

    Not by a cursor: MariaDB's driver would hold the whole result, and a pooler between us and
    PostgreSQL may not keep a cursor open.
    """
    ordered = queryset.order_by("-created_at", "-pk")
    rows = list(ordered[:SLICE])
    while rows:
        yield rows
        last = rows[-1]
        older = Q(created_at__lt=last.created_at) | Q(created_at=last.created_at, pk__lt=last.pk)
        # Said twice, because no database finds its place in the index by the OR alone.
        rows = list(ordered.filter(older, created_at__lte=last.created_at)[:SLICE])


def _in_utc(moment: datetime | None) -> str | None:
    # With `USE_TZ = False`, a stored time does not say its zone.
    return clock.as_utc_range(moment)[0].isoformat() if moment else None


class _Text:
    """A file for `csv.writer` that returns what it would write."""

    def write(self, text: str) -> str:
        return text


def _write_csv(slices: Iterable[list[Generation]], columns: Columns) -> Iterator[bytes]:
    # Quoted throughout, so that a line break or a separator in a text stays a part of its cell.
    write: Callable[[Iterable[Any]], Any] = csv.writer(_Text(), quoting=csv.QUOTE_ALL).writerow
    # The mark at the start has spreadsheets read UTF-8.
    yield f"\ufeff{write(columns)}".encode()
    for rows in slices:
        lines = ([_cell(name, read(row)) for name, read in columns.items()] for row in rows)
        yield "".join(map(write, lines)).encode()


def _write_json_lines(slices: Iterable[list[Generation]], columns: Columns) -> Iterator[bytes]:
    for rows in slices:
        lines = ({name: read(row) for name, read in columns.items()} for row in rows)
        yield "".join(f"{json.dumps(line, ensure_ascii=False)}\n" for line in lines).encode()


WRITERS: dict[str, tuple[Callable[..., Any], str]] = {
    "csv": (_write_csv, "text/csv"),
    "jsonl": (_write_json_lines, "application/jsonl"),
}


def _cell(name: str, value: Any) -> str:
    # An empty cell would be summed as zero.
    return "unknown" if name == "credits_used" and value is None else defuse(value)


def defuse(value: Any) -> str:
    """Return the value as a cell's text; one that a spreadsheet would run gets an apostrophe."""
    text = "" if value is None else str(value)
    # Also after spaces, which an import may remove.
    risky = text.startswith(FORMULA_STARTS) or text.lstrip().startswith(FORMULA_STARTS)
    return f"'{text}" if risky else text
