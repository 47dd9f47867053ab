"""Who may read figures and causes: a scraper with the token, or staff who may see the credits."""

from __future__ import annotations

from django.http import HttpRequest
from django.utils.crypto import constant_time_compare

from creatify_textgen.conf import conf
from creatify_textgen.permissions import is_staff_with

__all__ = ["has_token", "may_read_metrics"]


def has_token(request: HttpRequest) -> bool:
    """Whether the request has `Authorization: Bearer` and the setting `METRICS_TOKEN`."""
    # The name of a scheme has no case (RFC 9110, section 11.1).
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    expected = conf.metrics_token
    is_bearer = scheme.lower() == "bearer" and expected is not None
    return is_bearer and constant_time_compare(token.strip(), expected or "")


def may_read_metrics(request: HttpRequest) -> bool:
    """Whether figures of the whole site may be sent. An address proves nothing behind a proxy."""
    return has_token(request) or is_staff_with(getattr(request, "user", None), "view_credits")
