"""Bulk retry, cancel and delete: of selected rows, or of all rows that the filters show.

The confirmation page counts the rows and does not load them. It has the id of its job, so that its
button starts only one job, even if it is pressed twice.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.apps import apps
from django.conf import settings
from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import PermissionDenied
from django.db.models import Count, QuerySet, Sum
from django.dispatch import receiver
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_http_methods

from creatify_textgen import bulk, clock, databases, services
from creatify_textgen.admin.export import rows_shown
from creatify_textgen.admin.rendering import admin_path, format_credits, render_name
from creatify_textgen.models import BulkJob, Generation, read_uuid, uuid7

__all__ = ["bulk_page", "confirm_selected", "delete_selected"]

DELETION = 3
"""Of `django.contrib.admin.models`, which a site without the admin cannot import."""
INLINE_SECONDS = 3.0
"""What takes no longer is done in the request; a worker goes on with the rest."""
Verb = BulkJob.Verb
TITLES = {
    Verb.RETRY: gettext_lazy("Ask all of these again?"),
    Verb.CANCEL: gettext_lazy("Cancel these generations?"),
    Verb.DELETE: gettext_lazy("Delete these generations?"),
}


@databases.outside_transactions
@require_http_methods(["GET", "HEAD", "POST"])
def bulk_page(request: HttpRequest, *, model_admin: Any, verb: str) -> HttpResponse:
    """Ask, then start a job for all rows that the history shows for the same query string."""
    if verb not in Verb.values:
        raise Http404
    if not _may(request, model_admin, verb=verb):
        raise PermissionDenied
    rows = rows_shown(request, model_admin)
    query = request.GET.urlencode()
    return confirm_or_start(model_admin, request, rows, verb=verb, query=query)


@admin.action(description=gettext_lazy("Delete those that have ended"), permissions=["delete"])
def delete_selected(
    model_admin: Any, request: HttpRequest, queryset: QuerySet[Generation]
) -> HttpResponse:
    return confirm_selected(model_admin, request, queryset, verb=Verb.DELETE)


def confirm_selected(
    model_admin: Any, request: HttpRequest, queryset: QuerySet[Generation], *, verb: str
) -> HttpResponse:
    """As `confirm_or_start`, for an action of the list."""
    names = ("action", "select_across", ACTION_CHECKBOX_NAME)
    hidden = [(name, value) for name in names for value in request.POST.getlist(name)]
    # Without `select_across` only the checked rows are meant, and no filter describes them.
    query = request.GET.urlencode() if request.POST.get("select_across") == "1" else ""
    return confirm_or_start(model_admin, request, queryset, verb=verb, query=query, hidden=hidden)


def confirm_or_start(
    model_admin: Any,
    request: HttpRequest,
    rows: QuerySet[Generation],
    *,
    verb: str,
    query: str,
    hidden: Iterable[tuple[str, str]] = (),
) -> HttpResponse:
    """Ask for a confirmation, or start the job if the request is one."""
    job_id, until = read_uuid(request.POST.get("job", "")), _confirmed_at(request)
    # Whatever is not a whole confirmation of this page is asked again, and starts nothing.
    if job_id is None or until is None or not _may(request, model_admin, verb=verb):
        return _ask(model_admin, request, rows, verb=verb, hidden=hidden)
    job = bulk.start(rows, verb=verb, by=request.user, until=until, query=query, job_id=job_id)
    bulk.go_on(job.pk, time_limit=INLINE_SECONDS)
    return _show(model_admin, request, BulkJob.objects.get(pk=job.pk))


def _may(request: HttpRequest, model_admin: Any, *, verb: str) -> bool:
    # Both: a host's subclass may allow less in this admin site, and the job itself asks
    # `is_permitted` before each step.
    by_hand = (
        model_admin.has_delete_permission(request)
        if verb == Verb.DELETE
        else model_admin.has_operate_permission(request)
    )
    return by_hand and bulk.is_permitted(request.user, verb=verb)


def _confirmed_at(request: HttpRequest) -> datetime | None:
    try:
        at = parse_datetime(request.POST.get("confirmed", ""))
    except ValueError:
        return None
    if at is None or timezone.is_aware(at) != settings.USE_TZ:
        return None
    # A later time would take rows that the page has not counted.
    return min(at, clock.now())


def _ask(
    model_admin: Any,
    request: HttpRequest,
    rows: QuerySet[Generation],
    *,
    verb: str,
    hidden: Iterable[tuple[str, str]],
) -> HttpResponse:
    # Without the order of the list: the database would sort all rows to count them.
    chosen = bulk.eligible(rows, verb=verb).order_by()
    count = chosen.count()
    context = {
        **model_admin.admin_site.each_context(request),
        "title": TITLES[Verb(verb)],
        "opts": model_admin.opts,
        "media": model_admin.media,
        "verb": verb,
        "page": Verb(verb).label,
        "count": count,
        "left": rows.order_by().count() - count,
        "hidden": [*hidden, ("job", str(uuid7())), ("confirmed", clock.now().isoformat())],
        **(_costs(chosen) if verb == Verb.RETRY else {}),
    }
    request.current_app = model_admin.admin_site.name
    return TemplateResponse(request, "creatify_textgen/admin/bulk_confirmation.html", context)


def _costs(rows: QuerySet[Generation]) -> dict[str, Any]:
    """Return what the originals cost and what asking again will probably cost, by model."""
    by_model = rows.values("model_name").annotate(count=Count("pk"), used=Sum("credits_used"))
    lines = []
    likely, most = Decimal(), Decimal()
    is_known = True
    for group in by_model.order_by("model_name"):
        estimate = services.estimate(group["model_name"])
        costs = [_times(cost, group["count"]) for cost in (estimate.median, estimate.reserved)]
        is_known = is_known and None not in costs
        likely, most = likely + (costs[0] or 0), most + (costs[1] or 0)
        shown = [format_credits(cost) for cost in (group["used"], *costs)]
        lines.append((render_name(group["model_name"]), group["count"], *shown))
    return {
        "lines": lines,
        "likely": format_credits(likely),
        "most": format_credits(most),
        "is_known": is_known,
        "asked_before": Generation.objects.filter(retry_of__in=rows.values("pk")).count(),
    }


def _times(cost: Decimal | None, count: int) -> Decimal | None:
    # `reserved` is 0 if nothing is known of the model.
    return cost * count if cost else None


def _show(model_admin: Any, request: HttpRequest, job: BulkJob) -> HttpResponse:
    """Lead to the job's page, or back to the history if there is nothing to see there."""
    site = model_admin.admin_site.name
    # A job with failures has them on its page; one that has not ended shows its progress there.
    page = admin_path("bulkjob_change", site=site, key=job.pk)
    if page and (job.failed or not job.has_ended):
        return redirect(page)
    if job.total:
        messages.success(request, _describe(job))
    else:
        messages.error(request, _("Nothing was done: there is no such generation any more."))
    return redirect(f"{admin_path('generation_changelist', site=site)}?{request.GET.urlencode()}")


