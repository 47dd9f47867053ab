"""The playground: try a prompt, with one model or two side by side, and watch the answers.

It is Django's page for a new generation. Its requests are saved like all generations of the user:
the services ask `control`, and the page reads the streams of the REST API. Without the REST API or
without JavaScript, it queues the request and shows its row.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import ImproperlyConfigured, PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.utils.decorators import method_decorator
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from creatify_textgen import databases, services
from creatify_textgen.admin.permissions import (
    may_generate,
    may_view_content,
    may_view_generations,
)
from creatify_textgen.admin.persons import record_read
from creatify_textgen.admin.playground_answers import (
    Attempt,
    column_of,
    estimate_lines,
    outcome_page,
)
from creatify_textgen.admin.playground_form import PlaygroundForm, initial_from
from creatify_textgen.admin.rendering import (
    admin_path,
    link_to_generation,
    show_control_chars,
)
from creatify_textgen.conf import conf
from creatify_textgen.exceptions import RequestError, TextgenError
from creatify_textgen.http.tickets import can_stream
from creatify_textgen.models import Generation, Media, read_uuid

__all__ = ["PlaygroundMixin", "outcome_page"]

ORIGIN = "from"
"""The query parameter with the id of the generation to edit."""


class PlaygroundMixin:
    """Django's page for a new row, for those who may generate."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return may_generate(request)

    @method_decorator(databases.outside_transactions)
    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        return playground_page(request, model_admin=self)

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        has_content = context["original"].content_removed_at is None
        context["may_edit"] = has_content and may_generate(request) and may_view_content(request)
        shown: HttpResponse = super().render_change_form(  # type: ignore[misc]
            request, context, *args, **kwargs
        )
        return shown


@require_http_methods(["GET", "HEAD", "POST"])
def playground_page(request: HttpRequest, *, model_admin: Any) -> HttpResponse:
    if not may_generate(request):
        raise PermissionDenied
    origin = _origin(request, model_admin)
    if request.method == "POST":
        form = PlaygroundForm(request.POST, request.FILES, origin=origin)
        # The script asks so. Without it, the browser posts the same form and follows a redirect.
        wants_json = request.headers.get("Accept") == "application/json"
        begin = services.begin_stream if wants_json else services.submit
        attempts = _send(request, form, origin=origin, begin=begin) if form.is_valid() else []
        if wants_json:
            return _answer(request, form, attempts, site=model_admin.admin_site.name)
        if attempts:
            return _redirect(request, attempts, site=model_admin.admin_site.name)
        # Nothing was sent under the old ticket, so another request may follow.
        form.data = form.data.copy()  # type: ignore[attr-defined]
        form.data.update(_new_ticket())  # type: ignore[attr-defined]
    else:
        # The ticket is made with the page, so that a form that is sent twice has the same.
        form = PlaygroundForm(initial={**_initial(request, origin), **_new_ticket()}, origin=origin)
    return _show(request, form, model_admin=model_admin, origin=origin)


def _show(
    request: HttpRequest, form: PlaygroundForm, *, model_admin: Any, origin: Generation | None
) -> HttpResponse:
    is_of_another = origin is not None and origin.owner_id != request.user.pk
    context = {
        **model_admin.admin_site.each_context(request),
        "title": _("Playground"),
        "opts": model_admin.opts,
        "media": model_admin.media,
        "form": form,
        "estimates": list(estimate_lines(form.known_models(origin))),
        "can_stream": can_stream(),
        "origin": origin,
        "copies_media": is_of_another and "kept_media" in form.fields,
    }
    request.current_app = model_admin.admin_site.name
    return TemplateResponse(request, "creatify_textgen/admin/playground.html", context)


def _new_ticket() -> dict[str, str]:
    return {"ticket": secrets.token_urlsafe(16)}


def _initial(request: HttpRequest, origin: Generation | None) -> dict[str, Any]:
    if origin is None:
        return {"model_name": conf.default_model, "account": next(iter(conf.accounts), "default")}
    # The form shows the content of the generation, which may be another user's.
    record_read(request, origin)
    return initial_from(origin)


def _origin(request: HttpRequest, model_admin: Any) -> Generation | None:
    """Return the generation whose request fills the form."""
    if not (written := request.GET.get(ORIGIN)):
        return None
    if not (may_view_generations(request) and may_view_content(request)):
        raise PermissionDenied
    # By the queryset of the admin, which a host's subclass may narrow to some rows.
    rows = model_admin.get_queryset(request).filter(content_removed_at=None)
    key = read_uuid(written)
    found: Generation = get_object_or_404(rows.select_related("content"), pk=key)
    return found


