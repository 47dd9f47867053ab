"""Keeps prompts and answers out of Django's error reports.

Every room may import this module, and it imports none. Invariant: if a view of this app fails,
no error page and no error mail shows its variables, not even with DEBUG on.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.views.debug import SafeExceptionReporterFilter
from django.views.decorators.debug import sensitive_variables

__all__ = ["discreet", "without_variables"]

without_variables = sensitive_variables()
"""A decorator for functions that run in this app's threads, outside of any view."""

View = Callable[..., HttpResponseBase]


class _AlwaysOn(SafeExceptionReporterFilter):
    """Django's filter, but active with DEBUG on too; Django's hides nothing then."""

    def is_active(self, request: HttpRequest | None) -> bool:
        return True


def discreet(view: View) -> View:
    """Return a view whose variables, and those of all it calls, are hidden from error reports."""

    # From each frame of the traceback, Django goes up to such a wrapper: so the variables of
    # everything that the view calls are hidden, too.
    @wraps(view)
    @without_variables
    def hidden(request: Any, *args: Any, **kwargs: Any) -> HttpResponseBase:
        request.exception_reporter_filter = _AlwaysOn()
        return view(request, *args, **kwargs)

    return hidden
