"""What the playground shows: the cost of a model, a growing answer, and its end."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, JsonResponse
from django.shortcuts import get_object_or_404
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_safe

from creatify_textgen import services
from creatify_textgen.admin.permissions import may_generate
from creatify_textgen.admin.rendering import (
    admin_path,
    format_credits,
    format_duration,
    format_json,
    format_number,
    show_control_chars,
)
from creatify_textgen.http.tickets import can_stream, stream_path
from creatify_textgen.models import Generation
from creatify_textgen.states import Cause, Status

__all__ = ["Attempt", "column_of", "estimate_lines", "outcome_page"]


@dataclass(frozen=True, slots=True)
class Attempt:
    """One model that was asked, or why it was not."""

    model_name: str
    generation: Generation | None = None
    refusal: str = ""
    errors: dict[str, list[str]] = field(default_factory=dict)


def column_of(attempt: Attempt, *, user: Any, site: str) -> dict[str, str]:
    """Return what the script needs to show one answer, or why there is none."""
    name = show_control_chars(attempt.model_name)
    if (made := attempt.generation) is None:
        return {"model": name, "refusal": show_control_chars(attempt.refusal)}
    return {
        "model": name,
        # With a ticket, because the REST API of a site need not accept the session of its admin.
        "stream": stream_path(made, user) if can_stream() else "",
        "outcome": admin_path("generation_outcome", site=site, key=made.pk),
        "page": admin_path("generation_change", site=site, key=made.pk),
    }


def estimate_lines(models: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield what each model costs here, in words."""
    for name in models:
        known, shown = services.estimate(name), {"model": show_control_chars(name)}
        if known.median is not None and known.p95 is not None:
            text = ngettext(
                "%(model)s mostly costs %(median)s credits; 95 of 100 cost at most %(p95)s "
                "(%(count)s generation).",
                "%(model)s mostly costs %(median)s credits; 95 of 100 cost at most %(p95)s "
                "(%(count)s generations).",
                known.sample,
            )
            shown |= {"median": format_credits(known.median), "p95": format_credits(known.p95)}
            shown["count"] = format_number(known.sample)
        elif known.mean is not None:
            text = _("%(model)s costs %(mean)s credits on average.")
            shown["mean"] = format_credits(known.mean)
        else:
            text = _("The cost of %(model)s on this site is not known yet.")
        yield name, text % shown


@require_safe
def outcome_page(request: HttpRequest, *, model_admin: Any, generation_id: UUID) -> JsonResponse:
    """Answer the script with what became of the user's own generation."""
    if not may_generate(request):
        raise PermissionDenied
    # Only the user's: this needs no permission to read content.
    rows = Generation.objects.select_related("content").filter(owner_id=request.user.pk)
    row = get_object_or_404(rows, pk=generation_id)
    calls = row.content.response_function_calls
    body = {
        "line": "; ".join(_describe_outcome(row)),
        # The script asks again until then: the cost may be known only after the answer.
        "is_settled": row.is_final and row.credits_used is not None,
        "is_final": row.is_final,
        "text": row.content.response_text,
        "calls": format_json(calls) if calls else "",
    }
    return JsonResponse(body)


def _describe_outcome(row: Generation) -> Iterator[str]:
    if not row.is_final:
        yield str(row.get_status_display())
        return
    values = {"status": row.get_status_display(), "time": format_duration(row.duration_seconds)}
    yield _("%(status)s after %(time)s") % values
    # The pump moves the row to `running` when it has read the first chunk.
    begun = row.events.filter(status=Status.RUNNING, cause=Cause.STREAM).first()
    if begun is not None:
        seconds = max(0.0, (begun.at - row.created_at).total_seconds())
        yield _("first text after %s") % format_duration(seconds)
    yield _("cost: %s credits") % format_credits(row.credits_used)
    if row.error_code or row.content.failed_reason:
        yield show_control_chars(row.content.failed_reason or row.error_code)
