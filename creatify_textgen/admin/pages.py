"""The targets of the buttons on a generation's page. Each: permission, row, one operation."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from creatify_textgen.admin.operations import CANCEL, REFRESH, operate
from creatify_textgen.admin.retrying import confirm_or_retry
from creatify_textgen.models import Generation

__all__ = ["cancel_page", "refresh_page", "retry_page"]


@transaction.non_atomic_requests
@require_POST
def refresh_page(request: HttpRequest, *, model_admin: Any, generation_id: UUID) -> HttpResponse:
    generation = _find(request, model_admin, generation_id)
    operate(model_admin, request, [generation], REFRESH)
    return _back_to(generation, model_admin)


@transaction.non_atomic_requests
@require_POST
def cancel_page(request: HttpRequest, *, model_admin: Any, generation_id: UUID) -> HttpResponse:
    generation = _find(request, model_admin, generation_id)
    operate(model_admin, request, [generation], CANCEL)
    return _back_to(generation, model_admin)


@transaction.non_atomic_requests
@require_http_methods(["GET", "HEAD", "POST"])
def retry_page(request: HttpRequest, *, model_admin: Any, generation_id: UUID) -> HttpResponse:
    generation = _find(request, model_admin, generation_id)
    question = confirm_or_retry(model_admin, request, [generation])
    return question or _back_to(generation, model_admin)


def _find(request: HttpRequest, model_admin: Any, generation_id: UUID) -> Generation:
    if not model_admin.has_operate_permission(request):
        raise PermissionDenied
    rows = model_admin.get_queryset(request)
    generation: Generation = get_object_or_404(rows, pk=generation_id)
    return generation


def _back_to(generation: Generation, model_admin: Any) -> HttpResponse:
    page, site = "admin:creatify_textgen_generation_change", model_admin.admin_site.name
    return redirect(reverse(page, args=[generation.pk], current_app=site))