def _send(
    request: HttpRequest,
    form: PlaygroundForm,
    *,
    origin: Generation | None,
    begin: Callable[..., Generation],
) -> list[Attempt]:
    """Ask each model; empty, and errors in the form, if none was asked.

    The ticket is part of the idempotency keys: a request that is sent twice is paid for once.
    """
    try:
        arguments = form.request(_store_media(request, form, origin=origin))
        arguments["messages"] = list(_with_own_media(arguments["messages"], origin, request.user))
    except (TextgenError, ImproperlyConfigured) as error:
        form.add_errors(_errors_of(error))
        return []
    attempts = [
        _ask(begin, name, owner=request.user, key=f"{form.cleaned_data['ticket']}:{n}", **arguments)
        for n, name in enumerate(form.models())
    ]
    if any(attempt.generation for attempt in attempts):
        return attempts
    # Two models are mostly refused for the same reason.
    for n, attempt in enumerate(attempts):
        if attempt.errors not in [before.errors for before in attempts[:n]]:
            form.add_errors(attempt.errors)
    return []


def _ask(
    begin: Callable[..., Generation], model_name: str, *, key: str, **arguments: Any
) -> Attempt:
    try:
        made = begin(**arguments, model_name=model_name, idempotency_key=f"playground:{key}")
    except (TextgenError, ImproperlyConfigured) as error:
        return Attempt(model_name, refusal=str(error), errors=_errors_of(error))
    return Attempt(model_name, made)


def _errors_of(error: Exception) -> dict[str, list[str]]:
    return error.errors if isinstance(error, RequestError) else {"": [str(error)]}


def _store_media(
    request: HttpRequest, form: PlaygroundForm, *, origin: Generation | None
) -> Iterator[Media]:
    if origin is not None and (kept := form.cleaned_data.get("kept_media")):
        found = origin.media.in_bulk([UUID(key) for key in kept])
        # The order says which image a prompt means, and no query has it.
        in_order = (UUID(key) for key in form.media_choices() if key in kept)
        yield from (found[key] for key in in_order if key in found)
    for file in form.cleaned_data["uploads"]:
        yield services.store_media(file, owner=request.user, mime_type=file.content_type)


def _with_own_media(sent: Iterable[Any], origin: Generation | None, user: Any) -> Iterator[Any]:
    """Yield the messages with copies of the media that belong to another user."""
    # A request may name only media of its owner (`intake`), so that nobody guesses ids of others.
    foreign = origin.media.exclude(owner=user) if origin else Media.objects.none()
    theirs = {str(one.pk): one for one in foreign}
    for message in sent:
        content = message.get("content") if isinstance(message, dict) else None
        if not theirs or not isinstance(content, list):
            yield message
            continue
        parts = []
        for part in content:
            media = theirs.get(str(part.get("media"))) if isinstance(part, dict) else None
            parts.append({**part, "media": str(_copy(media, user).pk)} if media else part)
        yield {**message, "content": parts}


def _copy(media: Media, user: Any) -> Media:
    with services.open_media(media) as file:
        return services.store_media(file, owner=user, mime_type=media.mime_type)


def _answer(
    request: HttpRequest, form: PlaygroundForm, attempts: Iterable[Attempt], *, site: str
) -> JsonResponse:
    """Answer the script: one column for each attempt, or what is wrong with each field."""
    columns = [column_of(attempt, user=request.user, site=site) for attempt in attempts]
    errors = {
        name: [error["message"] for error in found]
        for name, found in form.errors.get_json_data().items()
    }
    # A new ticket with each answer: the page stays open, and its next request is another one.
    body = {"columns": columns, "errors": errors, **_new_ticket()}
    return JsonResponse(body, status=200 if columns else 400)


def _redirect(request: HttpRequest, attempts: Iterable[Attempt], *, site: str) -> HttpResponse:
    """Lead to the first new row, with a message for each model."""
    made = []
    for attempt in attempts:
        if attempt.generation is None:
            text = f"{attempt.model_name}: {attempt.refusal}"
            messages.error(request, show_control_chars(text))
            continue
        made.append(attempt.generation)
        link = link_to_generation(attempt.generation, site=site)
        text = _("Generation {} was queued. Reload the page to see its answer.")
        messages.success(request, format_html(text, link))
    if may_view_generations(request):
        return HttpResponseRedirect(admin_path("generation_change", site=site, key=made[0].pk))
    return HttpResponseRedirect(request.path)
