"""Keeps what was asked out of error reports. Known to all rooms and knows none.

Invariant: where the code of a door fails, no page and no mail of Django's shows its variables, in
debug mode either.
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
"""Decorates what runs in a thread of ours, where no view stands above it."""

View = Callable[..., HttpResponseBase]


class _AlwaysOn(SafeExceptionReporterFilter):
    """Django's own filter, which otherwise hides nothing while DEBUG is on."""

    def is_active(self, request: HttpRequest | None) -> bool:
        return True


def discreet(view: View) -> View:
    """Return the view with every variable below it hidden from Django's error reports."""

    @wraps(view)
    @without_variables
    def hidden(request: Any, *args: Any, **kwargs: Any) -> HttpResponseBase:
        request.exception_reporter_filter = _AlwaysOn()
        return view(request, *args, **kwargs)

    return hidden
