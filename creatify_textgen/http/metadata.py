"""What `OPTIONS` answers: what a path is for, and which methods this user may call.

Invariant: it reads no row, so it is the same whether a row of that id exists or not.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rest_framework.exceptions import APIException
from rest_framework.metadata import BaseMetadata
from rest_framework.request import Request, clone_request
from rest_framework.views import APIView

__all__ = ["Capabilities"]

ALWAYS = {"HEAD", "OPTIONS"}


class Capabilities(BaseMetadata):
    """`{"name": …, "description": …, "methods": ["GET", "POST"], "renders": […], "parses": […]}`.

    DRF's own would describe the fields of a response as those of a request.
    """

    def determine_metadata(self, request: Request, view: Any) -> dict[str, Any]:
        # Permissions on objects are left out: they would have to read the row.
        offered = [method for method in view.allowed_methods if method not in ALWAYS]
        return {
            "name": view.get_view_name(),
            "description": view.get_view_description(),
            "methods": [method for method in offered if _may_call(request, view, method)],
            "renders": [*view.streams, *(one.media_type for one in view.renderer_classes)],
            "parses": [parser.media_type for parser in view.parser_classes],
        }


def _may_call(request: Request, view: APIView, method: str) -> bool:
    with _as_if(request, view, method) as asked:
        try:
            view.check_permissions(asked)
        except APIException:  # Also for Django's refusals, see `Endpoint.check_permissions`.
            return False
    return True


@contextmanager
def _as_if(request: Request, view: Any, method: str) -> Iterator[Request]:
    """Show the view the request with another method. Permissions read the view and the request."""
    before = view.request, getattr(view, "action", None)
    view.request = clone_request(request, method)
    view.action = getattr(view, "action_map", {}).get(method.lower())
    try:
        yield view.request
    finally:
        view.request, view.action = before
