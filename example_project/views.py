"""One page, which streams an answer into the browser."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.csrf import ensure_csrf_cookie

from creatify_textgen.conf import conf

__all__ = ["index"]


@login_required
@ensure_csrf_cookie
def index(request: HttpRequest) -> HttpResponse:
    """Show the page. Its script and style are files, so the strictest policy will do."""
    models = {"models": conf.models, "default_model": conf.default_model}
    response = render(request, "example_project/index.html", models)
    response["Content-Security-Policy"] = "default-src 'self'"
    return response