def _describe(job: BulkJob) -> str:
    count = job.done
    texts = {
        Verb.RETRY: ngettext(
            "%(count)d generation was asked again.",
            "%(count)d generations were asked again.",
            count,
        ),
        Verb.CANCEL: ngettext(
            "%(count)d generation was cancelled.", "%(count)d generations were cancelled.", count
        ),
        Verb.DELETE: ngettext(
            "%(count)d generation was deleted.", "%(count)d generations were deleted.", count
        ),
    }
    return texts[Verb(job.verb)] % {"count": count}


@receiver(bulk.job_ended)
def log_deletions(job: BulkJob, **_named: Any) -> None:
    """Write who has deleted how much into Django's own history, as its own action does.

    In whichever process the job has ended; a site without the admin has no such history.
    """
    by, done = job.requested_by_id, job.done - job.done_before
    if job.verb != Verb.DELETE or not done or by is None:
        return
    if not apps.is_installed("django.contrib.admin"):
        return
    entries = apps.get_model("admin", "LogEntry")
    entries.objects.create(
        user_id=by,
        content_type=ContentType.objects.get_for_model(Generation),
        object_repr=ngettext("%(count)d generation", "%(count)d generations", done)
        % {"count": done},
        action_flag=DELETION,
        change_message=_("Bulk job %(id)s") % {"id": job.pk},
    )
