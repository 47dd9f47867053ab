"""The assistant's page. Its data comes from the REST API."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.csrf import ensure_csrf_cookie

__all__ = ["assistant"]


@login_required
@ensure_csrf_cookie
def assistant(request: HttpRequest) -> HttpResponse:
    """Show the page. Scripts and style are files, so the policy can be strict."""
    response = render(request, "example_project/assistant.html")
    response["Content-Security-Policy"] = "default-src 'self'"
    return response
