"""The pages of bulk jobs: their progress, and the buttons that stop and continue them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any
from uuid import UUID

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils.formats import number_format
from django.utils.html import format_html
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST

from creatify_textgen import bulk, clock
from creatify_textgen.admin.permissions import (
    ReadOnlyAdmin,
    may_view_content,
    may_view_generations,
)
from creatify_textgen.admin.rendering import (
    NOTHING,
    admin_path,
    history_path,
    link_to_generation,
    render_moment,
    render_name,
)
from creatify_textgen.exceptions import TransitionError
from creatify_textgen.models import BulkJob, Generation

__all__ = ["BulkJobAdmin"]


class BulkJobAdmin(ReadOnlyAdmin):
    change_form_template = "creatify_textgen/admin/bulk_job.html"
    list_display = ("created", "verb", "state", "progress", "requester")
    list_filter = ("state", "verb")
    list_select_related = ("requested_by",)
    ordering = ("-created_at",)
    fields = (
        ("verb", "state"),
        "progress",
        "error",
        "requester",
        "filters",
        "until",
        ("created_at", "finished_at"),
        "due_at",
        "id",
    )
    readonly_fields = fields[0] + fields[1:6] + fields[6] + fields[7:]

    # The model has no permissions: its rows are a part of the history.
    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return may_view_generations(request)

    def has_module_permission(self, request: HttpRequest) -> bool:
        return may_view_generations(request)

    @admin.display(description=_("created"))
    def created(self, job: BulkJob) -> str:
        return render_moment(job.created_at)

    @admin.display(description=_("progress"))
    def progress(self, job: BulkJob) -> str:
        counts = {"handled": job.handled, "total": job.total, "failed": job.failed}
        shown = {name: number_format(count, use_l10n=True) for name, count in counts.items()}
        return gettext("%(handled)s of %(total)s, %(failed)s failed") % shown

    @admin.display(description=_("error code"))
    def error(self, job: BulkJob) -> str:
        return render_name(job.error_code) if job.error_code else NOTHING

    @admin.display(description=_("requested by"))
    def requester(self, job: BulkJob) -> str:
        return render_name(job.requested_by) if job.requested_by else NOTHING

    @admin.display(description=_("filters"))
    def filters(self, job: BulkJob) -> str:
        path = history_path(job.query, site=self.admin_site.name)
        if not (job.query and path):
            return NOTHING
        return format_html('<a href="{}">{}</a>', path, _("The history"))

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        # Whoever searched for words of a prompt has them in the filters.
        return [name for name in self.fields if name != "filters" or may_view_content(request)]

    def get_urls(self) -> list[Any]:
        """Add the targets of the two buttons, before the path that takes anything."""
        pages: dict[str, Callable[..., Any]] = {"stop": stop_page, "resume": resume_page}
        own = [self.own_path(f"<uuid:job_id>/{name}/", view, name) for name, view in pages.items()]
        return [*own, *super().get_urls()]

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        job = context["original"]
        is_permitted = bulk.is_permitted(request.user, verb=job.verb)
        # The process that works on a job moves `due_at` forward with each step.
        is_late = not job.has_ended and bool(job.due_at) and job.due_at < clock.now()
        context |= {
            "failures": self._failures(job),
            "is_late": is_late,
            "may_stop": is_permitted and not job.has_ended,
            "may_resume": is_permitted and job.handled < job.total and _is_idle(job),
        }
        return super().render_change_form(request, context, *args, **kwargs)

    def _failures(self, job: BulkJob) -> list[tuple[Any, int, list[Any]]]:
        site = self.admin_site.name
        return [
            (
                render_name(code),
                found["count"],
                [link_to_generation(Generation(pk=key), site=site) for key in found["examples"]],
            )
            for code, found in sorted(job.failures.items())
        ]


def _is_idle(job: BulkJob) -> bool:
    # After `due_at` its process is dead or stuck, and `resume` takes its claim away.
    return job.has_ended or job.claim is None or (job.due_at or clock.now()) <= clock.now()


@require_POST
def stop_page(request: HttpRequest, *, model_admin: Any, job_id: UUID) -> HttpResponse:
    return _act(request, model_admin, job_id, bulk.stop, text=_("The job was stopped."))


@require_POST
def resume_page(request: HttpRequest, *, model_admin: Any, job_id: UUID) -> HttpResponse:
    resume = partial(bulk.resume, by=request.user)
    return _act(request, model_admin, job_id, resume, text=_("The job goes on."))


def _act(
    request: HttpRequest,
    model_admin: Any,
    job_id: UUID,
    act: Callable[[BulkJob], BulkJob],
    *,
    text: Any,
) -> HttpResponse:
    jobs: QuerySet[BulkJob] = model_admin.get_queryset(request)
    job = get_object_or_404(jobs, pk=job_id) if model_admin.has_view_permission(request) else None
    if job is None or not bulk.is_permitted(request.user, verb=job.verb):
        raise PermissionDenied
    try:
        act(job)
    except TransitionError:
        # Its last generation was done after the page with the button was shown.
        messages.error(request, _("The job has ended already."))
    else:
        messages.success(request, text)
        model_admin.log_change(request, job, str(text))
    site = model_admin.admin_site.name
    return redirect(admin_path("bulkjob_change", site=site, key=job_id))
