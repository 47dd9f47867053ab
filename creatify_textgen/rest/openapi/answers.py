"""What every documented endpoint shares: its refusals, and how a view is documented."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema_view

from creatify_textgen.rest.openapi.shapes import ERROR, KEY

__all__ = ["BODY", "IDEMPOTENCY", "REMOTE", "answers", "documented"]

REMOTE = (402, 502, 503, 504)
BODY = (400, 411, 413, 415)
REFUSALS = {
    400: "The request is wrong; `errors` says where.",
    401: "Not authenticated.",
    402: "The workspace has no credits left.",
    403: "Not allowed.",
    404: "No such row, or not the caller's to see.",
    409: "The state forbids it, or the Idempotency-Key stands for another request.",
    411: "The body needs a Content-Length.",
    413: "The body is too large.",
    415: "The body is not of a type that is read here.",
    429: "Too many requests.",
    502: "The remote refused the site, or its answer can't be read.",
    503: "The remote can't be reached.",
    504: "The remote gave no answer in time.",
}


def answers(*refused: int, **shown: Any) -> dict[int, Any]:
    """Return what may come back: `ok_200=…` and error statuses, 401, 403 and 429 always."""
    good = {int(name.removeprefix("ok_")): shape for name, shape in shown.items()}
    bad = {
        status: OpenApiResponse(ERROR, description=REFUSALS[status])
        for status in sorted({401, 403, 429, *refused})
    }
    return {**good, **bad}


def documented(view: Any, **operations: Any) -> Any:
    """Return a subclass to read from, so that the view that serves stays as it is."""
    return extend_schema_view(**operations)(type(view.__name__, (view,), {"__doc__": view.__doc__}))


IDEMPOTENCY = OpenApiParameter(
    "Idempotency-Key",
    KEY,
    OpenApiParameter.HEADER,
    description="The same key and body give the same generation.",
)
