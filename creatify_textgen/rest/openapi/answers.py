"""What all documented endpoints share: the error responses, and how to document a view."""

from __future__ import annotations

from typing import Any

from drf_spectacular.extensions import OpenApiSerializerFieldExtension
from drf_spectacular.utils import (
    OpenApiParameter,
    OpenApiResponse,
    extend_schema_serializer,
    extend_schema_view,
)

from creatify_textgen.rest.openapi.shapes import ERROR, KEY

__all__ = ["BODY", "IDEMPOTENCY", "REFUSALS", "REMOTE", "answers", "documented", "name_component"]

REMOTE = (402, 502, 503, 504)
BODY = (400, 411, 413, 415)
REFUSALS = {
    400: "The request is wrong; `errors` names the fields.",
    401: "Not authenticated.",
    402: "The workspace has too few credits, or a budget is used up.",
    403: "Not allowed, by a permission, the site's own rule or a limit.",
    404: "There is no such row, or the user may not see it.",
    409: "The status does not allow it, or another request used the Idempotency-Key.",
    410: "The file of a medium is gone: upload it again.",
    411: "The body needs a Content-Length.",
    413: "The body is too large.",
    415: "The content type of the body is not supported.",
    416: "The file has no such range.",
    429: "Too many requests, or a limit of the user is reached.",
    502: "The remote refused the keys of the site, or its answer cannot be read.",
    503: "Sending is paused, the remote is unreachable, or the database does not answer.",
    504: "The remote did not answer in time.",
}


def answers(*refused: int, **shown: Any) -> dict[int, Any]:
    """Return the possible responses: `ok_200=…`, the errors given, and 401, 403, 429, 503."""
    # Any request may be anonymous, forbidden, one too many, or made while the database is down.
    good = {int(name.removeprefix("ok_")): shape for name, shape in shown.items()}
    bad = {
        status: OpenApiResponse(ERROR, description=REFUSALS[status])
        for status in sorted({401, 403, 429, 503, *refused})
    }
    return {**good, **bad}


class Words(OpenApiSerializerFieldExtension):  # type: ignore[no-untyped-call]
    """Keeps the words of a field inside its serializer's component."""

    target_class = "creatify_textgen.rest.serializers.WordField"

    def map_serializer_field(self, auto_schema: Any, direction: Any) -> dict[str, Any]:
        # An `enum` directly in a property becomes a component named after the property.
        return {"type": "string", "anyOf": [{"enum": list(self.target.choices)}]}


def name_component(serializer: Any, name: str) -> None:
    """Name a serializer's component in the document: the host may have a `Generation`, too."""
    extend_schema_serializer(component_name=name)(serializer)


def documented(view: Any, **operations: Any) -> Any:
    """Return a documented subclass of the view, so that the view itself is not changed."""
    return extend_schema_view(**operations)(type(view.__name__, (view,), {"__doc__": view.__doc__}))


IDEMPOTENCY = OpenApiParameter(
    "Idempotency-Key",
    KEY,
    OpenApiParameter.HEADER,
    description="The same key and body return the same generation.",
)
